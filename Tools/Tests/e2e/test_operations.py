"""What operators run every day: check, events, top and drain."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import support
from support import load, mesh

NOWHERE = "http://127.0.0.1:1"
DRAIN_SECONDS = 60


class WithoutAgent(support.Case):
    """What the commands do where no agent is."""

    def test_check(self):
        """A check that finds no agent is unknown, and says so in its one line."""
        result = mesh.run("check", "--api", NOWHERE)
        self.assertEqual(3, result.code, result.err)
        self.assertRegex(result.out, r"^TESSERA UNKNOWN: no agent answers at http://127.0.0.1:1.*\n$")
        document = mesh.run("check", "--api", NOWHERE, "--json").json()
        self.assertEqual(["unknown", 3, 1],
                         [document[name] for name in ("state", "code", "version")])

    def test_unreachable(self):
        """Top says how to start an agent, and so does drain to who has its token."""
        self.assert_fails(mesh.run("top", "--once", "--api", NOWHERE), 69, "tessera agent")
        with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
            file.write("0123456789abcdef\n")
            file.flush()
            result = mesh.run("drain", "--api", NOWHERE, "--token-file", file.name)
            self.assert_fails(result, 69, "tessera agent")

    def test_usage(self):
        """Wrong usage: exit code 64."""
        for command in (["check", "--members", "0"], ["check", "--memory", "101"],
                        ["check", "--max-latency", "soon"], ["top", "--interval", "0"],
                        ["events", "--since", "yesterday"], ["events", "--kind", "party"],
                        ["events", "--failover", "--kind", "member"],
                        ["drain", "--timeout", "-1s"]):
            result = mesh.run(*command)
            self.assertEqual(64, result.code, (command, result.err))
            self.assertEqual("", result.out)
            self.assertNotEqual("", result.err)
        self.assertIn("lossDetected", mesh.run("events", "--kind", "party").err)
        self.assertIn("3 unknown", mesh.check("check", "--help").out)


class Unwell(support.Case):
    """An agent to which something is missing."""

    def test_status(self):
        """The last lines of `status` say what is wrong, and nothing is said where nothing is."""
        bus = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/tessera/bus"}
        with mesh.Mesh("a", discovery="mdns", environment=bus) as agents:
            def health():
                lines = mesh.check("status", "--api", agents["a"].api).out.splitlines()
                return [line for line in lines if line.startswith("#")], lines
            mesh.wait(20, "a line about mDNS", lambda: health()[0])
            wrong, lines = health()
            self.assertRegex(wrong[0], r"^# mDNS: .*")
            self.assertEqual(wrong, lines[-len(wrong):])
            self.assertRegex(lines[0], r"^AGENT +a$")
        with mesh.Mesh("a", discovery="none") as agents:
            self.assertNotIn("#", mesh.check("status", "--api", agents["a"].api).out)


class Watching(support.Case):
    """Commands that only look, against a mesh of two with a model."""

    @classmethod
    def setUpClass(cls):
        """One mesh for all."""
        cls.agents = mesh.Mesh("ab").__enter__()
        cls.agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
        cls.agents.await_spread(support.CNN)

    @classmethod
    def tearDownClass(cls):
        """Ends it."""
        cls.agents.__exit__(None)

    def ask(self, *command, **options):
        """Runs a command against agent a."""
        return mesh.run(*command, "--api", self.agents["a"].api, **options)

    def check(self, code, *flags):
        """The document of a check that ends with this code; its line says the same."""
        result = self.ask("check", *flags)
        self.assertEqual(code, result.code, result.out + result.err)
        self.assertEqual(1, result.out.count("\n"))
        document = self.ask("check", *flags, "--json").json()
        self.assertEqual(code, document["code"], document)
        self.assertIn(f"TESSERA {document['state'].upper()}: ", result.out)
        return document

    def test_check_is_ok(self):
        """All is as it has to be."""
        document = self.check(0, "--members", 2, "--model", support.CNN, "--memory", 100)
        figures = {figure["name"]: figure["value"] for figure in document["figures"]}
        self.assertEqual(2, figures["members"])
        self.assertEqual(1, figures["models_ready"])
        self.assertGreater(figures["memory"], 0)
        self.assertEqual([], document["findings"])

    def test_check_is_critical(self):
        """Too few members, and a model that is not there."""
        self.assertIn("expected are 3", self.check(2, "--members", 3)["text"])
        document = self.check(2, "--members", 3, "--model", "none-such", "--memory", 0)
        self.assertEqual(["critical", "critical", "warning"],
                         [finding["state"] for finding in document["findings"]])

    def test_check_warns(self):
        """Memory, and times once they were measured."""
        self.assertIn("memory", self.check(1, "--memory", 0)["text"])
        support.infer(self.agents["a"], support.CNN, self.agents.folder)

        def measured():
            plan = self.agents["a"].plan(support.CNN)
            return plan and any("measuredMicroseconds" in stage for stage in plan["stages"])
        mesh.wait(30, "a stage is measured", measured)
        self.check(0, "--max-latency", "60s", "--max-period", "60s")
        document = self.check(1, "--max-latency", "1us", "--max-period", "1us")
        self.assertEqual(2, len(document["findings"]), document)
        self.assertIn(support.CNN, document["text"])

    def test_events(self):
        """Events by time, number, kind, node and model."""
        def events(*flags):
            result = self.ask("events", "--json", *flags)
            self.assertEqual(0, result.code, result.err)
            return [json.loads(line) for line in result.out.splitlines()]
        every = events()
        self.assertEqual(every, events("--since", "0"))
        last = every[-3]["number"]
        self.assertTrue(all(event["number"] > last for event in events("--since", last)))
        self.assertEqual(every, events("--since", "1d")[:len(every)])
        self.assertLess(len(events("--since", "1ms")), len(every))
        kinds = events("--kind", "decided", "--kind", "member")
        self.assertEqual({"decided", "member"}, {event["kind"] for event in kinds})
        self.assertEqual({"b"}, {event["node"] for event in events("--node", "b")})
        both = events("--model", support.CNN, "--kind", "decided", "--since", "1h")
        self.assertEqual({(support.CNN, "decided")},
                         {(event["model"], event["kind"]) for event in both})
        self.assert_fails(self.ask("events", "--model", "none-such"), 2, "no event")

    def test_top_once(self):
        """One frame without a terminal: no colours, no control of a screen."""
        work = load.Load(self.agents.running, support.CNN, support.images(), 2,
                         per_second=40).start()
        mesh.wait(20, "load", lambda: work.count >= 20)
        result = self.ask("top", "--once", "--interval", "500ms")
        work.stop()
        self.assertEqual(0, result.code, result.err)
        self.assertNotIn("\033", result.out)
        lines = result.out.splitlines()
        self.assertTrue(lines[0].startswith("a of mesh test: ready"), lines[0])
        self.assertRegex(lines[1], r"^members 2 alive   open \d+   answers [1-9][0-9.]*/s ")
        for text in ("a*", "b ", f"{support.CNN}: ready", "<- bottleneck: ", "LAST EVENTS"):
            self.assertTrue(any(text in line for line in lines), (text, result.out))

    def test_top_on_terminal(self):
        """On a terminal it fits, keeps to NO_COLOR, and gives the terminal back on Ctrl-C."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 50, 0, 0))
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("TESSERA_")}
        environment.update({"NO_COLOR": "1", "TERM": "xterm"})
        process = subprocess.Popen(
            [mesh.TESSERA, "top", "--interval", "200ms", "--api", self.agents["a"].api],
            stdin=follower, stdout=follower, stderr=follower, env=environment,
            start_new_session=True)
        os.close(follower)
        self.agents.register(process)
        output = b""

        def read(until):
            nonlocal output
            while until not in output:
                output += os.read(leader, 65536)
        read(b"LAST EVENTS")
        start = output.index(b"\033[H")
        read(b"\033[J\033[H")
        frame = output[start:output.index(b"\033[J")].decode()
        lines = frame.replace("\033[H", "").replace("\033[K", "").replace("\r", "").split("\n")
        self.assertLessEqual(len(lines), 20)
        self.assertLessEqual(max(map(len, lines)), 50)
        self.assertNotIn("\033", "".join(lines))
        process.send_signal(signal.SIGINT)
        read(b"\033[?1049l")
        self.assertIn(b"\033[?25h", output)
        self.assertEqual(0, process.wait(20))
        os.close(leader)


