"""Devices with a system of their own: Debian with systemd in containers, on one network."""

import os
import shutil
import subprocess
import time

import mesh

TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container",
         "nsenter": "util-linux", "ip": "iproute2"}
MISSING = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
# What a device has beside Debian's least: a service manager, and what looks at it.
PACKAGES = "gpgv,systemd-sysv,dbus,iproute2,curl"
BRIDGE = "tessera0"
SECONDS = 120


def output(*command, seconds=900, **options):
    """What a command prints; it must succeed."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=seconds, **options)
    if result.returncode != 0:
        raise mesh.Failed(f"{' '.join(map(str, command))} ended with {result.returncode}:\n"
                          f"{result.stdout[-3000:]}")
    return result.stdout


def make_system(root):
    """A clean Debian of the release that the program was built on."""
    with open("/etc/os-release", encoding="utf-8") as file:
        release = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    output("mmdebstrap", "--variant=apt", f"--include={PACKAGES}", release["VERSION_CODENAME"],
           root)
    # Else each device would have the name of this machine.
    os.remove(os.path.join(root, "etc", "hostname"))


# What a command in a system gets: nothing of this machine's settings means anything there.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
               "DEBIAN_FRONTEND": "noninteractive"}


def inside(root, *command):
    """Runs a command in the system as it lies on the disk."""
    shutil.copy("/etc/resolv.conf", os.path.join(root, "etc", "resolv.conf"))
    return output("chroot", root, *command, env=ENVIRONMENT)


class Device:
    """One container: its system is the one on the disk, with what it changes kept in memory."""

    def __init__(self, network, root, name, number):
        self.name, self.address = name, f"10.77.0.{number}"
        self.log = os.path.join(network.folder, name + ".console")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*network.enter, "systemd-nspawn", "--boot", "--volatile=overlay",
                 f"--directory={root}", f"--machine={name}", f"--hostname={name}",
                 f"--network-bridge={BRIDGE}", "--register=no", "--keep-unit"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.leader = None

    def await_up(self):
        """Waits until its service manager is up."""
        def find():
            assert self.process.poll() is None, self.console()
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                      encoding="ascii") as file:
                for child in file.read().split():
                    with open(f"/proc/{child}/comm", encoding="ascii") as name:
                        if name.read().strip() == "systemd":
                            return child
            return None
        self.leader = mesh.wait(SECONDS, f"{self.name} begins: {self.console()}", find)
        mesh.wait(SECONDS, lambda: f"{self.name} is up: {self.console()}", lambda: self.call(
            "systemctl", "is-system-running").stdout.strip() in ("running", "degraded"))
        self.run("ip", "address", "add", self.address + "/24", "dev", "host0")
        self.run("ip", "link", "set", "host0", "up")

    def console(self):
        """What it wrote at its start."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def call(self, *command, text=""):
        """How a command in it ended."""
        return subprocess.run(["nsenter", "-t", self.leader, "-a", *command], input=text,
                              capture_output=True, text=True, timeout=SECONDS,
                              env=ENVIRONMENT)

    def run(self, *command, text=""):
        """What a command in it prints; it must succeed."""
        result = self.call(*command, text=text)
        if result.returncode != 0:
            raise mesh.Failed(f"{self.name}: {' '.join(command)} ended with {result.returncode}: "
                              f"{result.stdout[-1500:]}{result.stderr[-1500:]}\n{self.journal()}")
        return result.stdout

    def journal(self):
        """What its agent logged."""
        return self.call("journalctl", "-u", "tessera", "-o", "cat", "--no-pager").stdout[-3000:]

    def main_process(self):
        """The number of the agent's process, as the device sees it."""
        return self.run("systemctl", "show", "-p", "MainPID", "--value", "tessera").strip()


class Network:
    """A network without anything else in it, and the devices on it. Use it with `with`."""

    def __init__(self, folder, root, names):
        self.folder = folder
        # A network of its own lives as long as a process in it.
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.enter = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        self.devices = []
        try:
            own = os.readlink("/proc/self/ns/net")
            mesh.wait(10, "a network", lambda: os.readlink(
                f"/proc/{self.holder.pid}/ns/net") != own)
            output(*self.enter, "ip", "link", "add", BRIDGE, "type", "bridge", "mcast_snooping",
                   "0")
            output(*self.enter, "ip", "link", "set", BRIDGE, "up")
            for number, name in enumerate(names, 1):
                self.devices.append(Device(self, root, name, number))
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        try:
            for device in self.devices:
                device.await_up()
        except BaseException:
            self.close()
            raise
        return self.devices

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends all that was started, by its process."""
        for device in self.devices:
            # Twice: nspawn asks the container first.
            for _ in range(2):
                if device.process.poll() is None:
                    device.process.terminate()
                    time.sleep(0.2)
            try:
                device.process.wait(30)
            except subprocess.TimeoutExpired:
                device.process.kill()
                device.process.wait()
        self.holder.kill()
        self.holder.wait()
