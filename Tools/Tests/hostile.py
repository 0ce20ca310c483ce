"""Clients that mean no good: slow, cut off, wrong, too many, or not speaking the protocol at all.

Each kind runs on a thread of its own, over and over, against one agent after the other. What the agent
answers does not matter here; that it goes on serving others does.
"""

import json
import random
import socket
import struct
import threading

import kserve

# An agent that has heard enough closes; nobody waits longer for it than this.
PATIENCE_SECONDS = 5
FLOOD_CONNECTIONS = 60
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def http2_frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack(">I", stream) + payload)


class Enemies:
    """Threads, one for each kind of attack."""

    def __init__(self, agents, model, image, seed):
        self.agents, self.model, self.image, self.seed = agents, model, image, seed
        self.kinds = {
            "slow header": self.slow_header, "slow body": self.slow_body,
            "aborted upload": self.aborted_upload, "wrong length": self.wrong_length,
            "flood": self.flood, "garbage to peers": self.garbage_to_peers,
            "garbage to gRPC": self.garbage_to_grpc, "large header": self.large_header,
            "half-open stream": self.half_open_stream, "garbage to HTTP": self.garbage_to_http,
            "unread answer": self.unread_answer, "datagrams": self.datagrams,
        }
        self.counts = dict.fromkeys(self.kinds, 0)
        self.errors = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(index, kind), daemon=True)
                         for index, kind in enumerate(self.kinds)]

    def start(self):
        """Begins."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """Ends; gives how often each kind ran."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.errors, self.errors[:3]
        return self.counts

    def _work(self, index, kind):
        chance = random.Random(self.seed * 100 + index)
        while not self._stop.is_set():
            try:
                self.kinds[kind](chance.choice(self.agents), chance)
            except OSError:
                pass  # The agent has closed: it has heard enough.
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(f"{kind}: {error!r}")
                return
            self.counts[kind] += 1
            self._stop.wait(0.2)

    # What they have in common.

    def _open(self, host, port):
        return socket.create_connection((host, port), PATIENCE_SECONDS)

    def _http(self, agent):
        return self._open(agent.host, agent.port)

    def _post(self, length, *fields):
        lines = [f"POST /v2/models/{self.model}/infer HTTP/1.1", "Host: localhost",
                 f"Content-Length: {length}", *fields]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _drain(self, connection):
        # Until the other side closes or says nothing for a while.
        connection.settimeout(PATIENCE_SECONDS)
        while connection.recv(65536):
            pass

    def _slowly(self, connection, data, seconds):
        step = max(1, len(data) // 20)
        for start in range(0, len(data), step):
            connection.sendall(data[start:start + step])
            if self._stop.wait(seconds * step / len(data)):
                return

    # The kinds.

    def slow_header(self, agent, chance):
        """A request line and fields, a few bytes at a time, and never an end."""
        with self._http(agent) as connection:
            self._slowly(connection, self._post(10)[:-4], chance.uniform(2, 8))

    def slow_body(self, agent, chance):
        """A right request whose body takes seconds."""
        text, data = self._call()
        with self._http(agent) as connection:
            connection.sendall(self._post(len(text + data), f"{kserve.LENGTH_FIELD}: {len(text)}"))
            self._slowly(connection, text + data, chance.uniform(2, 8))
            connection.settimeout(PATIENCE_SECONDS)
            connection.recv(65536)

    def aborted_upload(self, agent, chance):
        """A large body that breaks off, closed or reset."""
        with self._http(agent) as connection:
            connection.sendall(self._post(8 << 20))
            connection.sendall(chance.randbytes(chance.randrange(1 << 20)))
            if chance.random() < 0.5:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wrong_length(self, agent, chance):
        """Lengths that are not those of what follows."""
        text, data = self._call()
        wrong = chance.choice([0, 1, len(text) - 1, len(text) + 1, 1 << 40, -1])
        with self._http(agent) as connection:
            connection.sendall(
                self._post(len(text + data), f"{kserve.LENGTH_FIELD}: {wrong}", "Connection: close")
                + text + data)
            self._drain(connection)

    def flood(self, agent, chance):
        """Many connections at once, to each port, that say nothing."""
        port = chance.choice([agent.port, int(agent.peers.rpartition(":")[2]),
                              int(agent.grpc.rpartition(":")[2])])
        connections = []
        try:
            for _ in range(FLOOD_CONNECTIONS):
                connections.append(self._open(agent.host, port))
            self._stop.wait(chance.uniform(0, 2))
        finally:
            for connection in connections:
                connection.close()

    def garbage_to_peers(self, agent, chance):
        """Bytes at random to the port of agents, with and without a right beginning."""
        host, _, port = agent.peers.rpartition(":")
        begin = chance.choice([b"", b"TESSERAC", b"TESSERAD", b"TESSERAP", b"TESS",
                               b"TESSERAC\x16\x03\x01\x02\x00"])
        with self._open(host, int(port)) as connection:
            connection.sendall(begin + chance.randbytes(chance.randrange(5_000)))
            self._drain(connection)

    def garbage_to_grpc(self, agent, chance):
        """Bytes at random to the port of gRPC, with and without HTTP/2's beginning."""
        host, _, port = agent.grpc.rpartition(":")
        begin = chance.choice([b"", PREFACE, PREFACE + http2_frame(4, 0, 0)])
        with self._open(host, int(port)) as connection:
            connection.sendall(begin + chance.randbytes(chance.randrange(5_000)))
            self._drain(connection)

    def garbage_to_http(self, agent, chance):
        """Bytes at random to the API."""
        begin = chance.choice([b"", b"GET / HTTP/1.1\r\n", self._post(5_000), PREFACE])
        with self._http(agent) as connection:
            connection.sendall(begin + chance.randbytes(chance.randrange(5_000)))
            connection.shutdown(socket.SHUT_WR)
            self._drain(connection)

    def large_header(self, agent, chance):
        """Fields beyond every limit, in HTTP/1.1 and in HTTP/2."""
        with self._http(agent) as connection:
            if chance.random() < 0.5:
                connection.sendall(
                    self._post(0)[:-2] + b"".join(
                        b"X-%d: %s\r\n" % (number, b"y" * 4_000) for number in range(100))
                    + b"\r\n")
            else:
                # HEADERS without an end, then CONTINUATION upon CONTINUATION.
                connection.sendall(
                    PREFACE + http2_frame(4, 0, 0) + http2_frame(1, 0, 1, b"\x82\x84\x86"))
                for _ in range(100):
                    connection.sendall(http2_frame(9, 0, 1, b"\x00\x01x\x7f\x81\x1e" + b"y" * 285))
            self._drain(connection)

    def half_open_stream(self, agent, chance):
        """Streams of HTTP/2 that begin and never end, some of them reset."""
        port = chance.choice([agent.port, int(agent.grpc.rpartition(":")[2])])
        with self._open(agent.host, port) as connection:
            connection.sendall(PREFACE + http2_frame(4, 0, 0))
            # :method POST, :scheme http, :path /, :authority localhost (RFC 7541).
            block = b"\x83\x86\x84\x01\x09localhost"
            for stream in range(1, 200, 2):
                connection.sendall(http2_frame(1, 4, stream, block))
                if chance.random() < 0.5:
                    connection.sendall(http2_frame(3, 0, stream, struct.pack(">I", 8)))
            self._stop.wait(chance.uniform(0, 2))

    def unread_answer(self, agent, chance):
        """Many questions with long answers, of which nothing is read."""
        with self._http(agent) as connection:
            connection.settimeout(1)
            path = chance.choice(["/metrics", "/tessera/v1/events", "/dashboard/main.js"])
            for _ in range(50):
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self._stop.wait(chance.uniform(0, 2))

    def datagrams(self, agent, chance):
        """Datagrams at random, and some that begin like right ones."""
        host, _, port = agent.peers.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            for _ in range(100):
                begin = chance.choice([b"", b"TD\0\x01\x01\0\0\0\0\x01"])
                connection.sendto(begin + chance.randbytes(chance.randrange(1_400)),
                                  (host, int(port)))

    def _call(self):
        text = json.dumps({"inputs": [{
            "name": "image", "datatype": "FP32", "shape": list(self.image.shape),
            "parameters": {"binary_data_size": len(self.image.data)}}]}).encode()
        return text, self.image.data