class Drain(support.Case):
    """An agent that is asked to leave."""

    def drain(self, agent, *flags, asked=None):
        """Drains an agent from outside; gives what the command said and the exit code."""
        agent.is_leaving = True
        result = mesh.run(
            "drain", "--api", agent.api, "--token-file", (asked or agent).token_file, *flags)
        if result.code != 0:
            agent.is_leaving = False
            return result, None
        code = agent.process.wait(mesh.LEAVE_SECONDS)
        agent._ended()
        return result, code

    def test_under_load(self):
        """A drained agent, an entry and a host, goes without a lost request, with exit code 0."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_spread(support.CNN)
            rate = support.capacity(agents.running) * support.SHARE_OF_CAPACITY
            leaver = agents["b"]
            work = load.Load(agents.running, support.CNN, support.images(), support.CLIENTS,
                             per_second=rate).start()
            mesh.wait(30, "load", lambda: work.count >= 100)
            begin = time.monotonic()
            result, code = self.drain(leaver, "--timeout", f"{DRAIN_SECONDS}s")
            self.assertEqual(0, result.code, result.err)
            print(f"  left after {time.monotonic() - begin:.1f} s", flush=True)
            self.assertRegex(result.out, r"^b has left after \d+\.\d s\n$")
            self.assertEqual(0, code)
            count = work.count
            mesh.wait(30, "answers after it", lambda: work.count >= count + rate)
            self.assert_all_right(work.stop())
            for agent in agents.running:
                self.assertNotIn("b", agent.plan_nodes(support.CNN))
                self.assertNotIn("b", agent.members())
            # The rest says in its counters what it answered.
            answered = sum(agent.get("/tessera/v1/status")["counters"]["requestsAnswered"]
                           for agent in agents.running)
            self.assertGreaterEqual(
                answered, sum(record.entry != "b" for record in work.records))

    def test_token(self):
        """Only who has the agent's own token may drain it."""
        with mesh.Mesh("ab") as agents:
            result, _ = self.drain(agents["b"], asked=agents["a"])
            self.assert_fails(result, 1, "token")
            client = agents["b"].client()
            self.assertEqual(401, client.call("POST", "/tessera/v1/drain")[0])
            self.assertEqual(405, client.call("GET", "/tessera/v1/drain")[0])
            client.close()
            mesh.wait(30, "b takes requests", lambda: self.ready(agents["b"]) == 200)
            result, code = self.drain(agents["b"])
            self.assertEqual((0, 0), (result.code, code), result.err)

    @staticmethod
    def ready(agent):
        """The status of the question whether an agent takes requests."""
        client = agent.client()
        try:
            return client.call("GET", "/v2/health/ready")[0]
        finally:
            client.close()


if __name__ == "__main__":
    unittest.main()
