"""Secrets and tokens are in the files that hold them, and nowhere else that others can see."""

import os
import socket
import subprocess
import threading
import unittest

import numpy

import support
from support import mesh

# What the agents announce passes over the bus.
AVAHI = ["/usr/sbin/avahi-daemon", "/usr/bin/dbus-monitor"]
GROUP, PORT = "239.255.84.83", 8785


class Secrets(support.Case):
    """Agents that do what agents do, at the most talkative level."""

    def words(self, agents):
        """Everything that must not be seen, with what it is."""
        words = {}
        with open(agents.secret, encoding="ascii") as file:
            text = file.read().strip()
        words["the mesh's secret"] = text
        # Also without the prefix that says what it is.
        words["the secret's digits"] = text[len(text) // 2:]
        for agent in agents.agents.values():
            with open(agent.token_file, encoding="ascii") as file:
                words[f"the admin token of {agent.name}"] = file.read().strip()
        return words

    def look(self, words, place, data):
        """Fails if anything is seen."""
        for what, word in words.items():
            self.assertNotIn(word.encode(), data, f"{what} in {place}")

    def processes(self, agents):
        """What anybody sees of the processes, by place."""
        for agent in agents.running:
            for name in ("cmdline", "environ"):
                path = f"/proc/{agent.process.pid}/{name}"
                with open(path, "rb") as file:
                    yield path, file.read()

    def use(self, agents, words):
        """Makes tokens, uses right and wrong ones, adds a model, asks it, and fails in many ways."""
        agent, other = (agents.agents[name] for name in "ab")
        for right in ("read", "infer", "admin"):
            words[f"the token to {right}"] = mesh.check(
                "token", "add", right, "--right", right, "--data-dir", agent.folder).out.strip()
        agent.add(support.CNN, support.file(support.CNN))
        agents.await_ready(support.CNN)
        values = os.path.join(agents.folder, "values.npy")
        numpy.save(values, numpy.load(support.IMAGES)[:2])
        mesh.check("infer", support.CNN, "--input", f"image={values}", "--output-dir",
                   os.path.join(agents.folder, "out"), "--api", other.api)
        client = agent.client()
        for word in words.values():
            headers = {"Authorization": f"Bearer {word}"}
            for method, path in (("GET", "/tessera/v1/status"), ("GET", "/v2"),
                                 ("DELETE", "/tessera/v1/models/none"), ("GET", f"/{word[:1]}"),
                                 ("POST", "/v2/models/none/infer")):
                client.call(method, path, headers=headers)
        for path in ("/tessera/v1/status", "/tessera/v1/members", "/tessera/v1/models",
                     "/tessera/v1/events", "/metrics", "/"):
            _, fields, body = client.call("GET", path)
            self.look(words, path, body + str(fields).encode())
        client.close()
        for command in (["status", "--json"], ["events"], ["members", "--json"]):
            result = mesh.check(*command, "--api", agent.api, "--token-file", agent.token_file)
            self.look(words, command[0], (result.out + result.err).encode())
        folder = {"TESSERA_DATA_DIR": agent.folder}
        doctor = mesh.run("doctor", "--data-dir", agent.folder, "--secret-file", agents.secret,
                          "--api", f"{agent.host}:{agent.port}", environment=folder)
        listed = mesh.check("token", "list", "--json", "--data-dir", agent.folder)
        settings = mesh.check("agent", "--print-config", "--secret-file", agents.secret)
        for result in (doctor, listed, settings):
            self.look(words, "what a command prints", (result.out + result.err).encode())

    def test_nowhere(self):
        """Not in logs, traces, journals, arguments, environments, documents or other files."""
        agents = mesh.Mesh([], log_level="trace")
        for name in "ab":
            folder = os.path.join(agents.folder, name)
            agents.make(name, trace_file=f"{folder}/spans", journal=f"{folder}/journal")
            os.makedirs(folder, mode=0o700)
        with agents:
            words = self.words(agents)
            self.use(agents, words)
            for place, data in self.processes(agents):
                self.look(words, place, data)
            restarted = agents["b"]
            restarted.kill()
            restarted.start().await_ready()
            agents.await_members()
            words = {**self.words(agents), **words}
            folders = [agents[name].folder for name in "ab"]
            for agent in list(agents.running):
                agent.leave()
            private = {"admin.token"}
            files = 0
            for folder in folders:
                for root, _, names in os.walk(folder):
                    for name in set(names) - private:
                        path = os.path.join(root, name)
                        with open(path, "rb") as file:
                            self.look(words, path, file.read())
                        files += 1
            for name in "ab":
                with open(agents[name].log, "rb") as file:
                    log = file.read()
                self.assertGreater(len(log), 1_000, "the log says something at this level")
                self.look(words, "the log", log)
            self.assertGreater(files, 10)

    @unittest.skipUnless(all(map(os.path.exists, AVAHI)), "needs Avahi and D-Bus")
    def test_multicast_dns(self):
        """What agents tell Avahi holds no secret."""
        with mesh.PrivateMulticastDNS() as environment:
            monitor = subprocess.Popen(
                ["dbus-monitor", "--binary", "--address",
                 environment["DBUS_SYSTEM_BUS_ADDRESS"]], stdout=subprocess.PIPE)
            data = bytearray()
            reader = threading.Thread(
                target=lambda: [data.extend(part) for part in iter(
                    lambda: monitor.stdout.read1(65536), b"")], daemon=True)
            reader.start()
            try:
                mesh.wait(20, "the monitor listens", lambda: data)
                with mesh.Mesh("ab", discovery="mdns", environment=environment) as agents:
                    words = self.words(agents)
                    mesh.wait(20, "both are announced", lambda: data.count(b"AddService") >= 2)
            finally:
                monitor.terminate()
                monitor.wait()
                reader.join()
                monitor.stdout.close()
            self.assertIn(b"_tessera._tcp", data)
            self.look(words, "what was told Avahi", bytes(data))

    def test_beacon(self):
        """A beacon is sealed: neither secret nor names are in it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((GROUP, PORT))
            listener.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1"))
            listener.settimeout(20)
            with mesh.Mesh(["kitchen"], name="beacons") as agents:
                words = {**self.words(agents), "the mesh's name": "beacons", "a name": "kitchen"}
                for _ in range(3):
                    self.look(words, "a beacon", listener.recv(65536))


if __name__ == "__main__":
    unittest.main()
