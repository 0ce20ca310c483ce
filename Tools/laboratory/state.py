"""What is known of a lab: a folder in the user's runtime folder, and a document in it."""

import contextlib
import fcntl
import json
import os
import re
import shutil

from .errors import LabError, UsageError
from .limits import is_alive
from .waiting import wait

VERSION = 1
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")
# Another command may be waiting for agents to start.
LOCK_SECONDS = 120
# The path of a socket in it has to fit into the 107 bytes of `sun_path`.
FOLDER_BYTES_MAX = 107 - len("/0123456789012345678901234567890123456789/bus")


def base_folder():
    """Where the folders of all labs of this user are."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        own = f"/run/user/{os.getuid()}"
        runtime = own if os.path.isdir(own) else "/run"
    return os.path.join(runtime, "tessera-lab")


def data_folder(name):
    """Where the agents of a lab keep what they keep: on a disk, since memory counts as theirs."""
    return os.path.join("/var/tmp", f"tessera-lab-{os.getuid()}-{name}")


def names():
    """The labs of this user, those that are no more included."""
    try:
        return sorted(entry.name for entry in os.scandir(base_folder())
                      if entry.is_dir() and NAME.fullmatch(entry.name))
    except OSError:
        return []  # There are none.


class Folder:
    """The folder of one lab."""

    def __init__(self, name):
        if not NAME.fullmatch(name):
            raise UsageError(f"'{name}' cannot be a lab; expected are lower-case letters, digits "
                             "and '-', at most 24")
        self.name = name
        self.path = os.path.join(base_folder(), name)
        self.data = data_folder(name)
        if len(self.path) > FOLDER_BYTES_MAX:
            raise LabError(f"the path {self.path} is too long for sockets in it; set "
                           "XDG_RUNTIME_DIR to a shorter one")

    def device(self, name, *rest):
        """A file of a device."""
        return os.path.join(self.path, "devices", name, *rest)

    @contextlib.contextmanager
    def locked(self):
        """Nobody else changes the lab meanwhile. Makes the folder if it is not there."""
        descriptor = wait(LOCK_SECONDS, f"another command lets go of the lab '{self.name}'",
                          self._try_lock)
        try:
            yield self
        finally:
            os.close(descriptor)

    def _try_lock(self):
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.path, mode=0o755)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A folder that was removed meanwhile protects nothing.
            if os.fstat(descriptor).st_ino == os.stat(self.path).st_ino:
                return descriptor
        except OSError:
            pass  # Somebody holds it, or it is gone: tried again.
        os.close(descriptor)
        return None

    def read(self):
        """The document; None if there is none or it is not whole."""
        try:
            with open(os.path.join(self.path, "lab.json"), encoding="utf-8") as file:
                document = json.load(file)
        except (OSError, ValueError):
            return None
        return document if document.get("version") == VERSION else None

    def write(self, document):
        """Keeps the document, whole or not at all."""
        path = os.path.join(self.path, "lab.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump({**document, "version": VERSION}, file, indent=1)
        os.replace(path + ".new", path)

    def remove(self):
        """Removes the folder and what agents kept."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):  # Other labs are there.
            os.rmdir(os.path.dirname(self.path))


def start_time(process):
    """When a process began, in the kernel's ticks; None if it does not run.

    Together with its id it names a process for ever: an id alone is used again."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19]) if is_alive(process) else None
