"""The doctor, where something is wrong and where nothing is."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

import support
from support import mesh

NOWHERE = "127.0.0.1:1"
# A bus that is not there: no Avahi daemon, whatever this machine runs.
WITHOUT_AVAHI = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/tessera/bus"}


class Doctor(support.Case):
    """Settings that are right, of which each test breaks one."""

    def setUp(self):
        """A folder of one's own with a secret in it."""
        self.parent = tempfile.mkdtemp(prefix="tessera-doctor-")
        self.folder = os.path.join(self.parent, "data")
        os.mkdir(self.folder, 0o700)
        self.secret = os.path.join(self.folder, "mesh.secret")
        mesh.check("mesh", "secret", "--output", self.secret)

    def tearDown(self):
        """Removes it."""
        shutil.rmtree(self.parent, ignore_errors=True)

    def run_doctor(self, *flags, environment=None, folder=None, memory="64M"):
        """The findings by check; the exit code is that of the worst, and lines say the same."""
        command = ["doctor", "--data-dir", folder or self.folder, "--secret-file", self.secret,
                   "--api", NOWHERE, "--listen", "127.0.0.1:0", "--grpc-port", "0",
                   "--memory", memory, *flags]
        environment = environment or WITHOUT_AVAHI
        result = mesh.run(*command, "--json", environment=environment)
        document = result.json()
        self.assertEqual(1, document["version"])
        self.assertEqual(document["code"], result.code, result.err)
        worst = max(("ok", "warning", "failed").index(check["state"])
                    for check in document["checks"])
        self.assertEqual(worst, result.code)
        for check in document["checks"]:
            self.assertEqual(check["state"] == "ok", "next" not in check, check)
        return {check["check"]: check for check in document["checks"]}

    def assert_state(self, state, finding, *words):
        """A finding has this state, and these words in text and advice."""
        self.assertEqual(state, finding["state"], finding)
        for word in words:
            self.assertIn(word, finding["text"] + " " + finding.get("next", ""))

    def test_without_agent(self):
        """Before the first start: only what is not there yet is a warning."""
        checks = self.run_doctor()
        self.assert_state("warning", checks["agent"], "tessera agent")
        for name in ("OpenVINO", "peer port", "gRPC port", "clock", "data folder", "mesh secret",
                     "memory"):
            self.assert_state("ok", checks[name])
        self.assertNotIn(self.read_secret(), str(checks))

    def read_secret(self):
        """The secret's text."""
        with open(self.secret, encoding="ascii") as file:
            return file.read().strip()

    def test_lines(self):
        """Without --json each check is a line, with what to do below it."""
        result = mesh.run("doctor", "--data-dir", self.folder, "--api", NOWHERE, "--listen",
                          "127.0.0.1:0", "--grpc-port", "off", environment=WITHOUT_AVAHI)
        self.assertRegex(result.out, r"(?m)^ok       OpenVINO: ")
        self.assertRegex(result.out, r"(?m)^warning  mDNS: .*\n +-> start avahi-daemon")
        self.assertNotIn(self.read_secret(), result.out)

    def test_no_avahi(self):
        """Without a daemon mDNS is a warning, because the beacon does its work."""
        self.assert_state("warning", self.run_doctor()["mDNS"], "avahi-daemon", "beacon")

    @unittest.skipUnless(shutil.which("avahi-daemon"), "no avahi-daemon")
    def test_avahi(self):
        """With a daemon a service is taken and seen by another part."""
        with mesh.PrivateMulticastDNS() as environment:
            checks = self.run_doctor(environment=environment)
        self.assert_state("ok", checks["mDNS"], "shows it")

    def test_unwritable_folder(self):
        """A folder in which nothing can be made, there already or not."""
        self.assert_state("failed", self.run_doctor(folder="/proc/self")["data folder"],
                          "not writable", "--data-dir")
        self.assert_state("failed", self.run_doctor(folder="/dev/null/x")["data folder"],
                          "/dev/null", "--data-dir")

    def test_folder_to_be_made(self):
        """A folder that is made at the first start."""
        folder = os.path.join(self.parent, "later", "data")
        self.assert_state("ok", self.run_doctor(folder=folder)["data folder"], "first start")
        self.assertFalse(os.path.exists(os.path.dirname(folder)))

    def test_modes(self):
        """What others may read or change."""
        os.chmod(self.folder, 0o777)
        self.assert_state("failed", self.run_doctor()["data folder"], "0777", "chmod 700")
        os.chmod(self.folder, 0o700)
        key = os.path.join(self.folder, "identity.key")
        with open(key, "w", encoding="ascii") as file:
            file.write("x")
        os.chmod(key, 0o640)
        self.assert_state("failed", self.run_doctor()["data folder"], "0640", "chmod 600")
        os.chmod(key, 0o600)
        os.chmod(self.secret, 0o644)
        checks = self.run_doctor()
        self.assert_state("failed", checks["mesh secret"], "chmod 600")
        self.assertEqual([], [name for name in os.listdir(self.folder) if "doctor" in name])

    def test_no_secret(self):
        """No secret, and one with a typing error."""
        with open(self.secret, "a", encoding="ascii") as file:
            file.write("x")
        self.assert_state("failed", self.run_doctor()["mesh secret"], "tessera mesh secret")
        os.remove(self.secret)
        self.assert_state("failed", self.run_doctor()["mesh secret"], "tessera mesh secret")

    def test_port_taken(self):
        """A port that another program has."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            place = f"127.0.0.1:{server.getsockname()[1]}"
            self.assert_state("failed", self.run_doctor("--listen", place)["peer port"],
                              "another program", "--listen")
        self.assert_state("failed", self.run_doctor("--listen", "192.0.2.1:5")["peer port"],
                          "address of this machine")

    def test_stranger(self):
        """Something else at the agent's place is not an agent that is missing."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0)
            place = f"127.0.0.1:{server.getsockname()[1]}"
            import threading

            def answer():
                server.settimeout(20)
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            self.assert_state("failed", self.run_doctor("--api", place)["agent"])
            thread.join()

    def test_firewall(self):
        """A firewall that drops what comes for a peer is told, and that it is gone."""
        if os.geteuid() != 0 or not shutil.which("nft"):
            self.skipTest("a firewall of one's own needs root and nft")
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        own = os.readlink("/proc/self/ns/net")
        mesh.wait(10, "a network of one's own", lambda: os.readlink(
            f"/proc/{holder.pid}/ns/net") != own)
        enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]

        def inside(*command):
            result = subprocess.run([*enter, *command], capture_output=True, text=True)
            self.assertEqual(0, result.returncode, result.stderr)
            return result.stdout

        def finding(state):
            """The doctor's finding, once it is of this state."""
            def look():
                text = subprocess.run(
                    [*enter, os.path.abspath(mesh.TESSERA), "doctor", *places, "--json"],
                    env={**os.environ, **WITHOUT_AVAHI}, capture_output=True, text=True).stdout
                checks = {check["check"]: check for check in json.loads(text)["checks"]}
                found = checks.get("firewall")
                return found if found and found["state"] == state else None
            return mesh.wait(60, f"a firewall that is {state}", look)
        inside("ip", "link", "set", "lo", "up")
        inside("nft", "add table inet t; add chain inet t in { type filter hook input priority 0; };"
               " add rule inet t in tcp dport { 8701, 8711 } drop;"
               " add rule inet t in udp dport { 8701, 8711 } drop")
        places = ["--data-dir", self.folder, "--api", "127.0.0.1:8700", "--listen",
                  "127.0.0.1:8701", "--grpc-port", "off", "--mesh", "test", "--memory", "64M"]
        agents = []
        for name, port, other in (("a", 8700, 8711), ("b", 8710, 8701)):
            folder = os.path.join(self.parent, name)
            agents.append(subprocess.Popen(
                [*enter, os.path.abspath(mesh.TESSERA), "agent", "--name", name, "--mesh", "test",
                 "--data-dir", folder, "--secret-file", self.secret, "--memory", "64M",
                 "--api", f"127.0.0.1:{port}", "--listen", f"127.0.0.1:{port + 1}", "--grpc-port",
                 "off", "--discovery", "none", "--seed", f"127.0.0.1:{other}"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            self.addCleanup(agents[-1].wait)
            self.addCleanup(agents[-1].terminate)
        self.assert_state("warning", finding("warning"), "127.0.0.1:8711", "nft list ruleset")
        inside("nft", "flush", "ruleset")
        self.assert_state("ok", finding("ok"), "could be reached")

    def test_memory(self):
        """More than the machine has."""
        self.assert_state("failed", self.run_doctor(memory="900T")["memory"], "--memory")

    def test_with_agents(self):
        """A running agent: its mesh, members, engine, quota, and ports that accept."""
        with mesh.Mesh("ab") as agents:
            agent = agents["a"]

            def measured():
                document = agent.get("/tessera/v1/members") or {"members": []}
                return all("fingerprint" in member for member in document["members"]) and any(
                    "clockOffsetMicroseconds" in member for member in document["members"])
            mesh.wait(60, "all engines are measured, and clocks compared", measured)
            mesh.wait(60, "a takes requests", lambda: agent.get("/v2/health/ready"))
            flags = ["--api", agent.api, "--listen", agent.peers, "--grpc-port",
                     agent.grpc.rsplit(":", 1)[1]]
            checks = self.run_doctor(*flags, "--mesh", "test", folder=agent.folder)
            for name in ("agent", "versions", "releases", "clocks", "engines", "members",
                         "quota", "peer port",
                         "API port", "gRPC port", "data folder"):
                self.assert_state("ok", checks[name])
            self.assertIn("accepts connections", checks["peer port"]["text"])
            self.assertRegex(checks["clocks"]["text"], r"^1 compared; the farthest is b's, ")
            self.assertNotIn("mesh", checks)
            self.assert_state("warning", self.run_doctor(*flags, "--mesh", "other")["mesh"],
                              "test", "other", "--mesh")
            agents["b"].leave()
            agents.await_members()
            self.assert_state("warning", self.run_doctor(*flags, "--mesh", "test")["members"],
                              "alone", "--seed")


if __name__ == "__main__":
    unittest.main()
