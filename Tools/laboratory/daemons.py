"""The message bus and the Avahi daemon of a device."""

import os

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""
AVAHI = """[server]
host-name={name}
domain-name=local
use-ipv4=yes
use-ipv6=no
allow-interfaces=eth0
use-iff-running=yes
enable-dbus=yes
[wide-area]
enable-wide-area=no
[publish]
publish-hinfo=no
publish-workstation=no
"""


def environment(folder):
    """What a process needs to talk to them; `folder` is the device's."""
    return {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/bus", "AVAHI_COMPAT_NOWARN": "1"}


def configure(folder, name):
    """Writes their configurations, without traces of a former run."""
    for file, text in (("bus.conf", BUS.format(folder=folder)),
                       ("avahi.conf", AVAHI.format(name=name))):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as stream:
            stream.write(text)
    for file in ("bus", "bus.log", "avahi.log"):
        if os.path.lexists(os.path.join(folder, file)):
            os.unlink(os.path.join(folder, file))


def bus_command(folder):
    """The bus."""
    return ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile",
            "--nosyslog"]


def avahi_command(folder):
    """Avahi, with a place of its own for its process id and its socket."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            "mount -t tmpfs -o mode=755,size=1m tmpfs /run/avahi-daemon && exec avahi-daemon "
            f"-f '{folder}/avahi.conf' --no-drop-root --no-chroot --no-rlimits --no-proc-title"]


def bus_runs(folder):
    """Whether the bus takes calls."""
    return os.path.exists(os.path.join(folder, "bus"))


def avahi_runs(folder):
    """Whether Avahi is up."""
    try:
        with open(os.path.join(folder, "avahi.log"), encoding="utf-8", errors="replace") as file:
            return "Server startup complete" in file.read()
    except OSError:
        return False
