"""A lab: devices that are made, changed and removed."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import time

from . import agents, daemons, interrupts, limits, shaping, state, topology
from .errors import LabError, UsageError
from .namespaces import TOOLS, ENVIRONMENT_PATH, Namespaces
from .waiting import wait

# A device with a tenth of a processor needs this long for its daemons, its engine and its name.
START_SECONDS = 120
# From fork to exec of an agent at most.
EXEC_SECONDS = 10
LEAVE_SECONDS = 40
# Of the machine's processors the lab's devices get so much together: the rest is for the machine
# itself, the clients, and what the kernel does for the links.
SHARE_OF_MACHINE = 0.75


@dataclasses.dataclass
class Device:
    """What is known of one device."""
    name: str
    share: float
    memory_bytes: int
    threads: int
    is_on: bool = True
    # Set by `rate`; None while the topology holds.
    bits_per_second: float | None = None


class Lab:
    """One lab of this user, by name."""

    def __init__(self, name):
        self.folder = state.Folder(name)
        self.name = name
        self.namespaces = self.topology = None
        self.devices, self.faults = [], shaping.Faults()
        self.source = self.program = None
        self.scale = self.core_speed = None
        self.discovery = "mdns"

    # What is known.

    @classmethod
    def open(cls, name):
        """A lab that is up."""
        lab = cls(name)
        document = lab.folder.read()
        if document is None or not document["complete"]:
            known = [other for other in state.names() if other != name]
            more = f" There is: {', '.join(known)}." if known else ""
            raise LabError(f"the lab '{name}' is not up.{more} Start it with: "
                           "Tools/lab up Topologies/FILE.yaml")
        lab._take(document)
        if not lab.namespaces.live:
            raise LabError(f"the lab '{name}' has died: its first process was ended from outside. "
                           "Remove the rest with: Tools/lab down")
        return lab

    def _take(self, document):
        self.namespaces = Namespaces(self.folder, document["keeper"])
        self.devices = [Device(**device) for device in document["devices"]]
        self.faults = shaping.Faults.read(document["faults"])
        self.source, self.program = document["source"], document["program"]
        self.scale, self.core_speed = document["scale"], document["core_speed"]
        self.discovery = document["discovery"]
        if document["complete"]:
            self.topology = topology.read(self.topology_file)

    def _write(self, complete=True):
        self.folder.write({
            "complete": complete, "keeper": self.namespaces and self.namespaces.keeper,
            "devices": [dataclasses.asdict(device) for device in self.devices],
            "faults": self.faults.document(), "source": self.source, "program": self.program,
            "scale": self.scale, "core_speed": self.core_speed, "discovery": self.discovery})

    @property
    def topology_file(self):
        """The mesh as the lab emulates it: slower than its source by `scale`."""
        return os.path.join(self.folder.path, "topology.yaml")

    def index(self, name):
        """Which device is called so."""
        for index, device in enumerate(self.devices):
            if device.name == name:
                return index
        raise UsageError(f"no device is called '{name}'; there are "
                         + ", ".join(device.name for device in self.devices))

    def agent(self, device):
        """The agent of a device."""
        return agents.Agent(device, lambda: self.namespaces.socket(device))

    @property
    def entry(self):
        """The device where requests come in: the topology's, else the first."""
        return self.devices[self.topology.entry or 0].name

    @property
    def groups(self):
        """The control groups."""
        return limits.Groups(self.name)

    # Up and down.

    def up(self, source, scale=None, core_speed=None, discovery="mdns", off=()):
        """Makes the lab and waits until all agents see all. Leaves nothing behind if it fails."""
        asked = topology.read(source)
        for name in off:
            if asked.index(name) is None:
                raise UsageError(f"no device is called '{name}'; there are "
                                 + ", ".join(asked.names))
        require_machine()
        self.program = agents.program()
        if not self.program:
            raise LabError("there is no program to run: build it with 'swift build --product "
                           "tessera', or set TESSERA_PROGRAM to its path")
        with self.folder.locked():
            known = self.folder.read()
            if known and known["complete"] and Namespaces(self.folder, known["keeper"]).live:
                raise LabError(f"the lab '{self.name}' is up already. End it with: Tools/lab down, "
                               "or name another one with --lab")
            self._clear()
            try:
                self._make(asked, source, scale, core_speed, discovery, off)
            except BaseException:
                self._clear()
                self.folder.remove()
                raise

    def _make(self, asked, source, scale, core_speed, discovery, off):
        self.source, self.discovery = os.path.abspath(source), discovery
        os.makedirs(self.folder.data, mode=0o755)
        # Known from the first moment on, so that `down` finds whatever an `up` that is killed left.
        self._write(complete=False)
        with interrupts.held():
            self.namespaces = Namespaces(self.folder)
            self.namespaces.start()
            self._write(complete=False)
        self.core_speed = core_speed or self._measure_core()
        self.scale = scale or fitting_scale(asked, self.core_speed)
        self.topology = asked.slowed(self.scale)
        with open(self.topology_file, "w", encoding="utf-8") as file:
            file.write(self.topology.text())
        for node in self.topology.nodes:
            share = node.operations_per_second / self.core_speed
            self.devices.append(Device(
                node.name, share, node.memory_bytes, max(1, -int(-share // 1)),
                is_on=node.name not in off))
        ip_lines, tc_lines = shaping.medium_lines(self.topology)
        self.namespaces.in_switch("ip", ip_lines)
        self.namespaces.in_switch("tc", tc_lines)
        subprocess.run(
            [self.program, "mesh", "secret", "--output", self._secret], check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._environment())
        for device in self.devices:
            os.makedirs(self.folder.device(device.name))
        devices = [device for device in self.devices if device.is_on]
        self._start(devices)
        for device in devices:
            self.await_agent(device.name)
        self.await_members()
        self._write()
        self.namespaces.stay()

    @property
    def _secret(self):
        return os.path.join(self.folder.path, "mesh.secret")

    def down(self):
        """Ends everything and removes it. Gives whether there was anything."""
        if not os.path.isdir(self.folder.path):
            # A machine that was switched off has lost the folder, but not what agents kept.
            shutil.rmtree(self.folder.data, ignore_errors=True)
            self.groups.remove()
            return False
        with self.folder.locked():
            self._clear()
            self.folder.remove()
        return True

    def _clear(self):
        """Ends whatever a lab of this name may have left, and removes it but for the folder."""
        document = self.folder.read()
        keeper = document["keeper"] if document else None
        namespaces = self.namespaces or Namespaces(self.folder, keeper)
        self.groups.remove()
        namespaces.end()
        self.namespaces = None
        self.devices = []
        shutil.rmtree(self.folder.data, ignore_errors=True)
        for entry in os.scandir(self.folder.path):
            if entry.is_dir():
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)

    # Processes.

    def _environment(self, more=None):
        clean = {key: value for key, value in os.environ.items()
                 if not key.startswith("TESSERA_") and key != "DBUS_SYSTEM_BUS_ADDRESS"}
        path = os.path.dirname(self.program) + ":" + ENVIRONMENT_PATH
        return {**clean, "PATH": path, **(more or {})}

    def _enter(self, device, command, limited, fork, part=limits.AGENT):
        """A command and what runs before it, for `subprocess`."""
        folder = self.folder.device(device)
        more = daemons.environment(folder)
        more["TESSERA_DATA_DIR"] = os.path.join(self.folder.data, device)
        words = [*self.namespaces.inside("--pid"), "nsenter",
                 f"--net={self.namespaces.network(device)}", "--", "env", "-C", os.getcwd(),
                 *(["setsid", "--fork"] if fork else []), *command]
        paths = self.groups.join_paths(device, part) if limited else []

        def join():
            for path in paths:
                with open(path, "w", encoding="utf-8") as file:
                    file.write("0")
        return words, {"env": self._environment(more), "preexec_fn": join}

    def execute(self, device, command, limited=True, **options):
        """Runs a command in a device and gives how it ended; within its limits, if told."""
        self._require(device)
        words, more = self._enter(device, command, limited, fork=False)
        return subprocess.run(words, check=False, **more, **options)

    def _spawn(self, device, command, output, errors, part=limits.AGENT):
        words, more = self._enter(device, command, limited=True, fork=True, part=part)
        with open(output, "ab") as out, open(errors, "ab") as err:
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                           **more)

    def _require(self, name):
        device = self.devices[self.index(name)]
        if not device.is_on:
            raise LabError(f"{name} is off. Switch it on with: Tools/lab boot {name}")
        return device

    def _start(self, devices):
        """Switches devices on, up to the start of their agents."""
        groups = self.groups
        for device in devices:
            index = self.index(device.name)
            groups.make(device.name)
            groups.set_share(device.name, device.share)
            groups.set_memory(device.name, limits.limit_bytes(device.memory_bytes))
            self.namespaces.make_device(device.name, index)
            self.namespaces.in_switch("tc", shaping.medium_port_lines(self.topology, index))
            self._shape(device)
            folder = self.folder.device(device.name)
            daemons.configure(folder, device.name)
            self._spawn(device.name, daemons.bus_command(folder), *[f"{folder}/bus.log"] * 2)
        for device in devices:
            folder = self.folder.device(device.name)
            self._await(device, "its message bus", "bus.log", lambda: daemons.bus_runs(folder))
            self._spawn(device.name, daemons.avahi_command(folder), *[f"{folder}/avahi.log"] * 2)
        for device in devices:
            folder = self.folder.device(device.name)
            self._await(device, "its Avahi daemon", "avahi.log",
                        lambda: daemons.avahi_runs(folder))
            self.start_agent(device.name)

    def _await(self, device, what, log, condition):
        path = self.folder.device(device.name, log)
        wait(START_SECONDS, lambda: f"{device.name} has {what}; its last words:\n{tail(path)}",
             condition)

    def start_agent(self, name):
        """Starts the agent of a device that is on."""
        device = self._require(name)
        output = self.folder.device(name, "agent.out")
        with open(output, "w", encoding="utf-8"):
            pass
        data = os.path.join(self.folder.data, name)
        self._spawn(name, agents.command(
            self.program, name, self.name, data, self._secret, device.memory_bytes,
            device.threads, self.discovery), output, self.folder.device(name, "agent.log"),
            limits.ENGINE)

    def await_agent(self, name):
        """Waits until the agent of a device is up."""
        output = self.folder.device(name, "agent.out")
        # Between fork and exec, slow in a device with little of a processor, it is not seen yet.
        was_seen, patience_ends = False, time.monotonic() + EXEC_SECONDS

        def ready():
            nonlocal was_seen
            if agents.is_ready(output):
                return True
            if self.agent_processes(name):
                was_seen = True
            elif was_seen or time.monotonic() > patience_ends:
                raise LabError(f"the agent of {name} ended:\n{self.log_tail(name)}")
            return False
        wait(START_SECONDS, lambda: f"the agent of {name} is up:\n{self.log_tail(name)}", ready)
        self._part_threads(name)

    def _part_threads(self, name):
        for process in self.agent_processes(name):
            self.groups.part(name, process)

    def log_tail(self, name):
        """The last words of an agent."""
        return tail(self.folder.device(name, "agent.log"))

    def last_words(self, events=12):
        """What each device saw and logged last, for whoever asks why something failed."""
        lines = []
        for device in self.devices:
            if not device.is_on:
                continue
            lines.append(f"--- {device.name}: its events and its log")
            text = self.agent(device.name).get("/tessera/v1/events", text=True, timeout=3) or ""
            for line in text.splitlines()[-events:]:
                event = json.loads(line)
                lines.append(f"  {event['atMicroseconds'] / 1e6:8.3f} s  {event['kind']:13} "
                             f"{event['text']}")
            lines.append(self.log_tail(device.name).rstrip("\n"))
        return "\n".join(lines)

    def agent_processes(self, name):
        """The processes of a device that are its agent."""
        found = []
        for process in self.groups.processes(name):
            try:
                with open(f"/proc/{process}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue  # It ended meanwhile.
            if words[:2] == [self.program.encode(), b"agent"]:
                found.append(process)
        return found

    def await_members(self, seconds=START_SECONDS):
        """Waits until all agents that run see exactly each other."""
        names = sorted(device.name for device in self.devices if device.is_on)
        seen = {}

        def agree():
            for name in names:
                if seen.get(name) != names:
                    seen[name] = self.agent(name).members()
            return all(members == names for members in seen.values())
        wait(seconds, lambda: f"all agents see all of {', '.join(names)}; they see {seen}", agree)
        # Threads that were only being made when their agent came up.
        for name in names:
            self._part_threads(name)

    def _measure_core(self):
        """How many operations per second the engine does here on one processor, as an agent without
        limits measures it."""
        folder = self.folder.data
        command = agents.command(
            self.program, "measure", "measure", os.path.join(folder, ".measure"),
            os.path.join(folder, ".secret"), 1 << 30, 1, "none")
        environment = self._environment()
        subprocess.run([self.program, "mesh", "secret", "--output", command[7]], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        output, log = (os.path.join(self.folder.path, name) for name in ("core.out", "core.log"))
        with (interrupts.held(), open(output, "w", encoding="utf-8") as out,
              open(log, "w", encoding="utf-8") as err):
            process = subprocess.Popen(
                [*self.namespaces.inside("--pid", "--net"), *command], env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        probe = agents.Agent("measure", lambda: self.namespaces.socket_in_switch())
        try:
            wait(START_SECONDS, lambda: f"an agent measures this machine:\n{tail(log)}",
                 lambda: agents.is_ready(output) or process.poll() is not None)
            found = wait(START_SECONDS, lambda: f"an agent measures this machine:\n{tail(log)}",
                         lambda: (probe.own() or {}).get("operationsPerMicrosecond"))
        finally:
            self._end_measuring(process)
        return found * 1e6

    @staticmethod
    def _end_measuring(process):
        # The agent is the only child of the process that entered the namespaces.
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="utf-8") as file:
            for child in file.read().split():
                os.kill(int(child), 9)
        process.wait()

    # What happens to devices.

    @classmethod
    @contextlib.contextmanager
    def changing(cls, name):
        """A lab that nobody else changes meanwhile; keeps what was done to it."""
        cls.open(name)
        with state.Folder(name).locked():
            lab = cls.open(name)
            try:
                yield lab
            finally:
                lab._write()

    def crash(self, name):
        """Power loss: nothing that the device still meant to say gets out."""
        device = self._require(name)
        self.namespaces.unplug(self.index(name))
        self.groups.kill(name)
        self.namespaces.remove_device(name)
        device.is_on = False

    def boot(self, name):
        """Switches a device on, with what it had on its disk; `await_agent` waits for its agent."""
        device = self.devices[self.index(name)]
        if device.is_on and self.agent_processes(name):
            raise LabError(f"{name} is on already")
        if device.is_on:
            self.start_agent(name)
            return
        device.is_on = True
        self._start([device])

    def provision(self, source, name):
        """Puts the models of one device on the disk of another, which is off: as a card that was
        written before."""
        if self.devices[self.index(name)].is_on:
            raise LabError(f"{name} is on: its disk is in use")
        for kind in ("blobs", "manifests"):
            begin = os.path.join(self.folder.data, source, "models", kind)
            end = os.path.join(self.folder.data, name, "models", kind)
            # Blobs never change, so that the devices may share them.
            shutil.copytree(begin, end, copy_function=os.link, dirs_exist_ok=True)

    def leave(self, name):
        """The agent of a device leaves in order; the device stays on."""
        self._require(name)
        processes = self.agent_processes(name)
        if not processes:
            raise LabError(f"{name} has no agent that could leave")
        for process in processes:
            os.kill(process, 15)
        wait(LEAVE_SECONDS, f"the agent of {name} ends", lambda: not self.agent_processes(name))

    def freeze(self, name):
        """Stops everything in a device where it is."""
        self._require(name)
        self.groups.freeze(name, True)

    def thaw(self, name):
        """Lets everything in a device go on."""
        self._require(name)
        self.groups.freeze(name, False)

    def set_share(self, name, share):
        """Gives a device so many processors."""
        device = self.devices[self.index(name)]
        limits.quota(share)
        device.share = share
        if device.is_on:
            self.groups.set_share(name, share)

    def set_rate(self, name, rate):
        """Gives a device's cable another rate; None: that of the topology."""
        device = self.devices[self.index(name)]
        device.bits_per_second = rate
        if device.is_on:
            self._shape(device)

    def _shape(self, device):
        index = self.index(device.name)
        self.namespaces.in_device(
            device.name, "tc",
            shaping.sending_lines(self.topology, index, device.bits_per_second))
        self.namespaces.in_switch(
            "tc", shaping.receiving_lines(self.topology, index, device.bits_per_second))

    def set_faults(self, faults):
        """Puts what is wrong with the links into force."""
        self.namespaces.filter(faults.rules())
        self.faults = faults


def require_machine():
    """Says what is missing on this machine, if something is."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root, for namespaces, control groups and queues. Run: "
                       "sudo Tools/lab …")
    missing = sorted({package for tool, package in TOOLS.items()
                      if not shutil.which(tool, path=ENVIRONMENT_PATH)})
    if missing:
        raise LabError(f"missing here: {', '.join(missing)}. Install with: Tools/setup, or "
                       f"apt-get install {' '.join(missing)}")


def fitting_scale(asked, core_speed):
    """How much slower than asked everything runs, so that this machine can do it: 1 if it can."""
    wanted = sum(node.operations_per_second for node in asked.nodes) / core_speed
    here = len(os.sched_getaffinity(0)) * SHARE_OF_MACHINE
    return min(1.0, here / wanted)


def tail(path, lines=15):
    """The last lines of a file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(f"  {line}" for line in file.readlines()[-lines:])
    except OSError:
        return "  (nothing)"
