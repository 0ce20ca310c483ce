"""Control groups: how much of the processors and of the memory a device has, and freezing it.

A device has two parts. Its share of a processor is that of the engine's threads: it stands for what the
device computes per second, of which this machine's vector units do far more than its other parts. The
agent's other threads and the daemons have a share of their own, so that they are not stopped for
many times as long as they would wait on the device whenever the engine has used up its share.

Both forms are served: version 1, one hierarchy per controller, and version 2, one for all.
"""

import os

from .errors import LabError
from .waiting import wait

# Short, so that a device computes slowly rather than in bursts at the machine's full speed.
PERIOD_MICROSECONDS = 10_000
# The kernel takes no smaller quota, and no longer period.
QUOTA_MICROSECONDS_MIN, PERIOD_MICROSECONDS_MAX = 1_000, 1_000_000
SHARE_MIN = QUOTA_MICROSECONDS_MIN / PERIOD_MICROSECONDS_MAX
# What a device's memory holds beside fragments: a quarter of it, and never less than an agent with
# its libraries and daemons takes before it has any.
SYSTEM_BYTES_MIN = 256 << 20
# How much less of this machine is one of such boards for general code than for the engine's: a
# MinnowBoard or a Raspberry Pi 4 is about 0.8 to 1.1 of its cores, and 0.2 of one for the engine.
AGENT_FACTOR = 4
ENGINE, AGENT = "engine", "agent"
# The niceness by which an agent's engine is known among its threads.
ENGINE_NICENESS = 5
END_SECONDS = 10
CONTROLLERS = ("cpu", "memory", "freezer")
UNLIMITED = -1
# The most that the kernel takes: whatever else the machine does gets what the devices leave.
WEIGHT_V1, WEIGHT_V2 = 262_144, 10_000


def quota(share):
    """Quota and period in microseconds for so many processors."""
    if share < SHARE_MIN:
        raise LabError(f"a device cannot have {share:g} of a processor; the least is {SHARE_MIN:g}")
    period = PERIOD_MICROSECONDS
    if share * period < QUOTA_MICROSECONDS_MIN:
        period = min(round(QUOTA_MICROSECONDS_MIN / share), PERIOD_MICROSECONDS_MAX)
    return max(QUOTA_MICROSECONDS_MIN, round(share * period)), period


