"""The lab's parts that need no root: reading, shaping, limits, state."""

import os
import sys
import tempfile
import unittest
from unittest import mock

TOOLS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOOLS)

from laboratory import (  # noqa: E402
    cli, compare, document, events, limits, scenario, shaping, state, topology)
from laboratory.errors import LabError, UsageError  # noqa: E402

MESH = """description: "Two boards: and a hub"
nodes:
  - name: board
    count: 2
    threads: 4
    memory_bytes: 3221225472
    operations_per_second: 2.4e10
    moved_bytes_per_second: 3.0e9
    watts: 6.4
  - name: hub
    threads: 16
    memory_bytes: 17179869184
    operations_per_second: 8.0e11
    moved_bytes_per_second: 4.0e10
links:
  default: {bits_per_second: 1.0e9, latency_seconds: 0.0002}
  pairs:
    - {a: board, b: hub, bits_per_second: 5.0e6, latency_seconds: 0.001}
entry: hub
"""


def read(text):
    """A topology from a text."""
    return topology.build(document.parse(text, "mesh.yaml"))


class Reading(unittest.TestCase):
    """Topologies."""

    def test_whole(self):
        """Groups become nodes, pairs hold both ways, the entry is found."""
        mesh = read(MESH)
        self.assertEqual(["board-1", "board-2", "hub"], mesh.names)
        self.assertEqual(2, mesh.entry)
        self.assertEqual([1e9, 5e6, 5e6], [
            mesh.links[a][b].bits_per_second for a, b in ((0, 1), (0, 2), (2, 1))])
        self.assertEqual(6.4, mesh.nodes[1].watts)

    def test_every_file_of_the_repository(self):
        """Every topology that is there can be read, and read again as the lab writes it."""
        folder = os.path.join(os.path.dirname(TOOLS), "Topologies")
        files = [name for name in sorted(os.listdir(folder)) if name.endswith(".yaml")]
        self.assertGreater(len(files), 4)
        for name in files:
            mesh = topology.read(os.path.join(folder, name))
            again = read(mesh.text())
            self.assertEqual(mesh.names, again.names, name)
            self.assertEqual(mesh.links, again.links, name)
            self.assertEqual(mesh.nodes, again.nodes, name)
            self.assertEqual(mesh.medium_bits_per_second, again.medium_bits_per_second, name)
            self.assertEqual(mesh.entry, again.entry, name)

    def test_slowed(self):
        """A slower mesh has lower rates and longer latencies, and the same memory."""
        mesh = read(MESH).slowed(0.5)
        self.assertEqual(1.2e10, mesh.nodes[0].operations_per_second)
        self.assertEqual(3221225472, mesh.nodes[0].memory_bytes)
        self.assertEqual(2.5e6, mesh.links[0][2].bits_per_second)
        self.assertEqual(0.002, mesh.links[0][2].latency_seconds)

    def test_wrong(self):
        """What is wrong is named with its file, line and field."""
        cases = [
            ("threads: 4", "thread: 4", "line 5", "nodes[0].thread", "not known"),
            ("count: 2", "count: 33", "line 4", "nodes[0].count", "from 1 to 32"),
            ("count: 2", "count: '2'", "line 4", "nodes[0].count", "whole number"),
            ("count: 2", "count: 1.5", "line 4", "nodes[0].count", "whole number"),
            ("operations_per_second: 2.4e10", "operations_per_second: .nan", "line 7",
             "nodes[0].operations_per_second", "a number of operations per second"),
            ("name: hub", "name: board-2", "line 10", "nodes[1].name", "called 'board-2'"),
            ("name: hub", "name: a/b", "line 10", "nodes[1].name", "cannot be a node"),
            ("a: board", "a: hub", "line 18", "links.pairs[0].b", "no link to itself"),
            ("b: hub", "b: hob", "line 18", "links.pairs[0].b", "no node is called 'hob'"),
            ("entry: hub", "entry: [hub]", "line 19", "entry", "here is a list"),
            ("entry: hub", "links: {}", "line 19", "links", "given twice"),
            ("- name: hub", "- name: \"hub", "line", "", "mesh.yaml"),
            ("nodes:", "nodes: []\nmore:", "line 3", "more", "not known"),
        ]
        for part, other, line, field, reason in cases:
            with self.assertRaises(LabError) as caught:
                read(MESH.replace(part, other, 1))
            message = str(caught.exception)
            self.assertTrue(message.startswith("mesh.yaml, "), message)
            for word in (line, field, reason):
                self.assertIn(word, message)
        for text in ("", "[]", "nodes: []", "null"):
            with self.assertRaises(LabError):
                read(text)

    def test_events(self):
        """Events come in the order of their moments, with nodes by index."""
        mesh = read(MESH + """events:
  - {at_seconds: 3, cut: [board, hub]}
  - {at_seconds: 1, crash: board-2}
  - {at_seconds: 4, heal: all}
  - {at_seconds: 2, cpu: board, share: 0.5}
  - {at_seconds: 2, rate: hub, bits_per_second: 1.0e7}
""")
        self.assertEqual(
            ["crash board-2", "cpu board-1,board-2 0.5", "rate hub 1e+07",
             "cut board-1,board-2 hub", "heal"],
            [event.words(mesh.names) for event in mesh.events])

    def test_wrong_events(self):
        """What is wrong with an event is named."""
        cases = [
            ("{crash: hub}", "'at_seconds' is missing"), ("{at_seconds: 1}", "exactly one of"),
            ("{at_seconds: 1, crash: hub, boot: hub}", "this has 2"),
            ("{at_seconds: 1, crash: hob}", "events[0].crash"),
            ("{at_seconds: 1, explode: hub}", "not known"),
            ("{at_seconds: 1, heal: hub}", "'all'"),
            ("{at_seconds: 1, cut: [hub]}", "two ends"),
            ("{at_seconds: 1, cut: [board, board-1]}", "cut from itself"),
            ("{at_seconds: 1, cpu: hub}", "'share' is missing"),
            ("{at_seconds: 1, cpu: hub, share: 0}", "processors"),
            ("{at_seconds: 1, loss: hub, share: 2}", "from 0 to 1"),
            ("{at_seconds: 1, crash: hub, share: 1}", "does not belong"),
        ]
        for event, reason in cases:
            with self.assertRaises(LabError) as caught:
                read(MESH + "events:\n  - " + event)
            self.assertIn("line 21", str(caught.exception))
            self.assertIn(reason, str(caught.exception))
        self.assertEqual(11, len(events.KINDS))


