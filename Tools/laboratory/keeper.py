"""The first process of a lab's namespaces: as long as it lives, they do; with it they all end.

    python keeper.py FOLDER

Says `ready` when the mounts are made. Ends if its standard input ends before the word `stay` came:
so an `up` that is killed leaves no process behind.
"""

import os
import signal
import subprocess
import sys


def prepare(folder):
    """Gives the lab a /run of its own, with the lab's folder in it."""
    for command in (
            ["mount", "--bind", folder, "/mnt"],
            ["mount", "-t", "tmpfs", "-o", "mode=755,size=16m", "tmpfs", "/run"]):
        subprocess.run(command, check=True)
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["mount", "--move", "/mnt", folder], check=True)
    # Avahi's place is compiled in; each daemon mounts a folder of its own over it.
    os.mkdir("/run/avahi-daemon")


def main():
    """Keeps the namespaces."""
    os.chdir("/")
    prepare(sys.argv[1])
    # Orphans of the lab become children of this process; the kernel buries them by itself.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    if sys.stdin.readline().strip() != "stay":
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
