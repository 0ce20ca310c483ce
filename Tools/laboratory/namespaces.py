"""Where devices live: namespaces that one process, the keeper, holds, and that end with it.

The lab has namespaces of its own for processes, mounts and the network; the last one is the switch.
Each device has a network namespace more, bound to a file of the lab's folder that is seen in the
lab only. None of these networks has a way out of the lab.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys

from . import shaping
from .errors import LabError
from .state import start_time
from .waiting import wait

START_SECONDS = 20
END_SECONDS = 20
CLONE_NEWNET = 0x40000000
TOOLS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables", "nsenter": "util-linux",
         "unshare": "util-linux", "setsid": "util-linux", "mount": "mount",
         "dbus-daemon": "dbus", "avahi-daemon": "avahi-daemon"}
ENVIRONMENT_PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def run(command, text=None):
    """Runs a tool; what it says is in the error if it fails."""
    result = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": ENVIRONMENT_PATH})
    if result.returncode:
        words = (result.stderr or result.stdout).strip()
        raise LabError(f"'{' '.join(command)}' ended with {result.returncode}: {words}"
                       + (f"\nits input was:\n{text}" if text else ""))
    return result.stdout


class Namespaces:
    """The namespaces of one lab."""

    def __init__(self, folder, keeper=None):
        self.folder = folder
        # Process id and start time of the keeper.
        self.keeper = tuple(keeper) if keeper else None
        self._process = None

    # The keeper.

    def start(self):
        """Makes the namespaces. They end with this process, unless `stay` is called."""
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL",
             "--propagation", "private", "--mount-proc", sys.executable, "-I",
             os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper.py"),
             self.folder.path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, text=True)
        if self._process.stdout.readline().strip() != "ready":
            raise LabError("no namespaces can be made here: " + self._process.stderr.read().strip())
        [keeper] = wait(START_SECONDS, "the lab's first process", self._children)
        self.keeper = keeper, start_time(keeper)
        self.in_switch("ip", shaping.switch_lines())

    def _children(self):
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and _parent(entry) == self._process.pid:
                found.append(int(entry))
        return found

    def stay(self):
        """From now on the namespaces live until `end`."""
        self._process.stdin.write("stay\n")
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.stderr.close()
        self._process = None

    @property
    def live(self):
        """Whether the lab is there."""
        return self.keeper is not None and start_time(self.keeper[0]) == self.keeper[1]

    def end(self):
        """Ends every process of the lab, and with the last one its namespaces."""
        if self._process:
            self._process.stdin.close()
        if self.live:
            os.kill(self.keeper[0], signal.SIGKILL)
            # The first process of a namespace is gone only after all others.
            wait(END_SECONDS, "the lab's processes end", lambda: not self.live)
        if self._process:
            self._process.wait()

    # Inside.

    def inside(self, *flags):
        """The beginning of a command that runs in the lab's namespaces."""
        return ["nsenter", "--target", str(self.keeper[0]), "--mount", *flags, "--"]

    def in_switch(self, tool, lines):
        """Runs lines of `ip` or `tc` at the switch."""
        if lines:
            run([*self.inside("--net"), tool, "-batch", "-"], "\n".join(lines) + "\n")

    def in_device(self, device, tool, lines):
        """Runs lines of `ip` or `tc` in a device."""
        run([*self.inside(), "nsenter", f"--net={self.network(device)}", "--", tool, "-batch",
             "-"], "\n".join(lines) + "\n")

    def filter(self, rules):
        """Puts rules for `nft` into force at the switch."""
        run([*self.inside("--net"), "nft", "-f", "-"], rules)

    def network(self, device):
        """The file that stands for the network of a device, inside the lab."""
        return self.folder.device(device, "network")

    def make_device(self, device, index):
        """Makes the network of a device and plugs it in."""
        path = self.network(device)
        with open(path, "w", encoding="utf-8"):
            pass
        # Among the lab's own processes, since the network is bound by way of the lab's /proc.
        run([*self.inside("--pid"), "unshare", f"--net={path}", "true"])
        self.in_switch("ip", [
            f"link add {shaping.DEVICE} netns {path} address {shaping.hardware_address(index)} "
            f"type veth peer name {shaping.port(index)}",
            f"link set {shaping.port(index)} master {shaping.BRIDGE} up"])
        self.in_device(device, "ip", shaping.device_lines(index))

    def unplug(self, index):
        """Pulls a device's cable out, for good: nothing it says is heard from here on."""
        self.in_switch("ip", [f"link del {shaping.port(index)}"])

    def remove_device(self, device):
        """Removes the network of a device, with what its kernel still meant to send."""
        run([*self.inside("--pid"), "umount", self.network(device)])

    def socket(self, device):
        """A new socket in the network of a device."""
        # The file is bound in the lab only, which is seen through its first process.
        return _socket_in(f"/proc/{self.keeper[0]}/root{self.network(device)}")

    def socket_in_switch(self):
        """A new socket in the network of the switch."""
        return _socket_in(f"/proc/{self.keeper[0]}/ns/net")


def _socket_in(network):
    target = os.open(network, os.O_RDONLY)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _enter(target)
        try:
            # A socket stays in the network in which it was made.
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            _enter(own)
    finally:
        os.close(target)
        os.close(own)


_libc = ctypes.CDLL(None, use_errno=True)


def _enter(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"entering a network failed: {os.strerror(number)}")


def _parent(process):
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None  # It ended meanwhile.