class Shaping(unittest.TestCase):
    """Lines for ip, tc and nft."""

    def test_equal_links(self):
        """Equal links need one queue each way."""
        mesh = read(MESH.replace("5.0e6", "1.0e9"))
        [_, line] = shaping.sending_lines(mesh, 0)
        self.assertEqual("qdisc replace dev eth0 root handle 1: tbf rate 1000000000bit "
                         "burst 250000 limit 4444304", line)
        [_, line] = shaping.receiving_lines(mesh, 2)
        self.assertIn("dev p3 root handle 1: tbf rate 1000000000bit", line)

    def test_unequal_links(self):
        """Unequal links have a class each, within the fastest."""
        lines = shaping.sending_lines(read(MESH), 0)
        self.assertTrue(any("classid 2:2 htb rate 250000000bit ceil 1000000000bit" in line
                            for line in lines), lines)
        self.assertTrue(any("classid 2:3 htb rate 5000000bit ceil 5000000bit" in line
                            for line in lines), lines)
        self.assertTrue(any("ip dst 10.77.0.3/32 flowid 2:3" in line for line in lines), lines)

    def test_override(self):
        """A rate told later holds for all ways of a device."""
        mesh = read(MESH)
        self.assertIn("tbf rate 20000000bit", shaping.sending_lines(mesh, 0, 2e7)[-1])
        self.assertIn("tbf rate 20000000bit", shaping.receiving_lines(mesh, 0, 2e7)[-1])

    def test_medium(self):
        """With a shared medium, ways as fast as it have no queue of their own."""
        mesh = read(MESH.replace("5.0e6, latency_seconds: 0.001}",
                                 "1.0e9, latency_seconds: 0}\n  medium_bits_per_second: 1.0e9"))
        self.assertEqual(1, len(shaping.sending_lines(mesh, 0)))
        self.assertEqual(1, len(shaping.receiving_lines(mesh, 0)))
        self.assertIn("redirect dev medium0", shaping.medium_port_lines(mesh, 0)[1])
        self.assertEqual(([], []), shaping.medium_lines(read(MESH)))

    def test_bucket(self):
        """A slow queue lets two frames through at once, and holds enough to be used fully."""
        self.assertEqual("tbf rate 1000000bit burst 3028 limit 68564", shaping.bucket(1e6))

    def test_rates(self):
        """Rates as people write them."""
        for text, rate in (("20mbit", 2e7), ("1gbit", 1e9), ("500k", 5e5), ("2.5e6", 2.5e6),
                           ("10Mbit/s", 1e7), ("off", None)):
            self.assertEqual(rate, shaping.bits_per_second(text))
        for text in ("fast", "", "-1", "1", "1e99", "20mbyte"):
            with self.assertRaises(UsageError):
                shaping.bits_per_second(text)

    def test_faults(self):
        """Rules say what is wrong, replace what held, and are kept."""
        faults = shaping.Faults()
        self.assertEqual("table bridge lab\ndelete table bridge lab\n", faults.rules())
        scenario.change_faults(faults, "cut", [1, 2], [0])
        scenario.change_faults(faults, "isolate", [3])
        scenario.change_faults(faults, "loss", [0], share=0.01)
        rules = faults.rules()
        for rule in ('iifname "p1" oifname "p2" drop', 'iifname "p3" oifname "p1" drop',
                     'oifname "p4" drop', 'iifname "p1" numgen random mod 1000000 < 10000 drop'):
            self.assertIn(rule, rules)
        self.assertEqual(faults, shaping.Faults.read(faults.document()))
        scenario.change_faults(faults, "loss", [0], share=0)
        self.assertEqual({}, faults.loss)
        scenario.change_faults(faults, "heal", [])
        self.assertEqual(shaping.Faults(), faults)


