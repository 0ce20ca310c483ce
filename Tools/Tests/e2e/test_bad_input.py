"""Property 5: bad input gets a clear error, and harms nobody else."""

import json
import os
import random
import shutil
import socket
import subprocess
import time
import unittest

import support
from support import kserve, load, mesh

ANSWER_SECONDS_MAX = 10
# The exit code of a command that failed.
FAILED = 1
STARTS = 20


class BadInput(support.Case):
    """Wrong requests and garbage against a mesh of two that goes on answering right ones."""

    @classmethod
    def setUpClass(cls):
        """One mesh for all, with other requests under way all the time."""
        cls.agents = mesh.Mesh("ab").__enter__()
        cls.agents["a"].add(support.CNN, support.file(support.CNN))
        cls.agents.await_ready(support.CNN)
        cls.work = load.Load(cls.agents.running, support.CNN, support.images(), 2,
                             per_second=20).start()
        cls.image = support.images()[0]

    @classmethod
    def tearDownClass(cls):
        """Nothing of it hurt the others."""
        try:
            mesh.wait(20, "load", lambda: cls.work.count >= 20)
            records = cls.work.stop()
            case = cls("test_unknown_model")
            case.assert_all_right(records)
            assert all(agent.runs for agent in cls.agents.agents.values())
        finally:
            cls.agents.__exit__(None)

    def refused(self, status, *words, model=support.CNN, **inputs):
        """A request is refused so."""
        begin = time.monotonic()
        client = self.agents["b"].client()
        with self.assertRaises(kserve.Refused) as refusal:
            client.infer(model, inputs)
        client.close()
        self.assertEqual(status, refusal.exception.status, refusal.exception.reason)
        for word in words:
            self.assertIn(word, refusal.exception.reason)
        self.assertLess(time.monotonic() - begin, ANSWER_SECONDS_MAX)

    def test_unknown_model(self):
        """A model that the mesh does not have."""
        self.refused(404, "none-such", model="none-such", image=self.image)

    def test_wrong_name(self):
        """An input that the model does not have."""
        self.refused(400, "picture", picture=self.image)

    def test_wrong_shape(self):
        """A shape that the model does not take."""
        data = self.image.data
        self.refused(400, "image", image=kserve.Array("<f4", (1, 1, 32, 128), data))

    def test_wrong_type(self):
        """A type that the model does not take."""
        self.refused(400, "image", image=kserve.Array("<i4", (1, 1, 64, 64), self.image.data))

    def test_wrong_byte_count(self):
        """Fewer bytes than the shape says, and more."""
        header = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 64, 64],
                              "parameters": {"binary_data_size": 16_384}}]}
        text = json.dumps(header).encode()
        for data in (self.image.data[:-4], self.image.data + b"xxxx"):
            status, _, body = self.agents["a"].client().call(
                "POST", f"/v2/models/{support.CNN}/infer", text + data,
                {kserve.LENGTH_FIELD: str(len(text))})
            self.assertEqual(400, status, body)
            self.assertIn("error", json.loads(body))

    def raw(self, agent, data, port=None):
        """Sends bytes and gives what comes back until the other side closes."""
        with socket.create_connection((agent.host, port or agent.port), 5) as connection:
            connection.settimeout(ANSWER_SECONDS_MAX)
            answer = b""
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    answer += part
            except OSError:
                pass  # The other side has closed: it has heard enough.
            return answer

    def test_oversize(self):
        """A body that is too long is refused before it is sent."""
        agent = self.agents["a"]
        answer = self.raw(
            agent, f"POST /v2/models/{support.CNN}/infer HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {1 << 40}\r\n\r\n".encode())
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0], answer[:200])

    def test_truncated(self):
        """A body that breaks off hangs nobody."""
        for _ in range(20):
            self.raw(self.agents["a"],
                     f"POST /v2/models/{support.CNN}/infer HTTP/1.1\r\nHost: localhost\r\n"
                     f"Content-Length: 20000\r\n\r\n{{\"inputs\"".encode())
        self.agents["a"].client().infer(support.CNN, {"image": self.image})

    def test_host_and_origin(self):
        """A foreign Host or Origin: a web page must not reach the agent."""
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            for path in ("/v2/health/live", "/tessera/v1/members"):
                status, _, _ = self.agents["a"].client().call("GET", path, headers=headers)
                self.assertEqual(403, status, (headers, path))

    def test_changes_need_the_token(self):
        """Nothing changes the mesh without the admin token."""
        client = self.agents["a"].client()
        body = json.dumps({"name": "x", "manifest": "0" * 64})
        for method, path in (("POST", "/tessera/v1/models"),
                             ("DELETE", f"/tessera/v1/models/{support.CNN}"),
                             ("PUT", "/tessera/v1/blobs/" + "0" * 64),
                             ("PUT", "/tessera/v1/manifests/" + "0" * 64)):
            for headers in ({}, {"Authorization": "Bearer " + "0" * 64}):
                status, _, _ = client.call(method, path, body, headers)
                self.assertEqual(401, status, (method, path))

    def test_garbage(self):
        """Garbage on every port."""
        generator = random.Random(7)
        for agent in self.agents.running:
            peer_port = int(agent.peers.rsplit(":", 1)[1])
            for length in (1, 3, 100, 5_000, 200_000):
                data = generator.randbytes(length)
                self.raw(agent, data, port=peer_port)
                self.raw(agent, data)
                # A TLS handshake that begins well and goes on as garbage.
                self.raw(agent, b"\x16\x03\x01\x02\x00" + data, port=peer_port)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                for length in [0, 1, 16, 64, 1_200, 9_000] * 30:
                    datagrams.sendto(generator.randbytes(length), (agent.host, peer_port))
        self.agents.await_members()

    def add(self, path, *flags):
        """Adds a model file."""
        return mesh.run(
            "model", "add", path, "--name", "bad", "--wait", 5, "--api", self.agents["a"].api,
            "--token-file", self.agents["a"].token_file, *flags)

    def test_hostile_model_files(self):
        """Files that are no models, or broken ones."""
        with open(support.file(support.CNN), "rb") as file:
            good = file.read()
        generator = random.Random(11)
        broken = bytearray(good)
        for _ in range(2_000):
            broken[generator.randrange(5_000)] = generator.randrange(256)
        for name, content in (
                ("empty.onnx", b""), ("noise.onnx", generator.randbytes(50_000)),
                ("half.onnx", good[:len(good) // 2]), ("broken.onnx", bytes(broken)),
                ("noise.tflite", generator.randbytes(5_000)),
                ("entity.xml", b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><net>&a;</net>"),
                ("what.txt", b"hello")):
            path = os.path.join(self.agents.folder, name)
            with open(path, "wb") as file:
                file.write(content)
            result = self.add(path)
            self.assert_fails(result, 1, name)
        self.assert_fails(self.add("/nonexistent/model.onnx"), 1, "/nonexistent/model.onnx")
        self.assert_fails(
            self.add(support.file(support.CNN), "--shape", "nothing=1,2"), 1, "nothing")
        models = mesh.check("model", "list", "--json", "--api", self.agents["a"].api).json()
        self.assertEqual([support.CNN], [model["name"] for model in models["models"]])


class BadPlace(support.Case):
    """Agents that cannot start, and disks that fail."""

    def start_fails(self, *words, **flags):
        """An agent with these flags says why it does not start."""
        with mesh.Mesh("a") as agents:
            flags = {key: value(agents) if callable(value) else value
                     for key, value in flags.items()}
            agent = agents.make("b", **flags)
            begin = time.monotonic()
            agent.start()
            code = agent.process.wait(mesh.START_SECONDS)
            self.assertEqual(FAILED, code, agent.tail())
            for word in words:
                self.assertIn(word, agent.tail())
            self.assertLess(time.monotonic() - begin, ANSWER_SECONDS_MAX)
            self.assertTrue(agents["a"].runs)

    def test_api_port_in_use(self):
        """The port of the API is taken."""
        self.start_fails(
            "another program uses", "--api",
            api=lambda agents: f"127.0.0.1:{agents['a'].port}")

    def test_end_while_engine_works(self):
        """An agent that ends while its engine is measured ends in order, each time."""
        with mesh.Mesh("a") as agents:
            for number in range(STARTS):
                agent = agents.make(f"b{number}", api=f"127.0.0.1:{agents['a'].port}")
                agent.start()
                code = agent.process.wait(mesh.START_SECONDS)
                self.assertEqual(FAILED, code, agent.tail())

    def test_peer_port_in_use(self):
        """The port for peers is taken."""
        self.start_fails("another program uses", listen=lambda agents: agents["a"].peers)

    def test_unwritable_folder(self):
        """The data folder cannot be written: it is below a file."""
        self.start_fails("/dev/null", data_dir="/dev/null/data")

    def test_no_secret(self):
        """There is no secret."""
        self.start_fails("/nonexistent", secret_file="/nonexistent/secret")

    def test_exposed_secret(self):
        """Others may read the secret."""
        def expose(agents):
            path = os.path.join(agents.folder, "exposed")
            shutil.copy(agents.secret, path)
            os.chmod(path, 0o644)
            return path
        self.start_fails("chmod 600", secret_file=expose)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_full_disk(self):
        """A disk that is full: a clear error, and the agent goes on."""
        with mesh.Mesh("a") as agents:
            small = agents.make("b")
            os.mkdir(small.folder)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small.folder],
                           check=True)
            try:
                small.start().await_ready()
                agents.await_members()
                result = mesh.run(
                    "model", "add", support.file(support.CNN), "--name", support.CNN, "--api",
                    small.api, "--token-file", small.token_file)
                self.assertEqual(1, result.code, result.out)
                self.assertRegex(result.err.lower(), "room|space|full|disk")
                self.assertEqual(["a", "b"], small.members())
                # From the other agent it works, and the small one serves as far as it can.
                agents["a"].add(support.CNN, support.file(support.CNN), "--copies", 1)
                agents["a"].client().infer(support.CNN, {"image": support.images()[0]})
                small.kill()
            finally:
                subprocess.run(["umount", "-l", small.folder], check=True)

    def test_corrupt_blob(self):
        """A blob that rotted on one disk is fetched again from another agent."""
        with mesh.Mesh("ab") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            agents["b"].leave()
            rotten = 0
            for folder, _, names in os.walk(os.path.join(agents["b"].folder, "models", "blobs")):
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.getsize(path) > 4_096:
                        os.chmod(path, 0o600)
                        with open(path, "r+b") as file:
                            file.seek(1_000)
                            file.write(b"rot!")
                        rotten += 1
            self.assertGreater(rotten, 5)
            agents["b"].start().await_ready()
            agents.await_members()
            agents.await_ready(support.CNN)
            mesh.wait(30, "b has a part again",
                      lambda: "b" in agents["a"].plan_nodes(support.CNN))
            logits = support.infer(agents["b"], support.CNN, agents.folder)
            self.assertEqual(support.expected(), [item.data for item in logits.items()])


if __name__ == "__main__":
    unittest.main()
