"""The command line: forms, exit codes, configuration."""

import json
import os
import tempfile
import unittest

import support
from support import mesh


class WithoutAgent(support.Case):
    """Commands that need no agent, or find none."""

    def test_unreachable(self):
        """Without an agent: exit code 69, and how to start one."""
        for command in (["members"], ["status"], ["model", "list"], ["plan", "x"], ["events"]):
            result = mesh.run(*command, "--api", "http://127.0.0.1:1")
            self.assert_fails(result, 69, "127.0.0.1:1", "tessera agent")
            self.assertEqual("", result.out)

    def test_usage(self):
        """Wrong usage: exit code 64."""
        for command in (["nonsense"], ["members", "--nonsense"], ["members", "--api", "ftp://x"],
                        ["infer", "m", "--output-dir", "/tmp"], ["members", "--status", "well"],
                        ["agent", "--memory", "much"], ["agent", "--listen", "here"],
                        ["agent", "--discovery", "magic"], ["simulate", "--count", "0"],
                        ["events", "--follow", "--failover"]):
            result = mesh.run(*command)
            self.assertEqual(64, result.code, (command, result.err))
            self.assertEqual("", result.out)
            self.assertNotEqual("", result.err)

    def test_version(self):
        """The version, for people and programs."""
        self.assertRegex(mesh.check("version").out, r"^tessera \d+\.\d+\.\d+, protocol \d+\n$")
        self.assertEqual(1, mesh.check("version", "--json").json()["version"])

    def test_secret(self):
        """Secrets are new each time, never overwrite a file, and only their owner may read them."""
        self.assertNotEqual(mesh.check("mesh", "secret").out, mesh.check("mesh", "secret").out)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "secret")
            mesh.check("mesh", "secret", "--output", path)
            self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
            self.assert_fails(mesh.run("mesh", "secret", "--output", path), 1, path)

    def test_precedence(self):
        """Flags go before variables, variables before the file, the file before what is usual."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "agent.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write("name: file\nthreads: 3\nmesh: file\nseed: [a:1, 'b:2']\nmemory: 1G\n")
            result = mesh.check(
                "agent", "--config", path, "--name", "flag", "--print-config",
                environment={"TESSERA_NAME": "variable", "TESSERA_THREADS": "2",
                             "TESSERA_SEED": ""})
            lines = {line.split(": ", 1)[0]: line.split(": ", 1)[1]
                     for line in result.out.splitlines()}
            self.assertEqual('"flag"  # flag', lines["name"])
            self.assertEqual("2  # environment", lines["threads"])
            self.assertEqual('"file"  # file', lines["mesh"])
            self.assertEqual('["a:1", "b:2"]  # file', lines["seed"])
            self.assertEqual('"0.0.0.0:8701"  # default', lines["listen"])
            # What it prints is a file that gives the same agent.
            again = os.path.join(folder, "again.yaml")
            with open(again, "w", encoding="utf-8") as file:
                file.write(result.out)
            self.assertEqual(
                [line.split("  # ")[0] for line in result.out.splitlines()],
                [line.split("  # ")[0] for line in
                 mesh.check("agent", "--config", again, "--print-config").out.splitlines()])
            for text in ("nonsense: 1\n", "- 1\n", "name: [a, b]\n", "threads: many\n", "{"):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                result = mesh.run("agent", "--config", path, "--print-config")
                self.assertEqual(64, result.code, (text, result.err))

    def test_simulate(self):
        """The same seeds give the same runs in two processes."""
        runs = [mesh.check("simulate", "--seed", 7, "--count", 2, "--json").json()
                for _ in range(2)]
        self.assertEqual(runs[0], runs[1])
        self.assertEqual([7, 8], [run["seed"] for run in runs[0]["runs"]])

    def test_doctor_without_agent(self):
        """The doctor says what is missing, and what to do."""
        with tempfile.TemporaryDirectory() as folder:
            result = mesh.run("doctor", "--data-dir", folder, "--api", "127.0.0.1:1", "--json")
            self.assertEqual(2, result.code)
            checks = {check["check"]: check for check in result.json()["checks"]}
            self.assertEqual("warning", checks["agent"]["state"])
            self.assertEqual("failed", checks["mesh secret"]["state"])
            self.assertIn("tessera mesh secret", checks["mesh secret"]["next"])
            for name in ("OpenVINO", "data folder"):
                self.assertEqual("ok", checks[name]["state"], checks[name])


class WithAgent(support.Case):
    """Commands against a mesh of two."""

    @classmethod
    def setUpClass(cls):
        """One mesh for all."""
        cls.agents = mesh.Mesh("ab").__enter__()
        cls.agents["a"].add(support.CNN, support.file(support.CNN))
        cls.agents.await_ready(support.CNN)

    @classmethod
    def tearDownClass(cls):
        """Ends it."""
        cls.agents.__exit__(None)

    def ask(self, *command, **options):
        """Runs a command against agent a."""
        return mesh.run(*command, "--api", self.agents["a"].api, **options)

    def test_json(self):
        """Every reading command gives one document with a version."""
        for command in (["members"], ["status"], ["model", "list"], ["plan", support.CNN],
                        ["events", "--failover"]):
            result = self.ask(*command, "--json")
            self.assertEqual(0, result.code, result.err)
            self.assertEqual(1, result.json()["version"], command)
            self.assertEqual("", result.err)
        members = self.ask("members", "--json").json()["members"]
        self.assertEqual(["a", "b"], [member["name"] for member in members])
        for line in self.ask("events", "--json").out.splitlines():
            self.assertEqual(1, json.loads(line)["version"])

    def test_tables(self):
        """Tables have a header, a stable order and no colour if no terminal reads them."""
        lines = self.ask("members").out.splitlines()
        self.assertTrue(lines[0].startswith("NAME"))
        self.assertEqual(["a*", "b"], [line.split()[0] for line in lines[1:]])
        for command in (["members"], ["status"], ["model", "list"], ["plan", support.CNN],
                        ["events"]):
            self.assertNotIn("\033", self.ask(*command).out)

    def test_nothing_matched(self):
        """What is not there: exit code 2."""
        self.assert_fails(self.ask("plan", "none-such"), 2, "none-such")
        self.assert_fails(self.ask("members", "--status", "dead"), 2)
        self.assert_fails(
            self.ask("model", "remove", "none-such", "--token-file", self.agents["a"].token_file),
            2, "none-such")

    def test_variable(self):
        """TESSERA_API names the agent as --api does."""
        for api in (self.agents["b"].api, self.agents["b"].api.removeprefix("http://")):
            document = mesh.check("status", "--json", environment={"TESSERA_API": api}).json()
            self.assertEqual("b", document["name"])

    def test_token(self):
        """Without the token nothing changes, and the message says where it is."""
        nowhere = {"TESSERA_DATA_DIR": "/nonexistent"}
        result = self.ask("model", "remove", support.CNN, environment=nowhere)
        self.assert_fails(result, 1, "token", "/nonexistent/admin.token")
        result = self.ask("model", "remove", support.CNN, "--token-file",
                          self.agents["b"].token_file)
        self.assert_fails(result, 1, "token")

    def test_add_and_remove(self):
        """A model comes and goes on every agent; the same file twice costs no upload."""
        added = self.agents["b"].add("second", support.file(support.CNN))
        self.assertIn("0 B sent", added.err)
        self.assertRegex(added.out, r"^second is ready: on 2 of 2 nodes stored")
        mesh.wait(10, "a lists it", lambda: self.agents["a"].is_ready("second"))
        mesh.check("model", "remove", "second", "--api", self.agents["a"].api, "--token-file",
                   self.agents["a"].token_file)
        mesh.wait(10, "b has forgotten it", lambda: "second" not in [
            model["name"] for model in self.agents["b"].get("/tessera/v1/models")["models"]])
        self.assertTrue(self.agents["b"].is_ready(support.CNN))

    def test_doctor(self):
        """The doctor finds the agent well."""
        agent = self.agents["a"]
        result = mesh.run(
            "doctor", "--api", agent.api, "--listen", agent.peers, "--data-dir", agent.folder,
            "--secret-file", self.agents.secret, "--mesh", "test", "--json")
        states = {check["check"]: check["state"] for check in result.json()["checks"]}
        # mDNS may not be there, and the machine may have little memory or disk.
        self.assertIn(result.code, (0, 1), result.out)
        for name in ("agent", "versions", "OpenVINO", "multicast", "peer port", "API port",
                     "data folder", "mesh secret", "members", "engines", "quota", "clock"):
            self.assertEqual("ok", states[name], result.out)

    def test_early_end_of_reader(self):
        """A reader that has enough, such as head, is no error."""
        process = mesh.subprocess.Popen(
            [mesh.TESSERA, "events", "--follow", "--api", self.agents["a"].api],
            stdout=mesh.subprocess.PIPE, stderr=mesh.subprocess.PIPE)
        self.assertIn(b"alive", process.stdout.readline() + process.stdout.readline())
        process.terminate()
        process.communicate(timeout=10)


if __name__ == "__main__":
    unittest.main()