class Limits(unittest.TestCase):
    """Quotas and hierarchies."""

    def test_quota(self):
        """Ten milliseconds, unless the quota would be below what the kernel takes."""
        self.assertEqual((1250, 10_000), limits.quota(0.125))
        self.assertEqual((15_000, 10_000), limits.quota(1.5))
        self.assertEqual((1000, 20_000), limits.quota(0.05))
        self.assertEqual((1000, 1_000_000), limits.quota(0.001))
        with self.assertRaises(LabError):
            limits.quota(0.0001)

    def test_memory(self):
        """A quarter of the memory is the system's, and 256 MiB at least."""
        self.assertEqual(4 << 30, limits.limit_bytes(3 << 30))
        self.assertEqual((64 << 20) + (256 << 20), limits.limit_bytes(64 << 20))

    def test_hierarchies(self):
        """Controllers of version 1, together or apart, and version 2."""
        found = limits.hierarchies(
            "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
            "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
            "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
            "cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0\n"
            "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n")
        self.assertEqual("/sys/fs/cgroup/cpu,cpuacct", found["cpu"])
        self.assertFalse(limits.Groups("x", found).is_v2)
        self.assertTrue(limits.Groups("x", {"unified": "/sys/fs/cgroup"}).is_v2)
        with self.assertRaises(LabError):
            limits.Groups("x", {"cpu": "/sys/fs/cgroup/cpu"})

    def test_version_2(self):
        """The files of version 2 are written as the kernel takes them."""
        with tempfile.TemporaryDirectory() as folder:
            groups = limits.Groups("x", {"unified": folder})
            groups.make("a")
            groups.set_share("a", 0.25)
            groups.set_memory("a", 1 << 20)
            for part, quota in ((limits.ENGINE, "2500 10000"), (limits.AGENT, "10000 10000")):
                path = f"{folder}/tessera-lab-x/a/{part}"
                with open(f"{path}/cpu.max", encoding="utf-8") as file:
                    self.assertEqual(quota, file.read())
                with open(f"{path}/cgroup.type", encoding="utf-8") as file:
                    self.assertEqual("threaded", file.read())
                self.assertEqual([f"{path}/cgroup.procs"], groups.join_paths("a", part))
            with open(f"{folder}/tessera-lab-x/a/memory.max", encoding="utf-8") as file:
                self.assertEqual("1048576", file.read())


    def test_parts(self):
        """The engine's threads are those of a lower priority, and the first stays with them."""
        own = limits.threads(os.getpid())
        self.assertIn((os.getpid(), os.nice(0)), own)
        self.assertEqual([], limits.threads(0))


