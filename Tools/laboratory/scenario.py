"""What happens to a lab, on the clock."""

import copy
import threading
import time

from . import topology
from .errors import LabError
from .lab import Lab


def play(name, source, say):
    """Lets the events of a topology happen to a lab that is up; gives what each came to."""
    told = topology.read(source)
    if not told.events:
        raise LabError(f"{source} has no 'events:'. Docs/Topologies.md says how to write them.")
    lab = Lab.open(name)
    missing = [node for node in told.names if node not in {device.name for device in lab.devices}]
    if missing:
        raise LabError(f"{source} has nodes that the lab '{name}' does not have: "
                       + ", ".join(missing))
    begin = time.monotonic()
    done = []
    pause = threading.Event()
    for event in told.events:
        pause.wait(max(0, begin + event.at_seconds - time.monotonic()))
        begun = time.monotonic() - begin
        with Lab.changing(name) as lab:
            happen(lab, event, told)
        words = event.words(told.names)
        took = time.monotonic() - begin - begun
        done.append({"at_seconds": event.at_seconds, "event": words,
                     "begun_seconds": round(begun, 3), "took_seconds": round(took, 3)})
        say(f"{begun:8.2f} s  {words}")
    return done


def happen(lab, event, told):
    """One event, now. A device that boots is not waited for: the clock goes on."""
    names = [told.nodes[node].name for node in event.nodes]
    if event.kind in ("crash", "boot", "leave", "freeze", "thaw"):
        for name in names:
            getattr(lab, event.kind)(name)
    elif event.kind == "cpu":
        for name in names:
            lab.set_share(name, event.figure)
    elif event.kind == "rate":
        for name in names:
            # What runs slower than described does so in all.
            lab.set_rate(name, event.figure * lab.scale)
    else:
        faults = copy.deepcopy(lab.faults)
        change_faults(faults, event.kind, [lab.index(name) for name in names],
                      [lab.index(told.nodes[node].name) for node in event.others], event.figure)
        lab.set_faults(faults)


def change_faults(faults, kind, devices, others=(), share=None):
    """Adds what happened to the faults, or mends all."""
    if kind == "heal":
        faults.cuts.clear()
        faults.isolated.clear()
        faults.loss.clear()
    elif kind == "isolate":
        faults.isolated.update(devices)
    elif kind == "loss":
        for device in devices:
            faults.loss[device] = share
            if not share:
                del faults.loss[device]
    else:
        for device in devices:
            for other in others:
                faults.cut(device, other)
