"""The agent of a device, as the lab starts and asks it."""

import http.client
import json
import os
import re
import socket
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "Tools", "Tests"))

import kserve  # noqa: E402

READY = re.compile(r"^ready: api http://(\S+):(\d+), ", re.MULTILINE)
# The agent's usual port: each device has its own loopback.
API_PORT = 8700


def program():
    """The program that runs in the lab: TESSERA_PROGRAM, else the release build, else the debug
    build."""
    told = os.environ.get("TESSERA_PROGRAM")
    builds = [os.path.join(ROOT, ".build", kind, "tessera") for kind in ("release", "debug")]
    for path in [told] if told else builds:
        if os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None


def command(program_path, device, mesh, data, secret, memory_bytes, threads, discovery):
    """The agent's command: an ordinary one."""
    return [program_path, "agent", "--name", device, "--mesh", mesh, "--secret-file", secret,
            "--data-dir", data, "--memory", str(memory_bytes), "--threads", str(threads),
            "--discovery", discovery]


def is_ready(output):
    """Whether an agent said that it is up; `output` is the file of what it says."""
    try:
        with open(output, encoding="utf-8", errors="replace") as file:
            return READY.search(file.read()) is not None
    except OSError:
        return False


class _Connection(http.client.HTTPConnection):
    """A connection whose socket is made by somebody else."""

    def __init__(self, make_socket, timeout):
        super().__init__("127.0.0.1", API_PORT, timeout=timeout)
        self._make_socket = make_socket

    def connect(self):
        self.sock = self._make_socket()
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect((self.host, self.port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.sock.close()
            self.sock = None
            raise


class Client(kserve.Client):
    """A client inside a device, outside of its limits."""

    def __init__(self, make_socket, timeout=40):
        super().__init__("127.0.0.1", API_PORT, timeout)
        self._make_socket = make_socket

    def call(self, method, path, body=None, headers=None):
        """As in `kserve.Client`."""
        if self.connection is None:
            self.connection = _Connection(self._make_socket, self.timeout)
        return super().call(method, path, body, headers)


class Agent:
    """The agent of a device, asked over its API."""

    # What a load asks of an entry beside `runs`: nothing here takes agents away under a load.
    process = None
    is_away = is_leaving = False

    def __init__(self, name, make_socket):
        self.name, self._make_socket = name, make_socket
        self.port = API_PORT

    @property
    def runs(self):
        """Whether it takes connections."""
        return self.get("/v2/health/live", text=True) is not None

    def client(self, timeout=40):
        """A new client."""
        return Client(self._make_socket, timeout)

    def get(self, path, text=False, timeout=10):
        """A document of its API; None if it does not give one."""
        client = self.client(timeout)
        try:
            status, _, body = client.call("GET", path)
            if status != 200:
                return None
            return body.decode("utf-8", "replace") if text else json.loads(body)
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            client.close()

    def members(self):
        """The names of the members that it sees alive; None if it does not answer."""
        document = self.get("/tessera/v1/members", timeout=3)
        return document and sorted(
            member["name"] for member in document["members"] if member["status"] == "alive")

    def own(self):
        """What it says of itself among the members."""
        document = self.get("/tessera/v1/members") or {"members": []}
        return next((member for member in document["members"] if member["isSelf"]), None)
