"""The command line of the lab."""

import argparse
import copy
import json
import os
import sys

from . import compare, interrupts, scenario, shaping, state
from .errors import FAILED, USAGE, LabError, UsageError
from .lab import Lab


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"{message}; see {self.prog} --help")


def parser():
    """What may be said."""
    top = _Parser(
        prog="Tools/lab", description="Ordinary agents on emulated devices of this machine, as a "
        "topology describes them. Needs root. Docs/Lab.md says more.")
    top.add_argument("--lab", default=os.environ.get("TESSERA_LAB", "lab"), metavar="NAME",
                     help="which lab, if there are several (TESSERA_LAB; default: lab)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, text, *arguments, **options):
        one = commands.add_parser(name, help=text, description=text)
        for argument in arguments:
            one.add_argument(argument.lower(), metavar=argument)
        one.set_defaults(**options)
        return one

    def up_options(one):
        one.add_argument("--scale", type=_share, help="run everything at this share of the "
                         "topology's speed (default: the most that this machine can do, at most 1)")
        one.add_argument("--core-speed", type=_positive, metavar="OPERATIONS",
                         help="operations per second of one processor here (default: measured)")
    up = command("up", "Start a lab and wait until all agents see all.", "TOPOLOGY")
    up_options(up)
    up.add_argument("--off", default="", metavar="NODE,…", help="devices that stay switched off")
    up.add_argument("--discovery", default="mdns", choices=("mdns", "auto", "beacon"),
                    help="how agents find each other (default: mdns)")
    command("down", "End a lab and remove everything of it.")
    status = command("status", "Show the devices of a lab.")
    status.add_argument("--json", action="store_true", help="print one JSON document")
    run = command("exec", "Run a command in a device; its exit code is that of the command.",
                  "NODE")
    run.add_argument("--unlimited", action="store_true",
                     help="outside of the device's processors and memory")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD…")
    command("crash", "Power loss: the device is gone, and nothing that it still meant to say gets "
            "out.", "NODE")
    command("boot", "Switch a device on, or start its agent again; wait until it is up.", "NODE")
    command("leave", "Let the agent of a device leave in order.", "NODE")
    command("freeze", "Stop everything in a device where it is.", "NODE")
    command("thaw", "Let a frozen device go on.", "NODE")
    command("cpu", "Give a device so many processors, such as 0.25 or 25%%.", "NODE", "SHARE")
    command("rate", "Give a device's cable another rate, such as 20mbit; off: the topology's.",
            "NODE", "RATE")
    command("loss", "Lose so many of a device's frames each way, such as 1%%; 0: none.", "NODE",
            "SHARE")
    command("cut", "Let two devices not hear each other.", "A", "B")
    command("isolate", "Let nobody hear a device.", "NODE")
    command("heal", "Mend every cut, isolation and loss.")
    play = command("run", "Let the events of a topology happen, on the clock.")
    play.add_argument("scenario", nargs="?", metavar="TOPOLOGY",
                      help="whose events (default: the lab's own topology)")
    play.add_argument("--json", action="store_true", help="print one JSON document at the end")
    both = command("compare", "Measure a model in a lab of its own, beside what is predicted.",
                   "TOPOLOGY", "MODEL")
    up_options(both)
    both.add_argument("--seconds", type=_positive, default=20, help="length of the load (20)")
    both.add_argument("--clients", type=int, default=16, help="clients at the entry (16)")
    both.add_argument("--plan", action="append", default=[], metavar="OPTION",
                      help="for planner and mesh, such as --plan=--allow=single; repeatable")
    both.add_argument("--json", action="store_true", help="print one JSON document")
    return top


def _positive(text):
    value = float(text)
    if not value > 0:
        raise ValueError
    return value


def _share(text):
    value = _positive(text)
    if value > 1:
        raise ValueError
    return value


def share(text):
    """A share that a person wrote: 0.25 or 25%."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise UsageError(f"'{text}' is no share; expected is such as 0.25 or 25%")
    return value


def say(text):
    """A line for people."""
    print(text, file=sys.stderr, flush=True)


def up(name, arguments, off=(), discovery="mdns"):
    """Starts a lab and says what it became."""
    lab = Lab(name)
    lab.up(arguments.topology, arguments.scale, arguments.core_speed, discovery, off)
    say(f"lab '{name}': {len(lab.devices)} devices; one processor here does "
        f"{lab.core_speed:.3g} operations per second; everything runs at {lab.scale:.3g} of the "
        "topology's speed")
    slow = max(link.latency_seconds for row in lab.topology.links for link in row)
    if slow >= NOTABLE_LATENCY_SECONDS:
        say(f"note: latencies (here up to {slow * 1e3:.3g} ms) are not emulated")
    return lab


# What the emulated cables and a scheduler between them take anyway.
NOTABLE_LATENCY_SECONDS = 0.001


def status_document(lab):
    """What there is to know of a lab."""
    groups = lab.groups
    found = []
    for index, device in enumerate(lab.devices):
        entry = {"name": device.name, "address": shaping.address(index), "share": device.share,
                 "threads": device.threads, "memory_bytes": device.memory_bytes, "state": "off"}
        if device.is_on:
            used, kills = groups.memory(device.name)
            processes = lab.agent_processes(device.name)
            frozen = groups.is_frozen(device.name)
            members = None if frozen or not processes else lab.agent(device.name).members()
            entry.update(
                state="frozen" if frozen else "on" if processes else "no agent",
                memory_used_bytes=used, memory_kills=kills, process=(processes or [None])[0],
                members=members)
        if device.bits_per_second:
            entry["bits_per_second"] = device.bits_per_second
        found.append(entry)
    names = [device.name for device in lab.devices]
    return {
        "version": 1, "lab": lab.name, "topology": lab.source, "program": lab.program,
        "scale": lab.scale, "core_operations_per_second": lab.core_speed, "devices": found,
        "faults": {
            "cuts": [[names[a], names[b]] for a, b in sorted(lab.faults.cuts)],
            "isolated": [names[index] for index in sorted(lab.faults.isolated)],
            "loss": {names[index]: loss for index, loss in sorted(lab.faults.loss.items())}}}


def status_table(document):
    """The same for people."""
    rows = [("NODE", "STATE", "ADDRESS", "PROCESSORS", "FRAGMENTS", "USED", "SEES")]
    for device in document["devices"]:
        members = device.get("members")
        rows.append((
            device["name"], device["state"], device["address"], f"{device['share']:.3f}",
            _bytes(device["memory_bytes"]), _bytes(device.get("memory_used_bytes")),
            "-" if members is None else str(len(members))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) if column < 3 else text.rjust(width)
                       for column, (text, width) in enumerate(zip(row, widths))).rstrip()
             for row in rows]
    faults = document["faults"]
    lines += [f"# cut: {a} {b}" for a, b in faults["cuts"]]
    lines += [f"# isolated: {name}" for name in faults["isolated"]]
    lines += [f"# loss: {name} {loss:.3%}" for name, loss in faults["loss"].items()]
    lines += [f"# memory: {device['name']} had {device['memory_kills']} processes killed"
              for device in document["devices"] if device.get("memory_kills")]
    return "\n".join(lines)


def _bytes(count):
    return "-" if count is None else f"{count / (1 << 20):.0f} MiB"


def run_up(arguments):
    """`up`."""
    off = [name for name in arguments.off.split(",") if name]
    lab = up(arguments.lab, arguments, off, arguments.discovery)
    print(status_table(status_document(lab)))


def run_down(arguments):
    """`down`."""
    from .lab import require_machine
    require_machine()
    if not Lab(arguments.lab).down():
        say(f"the lab '{arguments.lab}' was not there")


def run_status(arguments):
    """`status`."""
    document = status_document(Lab.open(arguments.lab))
    print(json.dumps(document, indent=1) if arguments.json else status_table(document))


def run_exec(arguments):
    """`exec`."""
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        raise UsageError("exec needs a command, such as: Tools/lab exec NODE tessera status")
    lab = Lab.open(arguments.lab)
    code = lab.execute(arguments.node, words, limited=not arguments.unlimited).returncode
    return code if code >= 0 else 128 - code


def run_device(arguments):
    """`crash`, `leave`, `freeze` and `thaw`."""
    with Lab.changing(arguments.lab) as lab:
        getattr(lab, arguments.command)(arguments.node)


def run_boot(arguments):
    """`boot`."""
    with Lab.changing(arguments.lab) as lab:
        lab.boot(arguments.node)
    lab.await_agent(arguments.node)


def run_cpu(arguments):
    """`cpu`."""
    with Lab.changing(arguments.lab) as lab:
        lab.set_share(arguments.node, share(arguments.share))


def run_rate(arguments):
    """`rate`."""
    rate = shaping.bits_per_second(arguments.rate)
    with Lab.changing(arguments.lab) as lab:
        lab.set_rate(arguments.node, rate)


def run_faults(arguments):
    """`cut`, `isolate`, `loss` and `heal`."""
    with Lab.changing(arguments.lab) as lab:
        faults = copy.deepcopy(lab.faults)
        kind, devices, others, lost = arguments.command, [], [], None
        if kind == "cut":
            devices, others = [lab.index(arguments.a)], [lab.index(arguments.b)]
            if devices == others:
                raise UsageError("a device cannot be cut from itself")
        elif kind != "heal":
            devices = [lab.index(arguments.node)]
        if kind == "loss":
            lost = share(arguments.share)
            if lost > 1:
                raise UsageError("more than all frames cannot be lost; expected is such as 1%")
        scenario.change_faults(faults, kind, devices, others, lost)
        lab.set_faults(faults)


def run_scenario(arguments):
    """`run`."""
    source = arguments.scenario or Lab.open(arguments.lab).source
    done = scenario.play(arguments.lab, source, say)
    if arguments.json:
        print(json.dumps({"version": 1, "events": done}, indent=1))


def run_compare(arguments):
    """`compare`: in a lab of its own, which is removed whatever happens."""
    name = f"compare-{os.getpid()}"
    if not os.access(arguments.model, os.R_OK):
        raise LabError(f"the model {arguments.model} cannot be read. Check the path.")
    lab = up(name, arguments)
    try:
        document = compare.compare(
            lab, arguments.model, arguments.seconds, arguments.clients, arguments.plan)
    except LabError:
        say(lab.last_words())
        raise
    finally:
        Lab(name).down()
    print(json.dumps(document, indent=1) if arguments.json else compare.table(document))


RUN = {
    "up": run_up, "down": run_down, "status": run_status, "exec": run_exec, "crash": run_device,
    "leave": run_device, "freeze": run_device, "thaw": run_device, "boot": run_boot,
    "cpu": run_cpu, "rate": run_rate, "loss": run_faults, "cut": run_faults,
    "isolate": run_faults, "heal": run_faults, "run": run_scenario, "compare": run_compare,
}


def main(words):
    """Runs a command; gives the exit code."""
    interrupts.install()
    try:
        arguments = parser().parse_args(words)
        if os.geteuid() != 0:
            from .lab import require_machine
            require_machine()
        state.Folder(arguments.lab)
        return RUN[arguments.command](arguments) or 0
    except LabError as error:
        say(f"lab: {error}")
        return USAGE if error.code == USAGE else FAILED
    except interrupts.Interrupted as interrupted:
        say("lab: interrupted")
        return interrupted.code
