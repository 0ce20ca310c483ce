"""What clients that are slow, many or rude get from a real agent, with its real limits."""

import concurrent.futures
import socket
import time
import unittest

import grpc

import support
from support import mesh

PER_ADDRESS = 256
HEAD = "POST /v2/models/none/infer HTTP/1.1\r\nHost: localhost\r\n"


def own_address():
    """An address of this machine beyond loopback; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


class Limits(support.Case):
    """One agent."""

    def start(self, **flags):
        """An agent alone."""
        agents = mesh.Mesh([], discovery="none")
        self.addCleanup(agents.close)
        agent = agents.make("a", **flags).start().await_ready()
        if flags.get("api", "").startswith("0.0.0.0"):
            agent.host = "127.0.0.1"
        return agent

    def reached(self, agent, limit):
        """How often a limit was reached, by the status."""
        return agent.get("/tessera/v1/status")["counters"][f"apiLimit:{limit}"]

    @staticmethod
    def trickle(agent, first, piece):
        """Sends a beginning and then a byte now and then; gives what the agent says at last."""
        received = b""
        with socket.create_connection((agent.host, agent.port), 10) as connection:
            connection.sendall(first.encode())
            connection.settimeout(0.5)
            end = time.monotonic() + 90
            while time.monotonic() < end:
                try:
                    part = connection.recv(4096)
                    if not part:
                        break
                    received += part
                except TimeoutError:
                    try:
                        connection.sendall(piece.encode())
                    except OSError:
                        break
                except OSError:
                    break
        return received.decode("ascii", "replace")

    @staticmethod
    def silent_call(agent):
        """The status of a call of gRPC whose request never comes."""
        with grpc.insecure_channel(agent.grpc) as channel:
            call = channel.stream_unary(
                "/inference.GRPCInferenceService/ModelInfer",
                request_serializer=lambda data: data, response_deserializer=lambda data: data)

            def never():
                while not done:
                    time.sleep(0.1)
                yield from ()
            done = []
            try:
                call(never(), timeout=90)
            except grpc.RpcError as error:
                return error.code(), error.details()
            finally:
                done.append(True)
        return None, None

    def test_slow(self):
        """Heads and bodies that trickle are ended, over HTTP and gRPC; good clients notice nothing."""
        agent = self.start()
        agent.add(support.CNN, support.file(support.CNN), "--copies", "1")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            slow = [
                pool.submit(self.trickle, agent, "GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: ", "x"),
                pool.submit(self.trickle, agent, HEAD.replace("none", support.CNN)
                            + "Content-Length: 90000\r\n\r\n{", " "),
                pool.submit(self.trickle, agent, HEAD.replace("none", support.CNN)
                            + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "1\r\n \r\n"),
            ]
            silent = pool.submit(self.silent_call, agent)
            image = next(iter(support.images()))
            client = agent.client()
            answered = 0
            while not all(one.done() for one in [*slow, silent]):
                client.infer(support.CNN, {"image": image})
                answered += 1
            client.close()
            for one in slow:
                self.assertTrue(one.result().startswith("HTTP/1.1 408"), one.result())
            code, details = silent.result()
            self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, code, details)
            self.assertIn("did not come whole", details)
        self.assertGreater(answered, 0)
        self.assertEqual((1, 3), (self.reached(agent, "head_time"), self.reached(agent, "body_time")))
        self.assertIn("apiLimit:body_time", mesh.check("status", "--api", agent.api).out)
        self.assertEqual(0, agent.get("/tessera/v1/status")["openRequests"])

    @unittest.skipUnless(own_address(), "this machine has no address beyond loopback")
    def test_flood(self):
        """One address beyond this machine gets its share of connections and no more."""
        agent = self.start(api="0.0.0.0:0", api_anonymous="read")
        held = []
        try:
            for _ in range(PER_ADDRESS):
                held.append(socket.create_connection((own_address(), agent.port), 10))
            with socket.create_connection((own_address(), agent.port), 10) as further:
                self.assertEqual(b"", further.recv(1))
            # Everybody else is served.
            self.assertEqual(1, self.reached(agent, "address_connections"))
            metrics = agent.client()
            _, _, body = metrics.call("GET", "/metrics")
            metrics.close()
            self.assertRegex(body.decode(), rf"(?m)^tessera_api_connections {PER_ADDRESS + 1}$")
        finally:
            for connection in held:
                connection.close()

    def test_expectation(self):
        """curl's question before a large body is answered at once, and with a refusal if so."""
        agent = self.start()
        mesh.wait(30, "it knows which models there are",
                  lambda: agent.get("/v2/health/ready") is not None)
        head = HEAD + "Expect: 100-continue\r\nContent-Length: 9000000\r\n"
        for fields, path, word in (
                ("", "/tessera/v1/manifests/" + "0" * 64, "401"),
                ("", "/v2/models/none/infer", "404")):
            with socket.create_connection((agent.host, agent.port), 10) as connection:
                text = head.replace("/v2/models/none/infer", path) + fields + "\r\n"
                if "manifests" in path:
                    text = text.replace("POST", "PUT")
                connection.sendall(text.encode())
                answer = b""
                while part := connection.recv(4096):
                    answer += part
            self.assertTrue(answer.startswith(f"HTTP/1.1 {word}".encode()), answer)
        with open(agent.token_file, encoding="ascii") as file:
            token = file.read().strip()
        with socket.create_connection((agent.host, agent.port), 10) as connection:
            connection.sendall(
                (head.replace("POST /v2/models/none/infer", "PUT /tessera/v1/manifests/" + "0" * 64)
                 .replace("9000000", "4") + f"Authorization: Bearer {token}\r\n\r\n").encode())
            self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", connection.recv(4096))
            connection.sendall(b"none")
            self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 400"))


if __name__ == "__main__":
    unittest.main()