class State(unittest.TestCase):
    """The folder of a lab."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        patch = mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": folder.name})
        patch.start()
        self.addCleanup(patch.stop)

    def test_written_whole(self):
        """What is written is read; what is broken, or of another version, is none."""
        folder = state.Folder("one")
        with folder.locked():
            self.assertIsNone(folder.read())
            folder.write({"complete": False})
            self.assertEqual({"complete": False, "version": 1}, folder.read())
            self.assertEqual(["one"], state.names())
            for text in ('{"version": 9}', '{"vers'):
                with open(os.path.join(folder.path, "lab.json"), "w", encoding="utf-8") as file:
                    file.write(text)
                self.assertIsNone(folder.read())
            folder.remove()
        self.assertEqual([], state.names())
        self.assertFalse(os.path.exists(os.path.dirname(folder.path)))

    def test_one_at_a_time(self):
        """Who comes second waits until the first lets go."""
        with state.Folder("one").locked():
            self.assertIsNone(state.Folder("one")._try_lock())
            os.close(state.Folder("two")._try_lock())
        os.close(state.Folder("one")._try_lock())

    def test_names(self):
        """A lab's name becomes the name of folders."""
        for name in ("../x", "", "A", "x" * 25, "a b"):
            with self.assertRaises(UsageError):
                state.Folder(name)

    def test_start_time(self):
        """A process has one moment at which it began; who does not run has none."""
        self.assertEqual(state.start_time(os.getpid()), state.start_time("self"))
        self.assertIsNone(state.start_time(1 << 30))


class CommandLine(unittest.TestCase):
    """Words."""

    def test_shares(self):
        """Shares as people write them."""
        self.assertEqual([0.25, 0.25, 0], [cli.share(text) for text in ("0.25", "25%", "0")])
        for text in ("x", "-1", "nan", "%"):
            with self.assertRaises(UsageError):
                cli.share(text)

    def test_wrong_usage(self):
        """Wrong usage ends with 64."""
        parser = cli.parser()
        for words in (["explode"], [], ["up"], ["compare", "x.yaml"]):
            with self.assertRaises(UsageError):
                parser.parse_args(words)
        words = parser.parse_args(["exec", "a", "tessera", "plan", "--json"])
        self.assertEqual(["tessera", "plan", "--json"], words.words)

    def test_table(self):
        """The table has a place for what is not known."""
        figures = {"period_seconds": 0.02, "latency_seconds": 0.05, "bound_seconds": 0.01}
        stage = {"mode": "single", "nodes": ["a"], "operators": 3}
        text = compare.table({
            "predicted": {**figures, "stages": [stage]}, "simulated": None, "expected": None,
            "measured": {"period_seconds": 0.022, "latency_seconds": 0.05, "stages": [stage],
                         "answers": 9, "seconds": 1, "clients": 2, "lost": 0, "single_items": 5},
            "entry": "a", "scale": 1})
        self.assertRegex(text, r"period ms +20 +- +- +22 +\+10 %")
        self.assertIn("plan measured: 3 operators single on a", text)


if __name__ == "__main__":
    unittest.main()
