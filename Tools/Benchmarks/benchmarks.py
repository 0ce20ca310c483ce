"""The benchmarks of Docs/Benchmarks.md. Start them by Tools/Benchmarks/run."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

from processes import (
    PROGRAM, ROOT, Idle, Part, bare_engine, client, folder, kserve, machine, median, mesh, note,
    quantile, rate, request, spread, table)
from recovery import MODELS as RECOVERY_MODELS, recovery
from rows import MODELS as ROW_MODELS, rows
from simulator import simulator

# Where Tools/models/make leaves the models that are too large to be committed.
DIGITS = os.path.join(ROOT, "Tools", "models", "digits", "digits-cnn.onnx")


def model_path(name, given):
    """The file of a model: as given, committed, or made."""
    if given.get(name):
        return given[name]
    committed = os.path.join(os.path.dirname(DIGITS), name + ".onnx")
    if os.path.exists(committed):
        return committed
    cache = os.environ.get("TESSERA_MODELS", os.path.join(ROOT, ".build", "models"))
    path = os.path.join(cache, name + ".onnx")
    if not os.path.exists(path):
        note(f"making {name}")
        os.makedirs(cache, exist_ok=True)
        subprocess.run([os.path.join(ROOT, "Tools", "models", "make"), name, "--output", path],
                       check=True, stdout=sys.stderr)
    return path


# Overhead.

def overhead(options):
    """One agent over HTTP against the bare engine."""
    results = {}
    rows = [["model", "bare engine ms", "asked one by one ms", "agent over HTTP ms", "added us",
             "added %", "of it by asking us", "equal"]]
    for name, count in (("resnet50", options.requests), ("digits-cnn", options.requests * 15)):
        note(f"overhead of {name}")
        results[name] = one = overhead_of(name, model_path(name, options.models), count, options)
        rows.append([name, spread(one["engineMilliseconds"], 3),
                     spread(one["askedMilliseconds"], 3), spread(one["agentMilliseconds"], 3),
                     spread(one["addedMicroseconds"], 0), spread(one["addedPercent"], 1),
                     spread(one["askingMicroseconds"], 0), "yes" if one["isEqual"] else "NO"])
    table(rows)
    return results


def overhead_of(name, path, count, options):
    """Blocks of requests in turn; each pair of blocks gives one difference of medians."""
    with folder() as place, bare_engine(path, place) as engine, \
            mesh.Mesh("a", discovery="none", memory="4G") as agents:
        agents["a"].add(name, path, "--copies", "1")
        agents.await_ready(name)
        body = request(engine.first, place)
        with client([agents["a"]], name, body) as sender:
            is_equal = sender.output() == engine.output()
            def asked(times):
                # The same engine, which waits for a word from here before each run, as it would
                # wait for a client's request.
                return [engine.ask("run", 1)["nanoseconds"][0] for _ in range(times)]
            parts = {"engine": lambda times: engine.ask("run", times)["nanoseconds"],
                     "asked": asked,
                     "agent": lambda times: sender.ask("run", times)["nanoseconds"]}
            for part in parts.values():
                part(count)
            idle, blocks = Idle(), {which: [] for which in parts}
            for block in range(options.blocks):
                # The one that begins takes turns, so that a drift does not favour either.
                for which in sorted(parts, reverse=block % 2 == 1):
                    blocks[which].append(parts[which](count))
    engine_medians = [median(times) / 1e6 for times in blocks["engine"]]
    asked_medians = [median(times) / 1e6 for times in blocks["asked"]]
    agent_medians = [median(times) / 1e6 for times in blocks["agent"]]
    return {
        "isEqual": is_equal, "noise": idle.figures(), "nanoseconds": blocks,
        "engineMilliseconds": engine_medians, "askedMilliseconds": asked_medians,
        "agentMilliseconds": agent_medians,
        "askingMicroseconds": [(b - a) * 1000 for a, b in zip(engine_medians, asked_medians)],
        "fastestMilliseconds": {which: min(map(min, times)) / 1e6
                                for which, times in blocks.items()},
        "addedMicroseconds": [(b - a) * 1000 for a, b in zip(engine_medians, agent_medians)],
        "addedPercent": [(b / a - 1) * 100 for a, b in zip(engine_medians, agent_medians)]}


# Transport.

def transport(options):
    """Two transports on loopback against iperf3."""
    if not shutil.which("iperf3"):
        raise mesh.Failed("iperf3 is not installed: apt-get install iperf3")
    idle = Idle()
    blocks = {"iperf3": [], "plain": [], "tls": []}
    with folder() as place:
        secret = os.path.join(place, "secret")
        mesh.check("mesh", "secret", "--output", secret)
        for block in range(options.blocks):
            note(f"transport, block {block + 1} of {options.blocks}")
            blocks["iperf3"].append(iperf(options.seconds))
            for mode in ("plain", "tls"):
                blocks[mode].append(transport_run(secret, mode, options))
    rows = [["what", "GB/s", "part of iperf3", "copies sending", "copies receiving",
             "sender CPU ms/GB", "receiver CPU ms/GB"],
            ["iperf3, one stream", spread([b["gigabytes"] for b in blocks["iperf3"]]), "1",
             "", "", "", ""]]
    for mode in ("plain", "tls"):
        ratios = [block["gigabytes"] / base["gigabytes"]
                  for block, base in zip(blocks[mode], blocks["iperf3"])]
        one = blocks[mode]
        rows.append([
            f"transport, {mode}", spread([b["gigabytes"] for b in one]), spread(ratios),
            f"{max(b['copiesSending'] for b in one):.3f}",
            f"{max(b['copiesReceiving'] for b in one):.3f}",
            f"{median([b['senderMilliseconds'] for b in one]):.0f}",
            f"{median([b['receiverMilliseconds'] for b in one]):.0f}"])
    table(rows)
    return {"blocks": blocks, "noise": idle.figures()}


def iperf(seconds):
    """The reference: one TCP stream."""
    port = free_port()
    server = subprocess.Popen(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL)
    try:
        def answer():
            result = subprocess.run(
                ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", str(seconds), "-J"],
                capture_output=True, text=True)
            return json.loads(result.stdout) if result.returncode == 0 else None
        document = mesh.wait(10, "iperf3 runs", answer)
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()
    return {"gigabytes": document["end"]["sum_received"]["bits_per_second"] / 8e9}


def free_port():
    """A port that was free a moment ago."""
    import socket
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def transport_run(secret, mode, options):
    """One stream of tensors between two processes."""
    flags = ["--secret-file", secret] + (["--plain"] if mode == "plain" else [])
    with Part("transport", *flags) as receiver:
        with Part("transport", *flags, "--to", receiver.first["address"], "--size",
                  options.size << 20, "--count", options.count, "--window", 4) as sender:
            sent = sender.first
        receiver.process.stdin.close()
        got = receiver.read()
    volume = sent["size"] * sent["count"]
    return {"gigabytes": volume / sent["nanoseconds"],
            "copiesSending": sent["sliceBytesCopiedSending"] / sent["sliceBytesSent"],
            "copiesReceiving": got["sliceBytesCopiedReceiving"] / got["sliceBytesReceived"],
            "senderMilliseconds": sent["cpuNanoseconds"] / 1e6 / (volume / 1e9),
            "receiverMilliseconds": got["cpuNanoseconds"] / 1e6 / (volume / 1e9),
            "sender": sent, "receiver": got}


# Pipeline.

def pipeline(options):
    """Two agents with one thread each against two bare engines at once, and against one agent."""
    results = {}
    rows = [["model", "two bare engines /s", "two agents /s", "part of the ceiling",
             "one agent /s", "times one agent", "equal"]]
    names = [options.model] if options.model else ["resnet50", "vit-base"]
    for name in names:
        note(f"pipeline of {name}")
        results[name] = one = pipeline_of(name, model_path(name, options.models), options)
        pairs = list(zip(one["ceiling"], one["two"], one["one"]))
        rows.append([name, spread(one["ceiling"]), spread(one["two"]),
                     spread([two / top for top, two, _ in pairs], 3), spread(one["one"]),
                     spread([two / single for _, two, single in pairs], 3),
                     "yes" if one["isEqual"] else "NO"])
    table(rows)
    for name, one in results.items():
        print(f"\n{name}: the plan and its stages")
        table([["stage on", "operators", "predicted us", "measured us"]] + [
            [",".join(stage["nodes"]), f"{stage['first']}-{stage['last']}",
             stage["predictedMicroseconds"], stage.get("measuredMicroseconds")]
            for stage in one["plan"]["stages"]])
    return results


def pipeline_of(name, path, options):
    """Interleaved blocks of the three."""
    flags = {"discovery": "beacon", "memory": "4G", "threads": 1}
    with folder() as place, bare_engine(path, place) as left, bare_engine(path, place) as right, \
            mesh.Mesh("ab", name="two", **flags) as two, \
            mesh.Mesh("c", name="one", **flags) as one:
        two["a"].add(name, path)
        one["c"].add(name, path, "--copies", "1")
        body = request(left.first, place)
        two.await_ready(name)
        with client([two["a"], two["b"]], name, body) as pair, \
                client([one["c"]], name, body) as single:
            warm_up(two["a"], name, pair, options)
            single.ask("stream", 2000, options.clients)
            is_equal = pair.output() == single.output() == left.output()
            idle, rates, plans = Idle(), {"ceiling": [], "two": [], "one": []}, []
            for block in range(options.blocks):
                note(f"  block {block + 1} of {options.blocks}")
                for which in sorted(rates, reverse=block % 2 == 1):
                    rates[which].append(pipeline_block(which, left, right, pair, single, options))
                plans.append(two["a"].plan(name))
    return {**rates, "isEqual": is_equal, "plan": plans[-1], "plans": plans,
            "noise": idle.figures()}


def pipeline_block(which, left, right, pair, single, options):
    """The rate of one block."""
    milliseconds = options.seconds * 1000
    if which == "ceiling":
        for engine in (left, right):
            engine.tell("stream", milliseconds)
        return sum(rate(engine.read()["endsNanoseconds"], 0.5) for engine in (left, right))
    answer = (pair if which == "two" else single).ask("stream", milliseconds, options.clients)
    if answer["failures"]:
        raise mesh.Failed(f"{answer['failures']} requests failed")
    # The pipe fills first.
    return rate(answer["endsNanoseconds"], 1.0)


def warm_up(agent, name, sender, options):
    """Load until the plan has stood for a while: the planner learns from what runs."""
    begin = changed = time.monotonic()
    plan = None
    while time.monotonic() - changed < options.stable and time.monotonic() - begin < 90:
        sender.ask("stream", 2000, options.clients)
        document = agent.plan(name) or {}
        if document.get("plan") != plan:
            plan, changed = document.get("plan"), time.monotonic()
            note("  plan after %.0f s: %s" % (changed - begin, ", ".join(
                f"{'+'.join(stage['nodes'])} {stage['first']}-{stage['last']} "
                f"(predicted {stage['predictedMicroseconds']} us, measured "
                f"{stage.get('measuredMicroseconds')} us)"
                for stage in document.get("stages", []))))


# Suspicion.

def suspicion(options):
    """Four agents under full load; nobody may be suspected."""
    name = options.model or "digits-cnn"
    path = model_path(name, options.models)
    with folder() as place, mesh.Mesh("abcd", memory="4G") as agents:
        with bare_engine(path, place) as engine:
            body = request(engine.first, place)
        agents["a"].add(name, path)
        agents.await_ready(name)
        known = {agent.name: max([event["number"] for event in agent.events()] or [0])
                 for agent in agents.running}
        trips, loops, idle = [], [], Idle()
        with client(agents.running, name, body) as sender:
            sender.tell("stream", int(options.minutes * 60_000), 32)
            end = time.monotonic() + options.minutes * 60
            askers = {agent.name: agent.client(timeout=10) for agent in agents.running}
            told = time.monotonic()
            while time.monotonic() < end:
                begin = time.monotonic()
                for asker in askers.values():
                    sample(asker, trips, loops)
                if time.monotonic() - told > 30:
                    told = time.monotonic()
                    note(f"  {end - told:.0f} s to go, {len(loops)} samples")
                time.sleep(max(0, begin + 0.1 - time.monotonic()))
            ends = sender.read()
        events = [event for agent in agents.running for event in agent.events()
                  if event["number"] > known[agent.name] and event["kind"] == "member"]
    bad = [event for event in events
           if " is suspect" in event["text"] or " is dead" in event["text"]]
    figures = {
        "model": name, "minutes": options.minutes, "noise": idle.figures(),
        "requests": len(ends["endsNanoseconds"]), "failures": ends["failures"],
        "suspicionsAndDeaths": bad, "roundTripMicroseconds": trips, "loopMicroseconds": loops}
    table([["what", "figure"], ["minutes", options.minutes], ["requests", figures["requests"]],
           ["failed requests", figures["failures"]], ["suspicions and deaths", len(bad)],
           ["probe round trip, median ms", f"{median(trips) / 1000:.2f}"],
           ["probe round trip, p99 ms", f"{quantile(trips, 0.99) / 1000:.2f}"],
           ["question to the control loop, median ms", f"{median(loops) / 1000:.2f}"],
           ["question to the control loop, p99 ms", f"{quantile(loops, 0.99) / 1000:.2f}"]])
    return figures


def sample(asker, trips, loops):
    """What membership measured last, and how long the loop that answers probes took to say so."""
    begin = time.monotonic()
    status, _, content = asker.call("GET", "/tessera/v1/members")
    loops.append((time.monotonic() - begin) * 1e6)
    if status == 200:
        trips += [member["roundTripMicroseconds"] for member in json.loads(content)["members"]
                  if not member["isSelf"] and member.get("roundTripMicroseconds") is not None]


# Planning.

PLANNING_TARGETS = {
    "12 different nodes × 100, single": 100, "16 different nodes × 200, single": 4000,
    "64 nodes of 4 kinds × 200, single": 1000, "8 different nodes × 100, all modes": 300,
    "12 different nodes × 100, all modes": 3000, "64 nodes of 4 kinds × 200, all modes": 1000,
    "ResNet-50 replanned, 8 nodes, single": 50,
    **{f"16 different nodes × 100, all modes, own links, {goal}": 5000 for goal in (
        "latency", "energy", "throughput within a latency", "latency within a period", "front")}}


def planning(options):
    """Planning time against nodes and positions."""
    idle = Idle()
    done = subprocess.run([PROGRAM, "planning", "--problems", str(options.problems)],
                          check=True, stdout=subprocess.PIPE, text=True)
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [["problem", "median ms", "longest ms", "target ms", "exact", "bound / period"]]
    for case in cases:
        times = [time / 1e6 for time in case["nanoseconds"]]
        rows.append([case["name"], f"{median(times):.1f}", f"{max(times):.1f}",
                     PLANNING_TARGETS.get(case["name"], ""), f"{case['exact']} of {len(times)}",
                     spread(case["boundRatios"]) if case["boundRatios"] else ""])
    table(rows)
    return {"cases": cases, "noise": idle.figures()}


def codecs(options):
    """How quickly each codec packs and unpacks, and from which link rate on it costs time."""
    idle = Idle()
    done = subprocess.run([PROGRAM, "codecs", "--size", str(options.size), "--count",
                           str(options.count)], check=True, stdout=subprocess.PIPE, text=True)
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [["codec", "left", "pack MB/s", "unpack MB/s", "pays up to Mbit/s"]]
    for case in cases:
        packing, unpacking = (median(case[name]) / 1e9
                              for name in ("packNanoseconds", "unpackNanoseconds"))
        saved = case["bytes"] - case["packedBytes"]
        rows.append([case["codec"], f"{case['packedBytes'] / case['bytes']:.1%}",
                     f"{case['bytes'] / packing / 1e6:.0f}",
                     f"{case['bytes'] / unpacking / 1e6:.0f}",
                     f"{saved * 8 / (packing + unpacking) / 1e6:.0f}"])
    table(rows)
    return {"cases": cases, "noise": idle.figures()}


# Plan quality.

BASELINES = ["local", "even", "pipedream-like", "pipeedge-like", "modnn-like", "deepthings-like"]
OBJECTIVES = {"throughput": ("period_seconds", 1e3), "latency": ("latency_seconds", 1e3),
              "energy": ("energy_joules", 1)}


def quality(options):
    """Plans against the baselines on every topology, for every objective."""
    folder_of = os.path.join(ROOT, "Topologies")
    names = [options.model] if options.model else ["digits-cnn", "resnet50"]
    cases = [(f"{os.path.splitext(file)[0]}, {name}", "single,replicas,rows",
              ["--model", model_path(name, options.models), "--topology",
               os.path.join(folder_of, file)])
             for name in names for file in sorted(os.listdir(folder_of)) if file.endswith(".yaml")]
    profiles = os.path.join(folder_of, "profiles")
    cases += [(os.path.splitext(file)[0], "single,replicas",
               ["--profile", os.path.join(profiles, file)])
              for file in sorted(os.listdir(profiles)) if file.endswith(".json")]
    rows = [["what", "goal", "plan", "stages", "best", "bound / plan"] + BASELINES]
    results = []
    for name, modes, source in cases:
        note(f"quality of plans for {name}")
        for goal in OBJECTIVES:
            one = quality_of(source, goal, modes)
            if one:
                results.append({"name": name, "goal": goal, **one})
                rows.append(quality_row(name, goal, one))
    table(rows)
    worse = [f"{one['name']}, {one['goal']}: {baseline}" for one in results
             for baseline, value in one["baselines"].items()
             if value is not None and value < one["value"]]
    if worse:
        raise mesh.Failed("baselines are better than the plan: " + "; ".join(worse))
    return results


def quality_of(source, goal, modes):
    """The best plan and the baselines' by what the goal counts; nothing if that is not known."""
    field = OBJECTIVES[goal][0]
    begin = time.monotonic()
    best = planned(*source, "--objective", goal, "--allow", modes)
    seconds = time.monotonic() - begin
    if best is None or best.get(field) is None:
        return None
    baselines = {baseline: (planned(*source, "--objective", goal, "--mode", baseline)
                            or {}).get(field) for baseline in BASELINES}
    return {"value": best[field], "seconds": seconds, "plan": best, "baselines": baselines}


