"""The lab: ordinary agents on emulated devices. Left out where there are no rights to make them."""

import json
import os
import signal
import subprocess
import time
import unittest

import support
from support import mesh

LAB = os.path.join(mesh.ROOT, "Tools", "lab")
NAME = f"test-{os.getpid()}"
# An agent with a fifth of a processor, in an unoptimised build, needs its time.
SECONDS = 90
# Not measured, so that the lab starts at once; any figure will do.
CORE = "2e11"
TOPOLOGY = """nodes:
  - name: board
    count: 3
    threads: 4
    memory_bytes: 268435456
    operations_per_second: 4.0e10
    moved_bytes_per_second: 3.0e9
links:
  default: {bits_per_second: 1.0e8, latency_seconds: 0.0002}
entry: board-1
events:
  - {at_seconds: 0.1, isolate: board-3}
  - {at_seconds: 0.2, cpu: board-2, share: 0.3}
  - {at_seconds: 0.3, loss: board-2, share: 0.01}
"""


def lab(*words, name=NAME, timeout=180):
    """Runs the lab's command line."""
    return mesh.Result(subprocess.run(
        [LAB, "--lab", name, *map(str, words)], capture_output=True, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TESSERA_PROGRAM": os.path.abspath(mesh.TESSERA)}))


def check(*words, **options):
    """The same, and it has to succeed."""
    result = lab(*words, **options)
    if result.code:
        raise mesh.Failed(f"lab {' '.join(map(str, words))} ended with {result.code}: {result.err}")
    return result


def obstacle():
    """Why there can be no lab here; None if there can."""
    if os.geteuid() != 0:
        return "the lab needs root"
    tried = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"],
                           capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no namespaces: {tried.stderr.strip()}"
    try:
        os.mkdir("/sys/fs/cgroup/cpu/tessera-lab-probe" if os.path.isdir("/sys/fs/cgroup/cpu")
                 else "/sys/fs/cgroup/tessera-lab-probe")
    except OSError as error:
        return f"no control groups: {error}"
    for place in ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup"):
        if os.path.isdir(place + "/tessera-lab-probe"):
            os.rmdir(place + "/tessera-lab-probe")
    return None


def traces(name=NAME):
    """What is left of a lab."""
    found = []
    for place in ("/run/tessera-lab", os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/run"),
                                                   "tessera-lab"), "/var/tmp",
                  "/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory",
                  "/sys/fs/cgroup/freezer"):
        if os.path.isdir(place):
            found += [os.path.join(place, entry) for entry in os.listdir(place) if name in entry]
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if name in words:
                found.append(f"process {entry}: {words}")
    return found


@unittest.skipIf(obstacle(), obstacle())
class Lab(support.Case):
    """What a lab does."""

    def setUp(self):
        self.folder = self.enterContext(mesh.tempfile.TemporaryDirectory())
        self.file = os.path.join(self.folder, "mesh.yaml")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(TOPOLOGY)
        self.addCleanup(lab, "down")

    def status(self):
        """The devices, by name."""
        document = check("status", "--json").json()
        return {device["name"]: device for device in document["devices"]}

    def await_members(self, names, at):
        """Waits until devices see exactly these."""
        mesh.wait(SECONDS, lambda: f"{at} see {names}: {self.status()}", lambda: all(
            self.status()[name].get("members") == names for name in at))

    def test_whole(self):
        """Agents find each other by mDNS, serve a model, and what happens to devices shows."""
        names = ["board-1", "board-2", "board-3"]
        check("up", self.file, "--core-speed", CORE)
        status = self.status()
        self.assertEqual([names] * 3, [status[name]["members"] for name in names])
        found = check("exec", "board-2", "tessera", "status", "--json").json()
        self.assertIn("mDNS", found["discovery"])
        self.assertEqual("board-2", found["name"])
        # Nothing leads out: no way to any address but those of the lab.
        links = json.loads(check("exec", "board-1", "ip", "-json", "link").out)
        self.assertEqual({"lo", "eth0"}, {link["ifname"] for link in links})
        self.assertFalse(self.reaches("board-1", "192.0.2.1"))

        check("exec", "--unlimited", "board-1", "tessera", "model", "add",
              support.file(support.CNN), "--name", support.CNN)
        output = os.path.join(self.folder, "out")
        mesh.wait(SECONDS, "board-2 serves", lambda: not lab(
            "exec", "board-2", "tessera", "infer", support.CNN, "--input",
            f"image={support.IMAGES}", "--output-dir", output).code)
        logits = support.kserve.load(os.path.join(output, "logits.npy"))
        self.assertEqual(support.expected(), [item.data for item in logits.items()])

        self.assert_changes(names)
        check("down")
        self.assertEqual([], traces())

    def assert_changes(self, names):
        """Crash and boot, freeze and thaw, cut and heal, shares, and events on the clock."""
        check("crash", "board-3")
        self.assertEqual("off", self.status()["board-3"]["state"])
        self.assert_fails(lab("exec", "board-3", "true"), 1, "is off")
        self.await_members(names[:2], names[:2])
        check("boot", "board-3")
        self.await_members(names, names)
        check("freeze", "board-2")
        self.assertEqual("frozen", self.status()["board-2"]["state"])
        self.await_members(["board-1", "board-3"], ["board-1", "board-3"])
        check("thaw", "board-2")
        self.await_members(names, names)
        check("cut", "board-1", "board-2")
        self.assertFalse(self.reaches("board-1", "10.77.0.2"))
        self.assertTrue(self.reaches("board-1", "10.77.0.3"))
        done = check("run", "--json").json()["events"]
        self.assertEqual(["isolate board-3", "cpu board-2 0.3", "loss board-2 0.01"],
                         [event["event"] for event in done])
        document = check("status", "--json").json()
        self.assertEqual({"cuts": [["board-1", "board-2"]], "isolated": ["board-3"],
                          "loss": {"board-2": 0.01}}, document["faults"])
        self.assertEqual(0.3, document["devices"][1]["share"])
        check("heal")
        self.await_members(names, names)
        check("leave", "board-2")
        self.assertEqual("no agent", self.status()["board-2"]["state"])
        check("boot", "board-2")
        self.await_members(names, names)

    def reaches(self, device, address):
        """Whether a device gets a connection to the port of agents at an address."""
        return not lab("exec", device, "timeout", 5, "bash", "-c",
                       f": > /dev/tcp/{address}/8701").code

    def test_rate(self):
        """What a device sends and receives is as fast as its cable."""
        check("up", self.file, "--core-speed", CORE)
        for rate, least, most in (("20mbit", 0.6, 1.05), ("off", 2.5, 5.3)):
            check("rate", "board-2", rate)
            for source, target in (("board-1", "board-2"), ("board-2", "board-1")):
                found = self.transfer(source, target) / 2e7
                self.assertTrue(least <= found <= most, f"{rate}: {found} of 20 Mbit/s")

    def transfer(self, source, target):
        """Bits per second of one TCP connection."""
        address = self.status()[target]["address"]
        server = subprocess.Popen(
            [LAB, "--lab", NAME, "exec", "--unlimited", target, "iperf3", "--server", "--one-off",
             "--forceflush"], stdout=subprocess.PIPE, text=True)
        try:
            while "listening" not in (line := server.stdout.readline()):
                self.assertTrue(line, "iperf3 does not start")
            document = check("exec", "--unlimited", source, "iperf3", "--json", "--time", 2,
                             "--client", address).json()
            server.communicate(timeout=30)
        finally:
            server.kill()
            server.stdout.close()
            server.wait()
        return document["end"]["sum_received"]["bits_per_second"]

    def test_memory(self):
        """A device has the memory that it is given, and no more."""
        check("up", self.file, "--core-speed", CORE, "--off", "board-3")
        self.assertEqual("off", self.status()["board-3"]["state"])
        taken = lab("exec", "board-1", "python3", "-c", "b'1' * (600 << 20)")
        self.assertNotEqual(0, taken.code)
        mesh.wait(SECONDS, "board-1 says so", lambda: self.status()["board-1"]["memory_kills"])

    def test_interrupted(self):
        """An `up` that is ended leaves nothing, one that is killed leaves what `down` removes."""
        for number, moment in ((signal.SIGINT, "lab.json"), (signal.SIGTERM, "topology.yaml"),
                               (signal.SIGKILL, "lab.json"), (signal.SIGKILL, "mesh.secret")):
            self.break_off(number, moment)
            if number == signal.SIGKILL:
                self.assert_fails(lab("status"), 1, "not up")
                check("down")
            self.assertEqual([], traces(), f"after {number!r} at {moment}")
        # What is left of a killed one is also no obstacle to the next.
        self.break_off(signal.SIGKILL, "mesh.secret")
        check("up", self.file, "--core-speed", CORE)
        keeper = self.keeper()
        os.kill(keeper, signal.SIGKILL)
        mesh.wait(SECONDS, "the lab dies", lambda: lab("status").code)
        self.assert_fails(lab("status"), 1, "has died")
        check("down")
        self.assertEqual([], traces())

    def runtime(self, *rest):
        """A file of the lab."""
        base = os.environ.get("XDG_RUNTIME_DIR") or (
            f"/run/user/{os.getuid()}" if os.path.isdir(f"/run/user/{os.getuid()}") else "/run")
        return os.path.join(base, "tessera-lab", NAME, *rest)

    def keeper(self):
        """The lab's first process."""
        with open(self.runtime("lab.json"), encoding="utf-8") as file:
            return json.load(file)["keeper"][0]

    def break_off(self, number, moment):
        """Sends a signal to an `up` as soon as a file of the lab is there."""
        process = subprocess.Popen(
            [LAB, "--lab", NAME, "up", self.file, "--core-speed", CORE],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TESSERA_PROGRAM": os.path.abspath(mesh.TESSERA)})
        try:
            mesh.wait(SECONDS, f"{moment} is there", lambda: os.path.exists(self.runtime(moment)))
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        if number != signal.SIGKILL:
            self.assertEqual(128 + number, process.returncode, errors)

    def test_side_by_side(self):
        """Two labs do not see each other, and one does not end the other."""
        other = NAME + "-b"
        self.addCleanup(lab, "down", name=other)
        check("up", self.file, "--core-speed", CORE, "--off", "board-3")
        check("up", self.file, "--core-speed", CORE, "--off", "board-2", name=other)
        self.assertEqual(["board-1", "board-2"], self.status()["board-1"]["members"])
        self.assert_fails(lab("up", self.file), 1, "is up already")
        check("down", name=other)
        self.assertEqual([], traces(other))
        self.assertEqual(["board-1", "board-2"], self.status()["board-1"]["members"])

    def test_daemon_killed(self):
        """The mesh does not need Avahi once it is there."""
        check("up", self.file, "--core-speed", CORE)
        names = ["board-1", "board-2", "board-3"]
        check("exec", "board-2", "sh", "-c",
              "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in "
              "avahi-daemon*board-2*) kill -9 ${p#/proc/};; esac; done")
        mesh.wait(SECONDS, "board-2 notices", lambda: "not working" == check(
            "exec", "board-2", "tessera", "status", "--json").json()["discovery"])
        self.await_members(names, names)

    def test_compare(self):
        """Prediction and measurement side by side; the lab is gone afterwards."""
        result = check("compare", self.file, support.file(support.CNN), "--seconds", 3, "--clients",
                       4, "--core-speed", CORE, "--json", timeout=400)
        document = result.json()
        self.assertEqual(0, document["measured"]["lost"], document)
        self.assertGreater(document["measured"]["answers"], 5)
        for column in ("predicted", "simulated", "expected", "measured"):
            for key in ("period_seconds", "latency_seconds"):
                self.assertGreater(document[column][key], 0)
        self.assertEqual([], traces("compare-"))

    def test_wrong_usage(self):
        """Errors say what is wrong."""
        self.assert_fails(lab("explode"), 64, "invalid choice")
        self.assert_fails(lab("status"), 1, "not up")
        self.assert_fails(lab("up", "/nonexistent.yaml"), 1, "cannot be read")
        self.assert_fails(lab("up", self.file, "--off", "hub"), 64, "no device is called 'hub'")


if __name__ == "__main__":
    unittest.main()
