"""Agents as processes: starts them, waits for what they are to do, ends them. Leaves nothing behind.

Nothing here sleeps for a result: every wait is for a condition, with a deadline.
"""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import kserve

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DIGITS = os.path.join(ROOT, "Tools", "models", "digits")
# The program under test; Tools/test and Tools/demo say which build.
TESSERA = os.environ.get("TESSERA_PROGRAM", os.path.join(ROOT, ".build", "debug", "tessera"))
# A machine with two busy cores starts an agent in seconds.
START_SECONDS = 30
LEAVE_SECONDS = 30
# Before it, where gRPC is served.
GRPC = re.compile(r"^grpc: (\S+:\d+)$")
READY = re.compile(r"^ready: api https?://(\S+):(\d+), peers (\S+):(\d+), node (\S+) ([0-9a-f]{64})$")


# Ended from outside, a run still ends its agents: an exit runs every `with` and `atexit`.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


class Failed(AssertionError):
    """Something did not come to be in time, or an agent ended when it should not."""


def wait(seconds, what, condition):
    """Waits until `condition` gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.05)


class Result:
    """How a command ended."""

    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    def json(self):
        """Its output as a document."""
        return json.loads(self.out)


def run(*arguments, timeout=180, environment=None, text=""):
    """Runs the command line with `text` as its input, whatever it ends with."""
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith("TESSERA_")}
    clean.update(environment or {})
    return Result(subprocess.run(
        [TESSERA, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
        env=clean, input=text))


def check(*arguments, **options):
    """Runs the command line and expects it to succeed."""
    result = run(*arguments, **options)
    if result.code != 0:
        raise Failed(f"tessera {' '.join(map(str, arguments))} ended with {result.code}: "
                     f"{result.err.strip()}")
    return result


class Agent:
    """One agent: a data folder and, while it runs, a process."""

    def __init__(self, mesh, name, flags):
        self.mesh, self.name, self.flags = mesh, name, flags
        self.folder = os.path.join(mesh.folder, name)
        self.log = os.path.join(mesh.folder, name + ".log")
        self.process = None
        # Of another release, or told something else than the others.
        self.program, self.environment, self.extra = TESSERA, {}, []
        # Set by a test while it is stopped or starts again: clients then use others.
        self.is_away = False
        self.is_leaving = False
        self.host = self.port = self.peers = self.id = self.grpc = None

    # Running.

    def start(self):
        """Starts the process; `await_ready` waits until it is up."""
        assert self.process is None
        self._lines, self._ready, self._came_up = [], threading.Event(), False
        command = [self.program, "agent", "--name", self.name, "--data-dir", self.folder]
        for name, value in self.flags.items():
            for one in value if isinstance(value, list) else [value]:
                command += ["--" + name, str(one)]
        command += self.extra
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
            env={**self.mesh.environment, **self.environment}, start_new_session=True)
        log.close()
        self.mesh.register(self.process)
        self._reader = threading.Thread(
            target=self._read, args=(self.process, self._ready), daemon=True)
        self._reader.start()
        return self

    def _read(self, process, ready):
        with process.stdout:
            for line in process.stdout:
                text = line.decode("utf-8", "replace").rstrip()
                if match := GRPC.match(text):
                    self.grpc = match[1]
                match = READY.match(text)
                if match:
                    self.host, self.port = match[1], int(match[2])
                    self.peers = f"{match[3]}:{match[4]}"
                    self.id = match[6]
                    self._came_up = True
                    ready.set()
        ready.set()

    def await_ready(self):
        """Waits for the line that says that the agent is up."""
        # A process that closed its output may not have ended yet.
        if not (self._ready.wait(START_SECONDS) and self._came_up and self.process.poll() is None):
            raise Failed(f"agent {self.name} did not start:\n{self.tail()}")
        return self

    @property
    def runs(self):
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Ends it without a word."""
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def leave(self):
        """Ends it in order; gives the exit code and the seconds that it took."""
        begin = time.monotonic()
        self.is_leaving = True
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"agent {self.name} did not leave within {LEAVE_SECONDS} s:\n{self.tail()}")
        self._ended()
        return code, time.monotonic() - begin

    def _ended(self):
        self.process.wait()
        self._reader.join()
        self.process = None
        self.is_leaving = False

    def said(self, *words):
        """Whether a line of its log has all the words."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return any(all(word in line for word in words) for line in file)

    def tail(self, lines=25):
        """The last words of its log."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(f"  {self.name}: {line}" for line in file.readlines()[-lines:])
        except OSError:
            return ""

    # Asking.

    @property
    def api(self):
        """The URL of its API."""
        return f"http://{self.host}:{self.port}"

    @property
    def token_file(self):
        """Where its admin token is."""
        return os.path.join(self.folder, "admin.token")

    def client(self, timeout=40):
        """A new connection to its API."""
        return kserve.Client(self.host, self.port, timeout)

    def get(self, path):
        """A document of its API; None if it does not give one."""
        client = self.client(timeout=10)
        try:
            status, _, body = client.call("GET", path)
            return json.loads(body) if status == 200 else None
        except (OSError, ValueError, kserve.http.client.HTTPException):
            return None
        finally:
            client.close()

    def members(self, status="alive"):
        """The names of the members that it sees so."""
        document = self.get("/tessera/v1/members")
        return sorted(member["name"] for member in (document or {"members": []})["members"]
                      if member["status"] == status)

    def plan(self, model):
        """What runs for a model; None if nothing does."""
        return self.get(f"/tessera/v1/models/{model}/plan")

    def plan_nodes(self, model):
        """The names of the nodes that run a model, in the order of the stages."""
        plan = self.plan(model)
        names = []
        for stage in plan["stages"] if plan else []:
            names += [node for node in stage["nodes"] if node not in names]
        return names

    def is_ready(self, model):
        """Whether it answers requests for a model."""
        return self.get(f"/v2/models/{model}/ready") is not None

    def events(self):
        """What it saw happen."""
        client = self.client(timeout=10)
        try:
            _, _, body = client.call("GET", "/tessera/v1/events")
            return [json.loads(line) for line in body.splitlines()]
        finally:
            client.close()

    def add(self, name, file, *flags, timeout=180):
        """Adds a model at this agent, cut into a pipeline if `flags` say nothing of how to plan it."""
        if not any(flag in ("--allow", "--mode") for flag in flags):
            flags += ("--allow", "single")
        return check("model", "add", file, "--name", name, "--api", self.api, "--token-file",
                     self.token_file, *flags, timeout=timeout)