def planned(*arguments):
    """What `tessera plan` prints; nothing if there is no such plan."""
    done = subprocess.run([mesh.TESSERA, "plan", *arguments, "--json"], capture_output=True,
                          text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def quality_row(name, goal, one):
    """The plan's figure, and how many times as much each baseline takes."""
    scale = OBJECTIVES[goal][1]
    plan, bound = one["plan"], one["plan"]["bound"]
    limit = {"throughput": bound["period_seconds"], "latency": bound["latency_seconds"]}.get(goal)
    stages = ", ".join(
        f"{stage['mode']}×{len(stage['nodes'])}" if len(stage["nodes"]) > 1 else "single"
        for stage in plan["stages"][:4]) + (", …" if len(plan["stages"]) > 4 else "")
    figure = one["value"] * scale
    text = f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"
    return [name, goal, f"{text} {'J' if goal == 'energy' else 'ms'}",
            stages, "yes" if plan["exact"] else "not known",
            f"{limit / one['value']:.2f}" if limit is not None else ""] + [
                "-" if value is None else f"{value / one['value']:.2f}"
                for value in one["baselines"].values()]


# The command.

def main():
    """Runs the benchmark that is asked for."""
    parser = argparse.ArgumentParser(prog="Tools/Benchmarks/run", description=__doc__)
    parser.add_argument("--results", default=os.path.join(ROOT, ".build", "benchmarks"),
                        help="the folder for the raw figures (default: .build/benchmarks)")
    parser.add_argument("--model-file", action="append", default=[], metavar="NAME=FILE",
                        help="use this file instead of making the model")
    commands = parser.add_subparsers(dest="benchmark", required=True)
    one = commands.add_parser("overhead", help=overhead.__doc__)
    one.add_argument("--blocks", type=int, default=12)
    one.add_argument("--requests", type=int, default=20, help="of ResNet-50 in a block; digits x15")
    one = commands.add_parser("transport", help=transport.__doc__)
    one.add_argument("--blocks", type=int, default=5)
    one.add_argument("--seconds", type=int, default=3, help="of iperf3 in a block")
    one.add_argument("--size", type=int, default=16, help="MiB of a tensor")
    one.add_argument("--count", type=int, default=200, help="tensors in a block")
    one = commands.add_parser("pipeline", help=pipeline.__doc__)
    one.add_argument("--blocks", type=int, default=6)
    one.add_argument("--seconds", type=int, default=8, help="of a block")
    one.add_argument("--clients", type=int, default=12)
    one.add_argument("--stable", type=int, default=20, help="seconds that the plan has to stand")
    one.add_argument("--model", choices=["resnet50", "vit-base", "digits-cnn"])
    one = commands.add_parser("rows", help=rows.__doc__)
    one.add_argument("--blocks", type=int, default=8)
    one.add_argument("--requests", type=int, default=12, help="in a block")
    one.add_argument("--stable", type=int, default=15, help="seconds that the plan has to stand")
    one.add_argument("--model", choices=ROW_MODELS)
    one.add_argument("--mode", default="best", help="a baseline instead of the best plan")
    one = commands.add_parser("recovery", help=recovery.__doc__)
    one.add_argument("--losses", type=int, default=50, help="of each place in the plan")
    one.add_argument("--stop", action="store_true", help="stop the process: nothing is reset")
    one.add_argument("--cold", action="store_true", help="no memory for alternates; each loss in a mesh of its own")
    one.add_argument("--model", choices=RECOVERY_MODELS)
    one = commands.add_parser("suspicion", help=suspicion.__doc__)
    one.add_argument("--minutes", type=float, default=5)
    one.add_argument("--model", choices=["resnet50", "vit-base", "digits-cnn"])
    one = commands.add_parser("planning", help=planning.__doc__)
    one.add_argument("--problems", type=int, default=5, help="different problems of each case")
    one = commands.add_parser("codecs", help=codecs.__doc__)
    one.add_argument("--size", type=int, default=1024, help="KiB of the tensor")
    one.add_argument("--count", type=int, default=50, help="how often each codec packs it")
    one = commands.add_parser("quality", help=quality.__doc__)
    one.add_argument("--model", choices=["resnet50", "vit-base", "digits-cnn"])
    one = commands.add_parser("simulator", help=simulator.__doc__)
    one.add_argument("--seeds", type=int, default=100)
    one.add_argument("--sizes", default="10,100", help="nodes in the meshes of the table of membership")
    one.add_argument("--agreement", default="4,8,16,32", help="nodes in those of the table of decisions")
    options = parser.parse_args()
    options.models = dict(entry.split("=", 1) for entry in options.model_file)
    options.model_path = lambda name: model_path(name, options.models)
    if not os.path.exists(PROGRAM):
        parser.error(f"{PROGRAM} is not built; start this by Tools/Benchmarks/run")
    benchmark = {"overhead": overhead, "transport": transport, "pipeline": pipeline,
                 "recovery": recovery, "rows": rows, "suspicion": suspicion,
                 "planning": planning, "codecs": codecs, "quality": quality,
                 "simulator": simulator}[options.benchmark]
    try:
        figures = benchmark(options)
    except mesh.Failed as error:
        sys.exit(f"error: {error}")
    os.makedirs(options.results, exist_ok=True)
    path = os.path.join(options.results, options.benchmark + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": machine(), "arguments": sys.argv[1:], "figures": figures}, file,
                  indent=1)
    print(f"\nraw figures: {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
