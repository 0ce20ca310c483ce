"""The demonstration; Tools/demo runs it."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

import kserve
import load
import mesh

MODEL = "digits-cnn"
CLIENTS = 16
# Long enough to see the mesh work, lose a node and go on.
SECONDS_BEFORE, SECONDS_AFTER = 5, 8
# Of what the mesh answers at most, so that the loss of a node leaves room.
SHARE_OF_CAPACITY = 0.5


def say(text=""):
    """A line for people, at once."""
    print(text, flush=True)


def step(text):
    """A new part of the demonstration."""
    say(f"\n== {text}")


def show(*arguments):
    """Shows a command of the command line and what it prints."""
    say("$ tessera " + " ".join(word for word in arguments if not word.startswith("--api")))
    say(mesh.check(*arguments).out.rstrip())


def machine_has_avahi():
    """Whether a message bus with an Avahi daemon runs."""
    if not os.path.exists("/run/dbus/system_bus_socket") or not shutil.which("dbus-send"):
        return False
    answer = subprocess.run(
        ["dbus-send", "--system", "--print-reply", "--reply-timeout=2000",
         "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner",
         "string:org.freedesktop.Avahi"], capture_output=True, text=True, check=False)
    return "boolean true" in answer.stdout


def reference(images):
    """The logits of every image from one agent alone, without a mesh."""
    with mesh.Mesh(["alone"], name="alone", discovery="none") as alone:
        alone["alone"].add(MODEL, os.path.join(mesh.DIGITS, f"{MODEL}.onnx"))
        folder = tempfile.mkdtemp(dir=alone.folder)
        mesh.check("infer", MODEL, "--input", f"image={mesh.DIGITS}/images.npy", "--output-dir",
                   folder, "--concurrency", "2", "--api", alone["alone"].api)
        logits = kserve.load(os.path.join(folder, "logits.npy"))
    assert logits.shape[0] == images.shape[0]
    return [item.data for item in logits.items()]


def capacity(agents, items):
    """How many requests per second the mesh answers at most."""
    work = load.Load(agents, MODEL, items, threads=8).start()
    time.sleep(2)
    begin, count = time.monotonic(), work.count
    time.sleep(2)
    rate = (work.count - count) / (time.monotonic() - begin)
    return rate, work.stop()


def choose_victim(agents):
    """A node that the plan uses, not the one where the model was added, if there is a choice."""
    nodes = agents["a"].plan_nodes(MODEL)
    others = [name for name in nodes if name != "a"]
    return (others or nodes)[-1]


def progress(work, seconds, what):
    """Waits and shows how many requests have ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.25)
        if sys.stderr.isatty():
            print(f"\r\033[K{what}: {work.count} requests", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def run_under_load(agents, items, rate):
    """Sends requests, kills one used agent meanwhile, and gives the records."""
    step(f"{CLIENTS} clients send digits to all four peers, {rate:.0f} requests per second; "
         "one agent is killed")
    work = load.Load(list(agents.agents.values()), MODEL, items, CLIENTS, per_second=rate).start()
    progress(work, SECONDS_BEFORE, "four agents")
    victim = choose_victim(agents)
    killed = time.monotonic()
    agents[victim].kill()
    say(f"agent {victim} killed with SIGKILL after {work.count} requests")
    progress(work, SECONDS_AFTER, "three agents")
    records = work.stop()
    again = sum(record.cut_off > 0 for record in records)
    say(f"{again} requests were at agent {victim} when it died or later, and went to another peer")
    say(f"longest time without any answer after that: {load.pause(records, killed) * 1000:.0f} ms")
    return victim, records


def report(records, expected, labels):
    """Prints accuracy and sums; gives the exit code."""
    answered = [record for record in records if record.error is None]
    right = sum(
        max(range(10), key=kserve.floats(record.logits).__getitem__) == labels[record.item]
        for record in answered)
    lost, wrong = load.lost(records), load.wrong(records, expected)
    step("result")
    if answered:
        say(f"accuracy: {right} of {len(answered)} digits are as labelled "
            f"({100 * right / len(answered):.2f} %)")
        say("plans that answered: " + ", ".join(
            sorted({(record.plan or "?")[:8] for record in answered})))
    for error in sorted({record.error for record in lost})[:5]:
        say(f"lost: {error}")
    say("every answer was compared bit for bit with that of one agent alone")
    say(f"{len(records)} requests, {len(lost)} lost, {len(wrong)} wrong")
    return 1 if lost or wrong or not records else 0


def main():
    """Runs the demonstration; gives the exit code."""
    images = kserve.load(os.path.join(mesh.DIGITS, "images.npy"))
    labels = kserve.load(os.path.join(mesh.DIGITS, "labels.npy")).integers()
    items = images.items()
    with contextlib.ExitStack() as stack:
        environment = {}
        if machine_has_avahi():
            say("mDNS: the machine's Avahi daemon")
        else:
            environment = stack.enter_context(mesh.PrivateMulticastDNS())
            say("mDNS: a private message bus and Avahi daemon, because the machine runs none")
        step("one agent alone answers every image: what the mesh has to give, bit for bit")
        expected = reference(images)
        say(f"{len(expected)} images answered")

        step("four agents find each other by mDNS")
        begin = time.monotonic()
        agents = stack.enter_context(
            mesh.Mesh("abcd", name="demo", discovery="mdns", environment=environment))
        say(f"all four see all four after {time.monotonic() - begin:.1f} s")
        api = agents["a"].api
        step("a model is added at agent a")
        say(agents["a"].add(MODEL, os.path.join(mesh.DIGITS, f"{MODEL}.onnx")).out.rstrip())
        agents.await_ready(MODEL)
        show("members", f"--api={api}")
        say()
        show("plan", MODEL, f"--api={api}")

        step("how much the mesh answers at most")
        rate, records = capacity(list(agents.agents.values()), items)
        say(f"{rate:.0f} requests per second")
        victim, more = run_under_load(agents, items, rate * SHARE_OF_CAPACITY)
        records += more
        step("the failover, as the agents saw it")
        for agent in agents.running:
            say(f"agent {agent.name}:")
            show("events", "--failover", f"--api={agent.api}")
        step("the plan now")
        show("plan", MODEL, f"--api={agents.running[0].api}")
        return report(records, expected, labels)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except mesh.Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        sys.exit(130)