class Mesh:
    """Agents with one secret in one temporary folder. Use it with `with`."""

    def __init__(self, names="abcd", name="test", discovery="beacon", environment=None, **flags):
        self.folder = tempfile.mkdtemp(prefix="tessera-mesh-")
        self.processes = []
        atexit.register(self.close)
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith("TESSERA_")}
        self.environment.update(environment or {})
        self.secret = os.path.join(self.folder, "secret")
        check("mesh", "secret", "--output", self.secret)
        self.flags = {
            "mesh": name, "secret-file": self.secret, "discovery": discovery, "threads": 1,
            "memory": "512M", "listen": "127.0.0.1:0", "api": "127.0.0.1:0"}
        self.flags.update({key.replace("_", "-"): value for key, value in flags.items()})
        self.agents = {}
        for agent in names:
            self.make(agent)

    def make(self, name, **flags):
        """One more agent, not started."""
        flags = {key.replace("_", "-"): value for key, value in flags.items()}
        agent = Agent(self, name, {**self.flags, **flags})
        self.agents[name] = agent
        return agent

    def __getitem__(self, name):
        return self.agents[name]

    @property
    def running(self):
        """The agents that run, by name."""
        return [agent for _, agent in sorted(self.agents.items()) if agent.runs]

    def start(self):
        """Starts all agents and waits until all see all."""
        for agent in self.agents.values():
            agent.start()
        for agent in self.agents.values():
            agent.await_ready()
        self.await_members()
        return self

    def await_members(self, seconds=30):
        """Waits until every running agent sees exactly the running ones alive."""
        names = sorted(agent.name for agent in self.running)
        seen = {}

        def agree():
            for agent in self.running:
                seen[agent.name] = agent.members()
            return all(members == names for members in seen.values())
        wait(seconds, lambda: f"all see {names}; they see {seen}", agree)

    def await_ready(self, model, seconds=60):
        """Waits until every running agent answers requests for a model."""
        wait(seconds, f"every agent serves {model}",
             lambda: all(agent.is_ready(model) for agent in self.running))

    def await_spread(self, model, seconds=60):
        """Waits until every running agent sees a plan for a model that uses all of them.

        The first plan may be older than what the nodes know of each other, and use fewer.
        """
        def is_spread(agent):
            return len(agent.plan_nodes(model)) == len(self.running)
        self.await_ready(model, seconds)
        wait(seconds, f"every agent has a part of {model}",
             lambda: all(is_spread(agent) for agent in self.running))

    def register(self, process):
        """Notes a process that `close` has to end."""
        self.processes.append(process)

    def close(self):
        """Ends every process by its id and removes the folder."""
        atexit.unregister(self.close)
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        for process in self.processes:
            process.wait()
        if os.environ.get("TESSERA_KEEP"):
            print(f"kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self._complain()
            self.close()
            raise

    def __exit__(self, kind, *_):
        if kind is not None:
            self._complain()
        self.close()

    def _complain(self):
        for agent in self.agents.values():
            print(f"--- the log of {agent.name}\n{agent.tail()}", file=sys.stderr)


class PrivateMulticastDNS:
    """A message bus and an Avahi daemon of one's own. Use it with `with`; gives the environment."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="tm-", dir="/tmp")
        tool = os.path.join(ROOT, "Tools", "private-mdns")
        subprocess.run([tool, "up", self.folder], check=True, stdout=subprocess.DEVNULL)
        text = subprocess.run([tool, "env", self.folder], check=True, capture_output=True,
                              text=True).stdout
        return dict(line.removeprefix("export ").split("=", 1) for line in text.splitlines())

    def __exit__(self, *_):
        subprocess.run([os.path.join(ROOT, "Tools", "private-mdns"), "down", self.folder],
                       check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