def limit_bytes(memory_bytes):
    """A device's whole memory, when fragments may take so much."""
    return memory_bytes + max(SYSTEM_BYTES_MIN, memory_bytes // 3)


def hierarchies(mounts):
    """Where the controllers are, by name; `mounts` is the text of /proc/self/mounts."""
    found = {}
    for line in mounts.splitlines():
        _, place, kind, options = line.split()[:4]
        if kind == "cgroup":
            for controller in CONTROLLERS:
                if controller in options.split(","):
                    found.setdefault(controller, place)
        elif kind == "cgroup2":
            found.setdefault("unified", place)
    return found


class Groups:
    """The groups of a lab: one for each device."""

    def __init__(self, lab, places=None):
        if places is None:
            with open("/proc/self/mounts", encoding="utf-8") as file:
                places = hierarchies(file.read())
        self.folder = f"tessera-lab-{lab}"
        self.is_v2 = "cpu" not in places and "unified" in places
        if not self.is_v2 and not all(name in places for name in CONTROLLERS):
            missing = [name for name in CONTROLLERS if name not in places]
            raise LabError(f"this machine has no control groups for {', '.join(missing)}; the lab "
                           "cannot limit devices. Mount them (see cgroups(7)).")
        self._places = places

    def _path(self, controller, device=None):
        place = self._places["unified" if self.is_v2 else controller]
        return os.path.join(place, self.folder, *([device] if device else []))

    def _folders(self, device=None):
        return [self._path(name, device) for name in (("",) if self.is_v2 else CONTROLLERS)]

    def make(self, device):
        """Makes the group of a device."""
        for path in self._folders():
            os.makedirs(path, exist_ok=True)
        if self.is_v2:
            for path in (self._places["unified"], self._path("")):
                _write(path, "cgroup.subtree_control", "+cpu +memory")
            _write(self._path("cpu"), "cpu.weight", WEIGHT_V2)
        else:
            _write(self._path("cpu"), "cpu.shares", WEIGHT_V1)
        for path in self._folders(device):
            os.makedirs(path, exist_ok=True)
        for part in (ENGINE, AGENT):
            path = self._part(device, part)
            os.makedirs(path, exist_ok=True)
            if self.is_v2:
                _write(path, "cgroup.type", "threaded")
        if self.is_v2:
            _write(self._path("", device), "cgroup.subtree_control", "+cpu")

    def _part(self, device, part):
        return os.path.join(self._path("cpu", device), part)

    def join_paths(self, device, part=AGENT):
        """The files into which a process writes 0 to be in a part of the group."""
        folders = [] if self.is_v2 else self._folders(device)[1:]
        return [os.path.join(path, "cgroup.procs")
                for path in [self._part(device, part), *folders]]

    def part(self, device, process):
        """Gives the threads of an agent, which begins in the engine's part, to the part that each
        belongs to.

        The engine's have a niceness of theirs. The first thread stays: by it a process finds its
        quota.
        """
        for thread, niceness in threads(process):
            part = ENGINE if niceness == ENGINE_NICENESS or thread == process else AGENT
            try:
                _write(self._part(device, part), "cgroup.threads" if self.is_v2 else "tasks", thread)
            except LabError:
                if os.path.exists(f"/proc/{process}/task/{thread}"):
                    raise

    def set_share(self, device, share):
        """Gives a device so many processors."""
        for part, factor in ((ENGINE, 1), (AGENT, AGENT_FACTOR)):
            self._set_quota(self._part(device, part), *quota(share * factor))

    def _set_quota(self, path, own, period):
        if self.is_v2:
            _write(path, "cpu.max", f"{own} {period}")
            return
        # In this order no step is refused: a quota has to fit the group's period at each moment.
        _write(path, "cpu.cfs_quota_us", UNLIMITED)
        _write(path, "cpu.cfs_period_us", period)
        _write(path, "cpu.cfs_quota_us", own)

    def set_memory(self, device, size):
        """Gives a device so many bytes, without swap."""
        path = self._path("memory", device)
        if self.is_v2:
            _write(path, "memory.max", size)
            if os.path.exists(os.path.join(path, "memory.swap.max")):
                _write(path, "memory.swap.max", 0)
            return
        both = "memory.memsw.limit_in_bytes"
        has_swap = os.path.exists(os.path.join(path, both))
        if has_swap:
            _write(path, both, UNLIMITED)
        _write(path, "memory.limit_in_bytes", size)
        if has_swap:
            _write(path, both, size)

    def memory(self, device):
        """Bytes in use, and how often the kernel killed something for want of memory."""
        path = self._path("memory", device)
        used = _read(path, "memory.current" if self.is_v2 else "memory.usage_in_bytes")
        events = _read(path, "memory.events" if self.is_v2 else "memory.oom_control")
        kills = [int(line.split()[1]) for line in events.splitlines()
                 if line.startswith("oom_kill ")]
        return int(used or 0), sum(kills)

    def freeze(self, device, frozen):
        """Stops every process of a device where it is, or lets them go on."""
        path = self._path("freezer", device)
        if self.is_v2:
            _write(path, "cgroup.freeze", int(frozen))
            wait(END_SECONDS, f"{device} freezes or thaws", lambda: (
                f"frozen {int(frozen)}" in _read(path, "cgroup.events")))
            return
        state = "FROZEN" if frozen else "THAWED"
        _write(path, "freezer.state", state)
        wait(END_SECONDS, f"{device} is {state}", lambda: self._has_settled(path, state))

    @staticmethod
    def _has_settled(path, state):
        found = _read(path, "freezer.state").strip()
        if found != state:
            # A process that was just being made escapes a first attempt (freezer-subsystem.txt).
            _write(path, "freezer.state", state)
        return found == state

    def is_frozen(self, device):
        """Whether a device is frozen."""
        path = self._path("freezer", device)
        if self.is_v2:
            return _read(path, "cgroup.freeze").strip() == "1"
        return _read(path, "freezer.state").strip() in ("FROZEN", "FREEZING")

    def processes(self, device):
        """The processes of a device, by id; zombies are none."""
        text = _read(self._folders(device)[-1], "cgroup.procs")
        return [int(line) for line in text.split() if is_alive(int(line))]

    def kill(self, device):
        """Ends every process of a device at once, frozen ones too."""
        def ended():
            found = self.processes(device)
            for process in found:
                try:
                    os.kill(process, 9)
                except ProcessLookupError:
                    pass  # It ended by itself meanwhile.
            if found and self.is_frozen(device):
                # A frozen process dies only when it thaws.
                self.freeze(device, False)
            return not found
        if os.path.isdir(self._folders(device)[-1]):
            wait(END_SECONDS, f"the processes of {device} end", ended)

    def remove(self):
        """Ends what runs in the lab's groups and removes them; those of a former run too."""
        devices = set()
        for path in self._folders():
            if os.path.isdir(path):
                devices.update(entry.name for entry in os.scandir(path) if entry.is_dir())
        for device in sorted(devices):
            self.kill(device)
        parts = [self._part(device, part) for device in sorted(devices) for part in (ENGINE, AGENT)]
        for path in parts + [
                path for device in sorted(devices) for path in self._folders(device)] + (
                self._folders()):
            # A group stays busy until the kernel has buried its last process.
            wait(END_SECONDS, f"the group {path} is empty", lambda path=path: _removed(path))


def threads(process):
    """The threads of a process with their niceness; those that ended meanwhile are left out."""
    found = []
    try:
        names = os.listdir(f"/proc/{process}/task")
    except OSError:
        return found
    for name in names:
        try:
            with open(f"/proc/{process}/task/{name}/stat", encoding="utf-8",
                      errors="replace") as file:
                # Fields 3 and up stand behind the name in brackets; the niceness is field 19.
                found.append((int(name), int(file.read().rpartition(")")[2].split()[16])))
        except (OSError, IndexError):
            continue
    return found


def is_alive(process):
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _removed(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _write(folder, name, value):
    path = os.path.join(folder, name)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(str(value))
    except OSError as error:
        raise LabError(f"{path} does not take {value}: {error.strerror}") from error


def _read(folder, name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""  # Not there: the group is gone or was never made.
