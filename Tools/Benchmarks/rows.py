"""One item alone, its rows divided over two agents, against two bare engines at once."""

import time

from processes import Idle, bare_engine, client, folder, median, mesh, note, pin, request, spread, table

MODELS = ["vgg16", "resnet50"]
# Requests before the first block: the planner learns what the tiles take.
LEARNING_SECONDS_MAX = 90


def rows(options):
    """Single-item latency by row tiles on two agents with one thread each."""
    results = {}
    lines = [["model", "ceiling ms", "two agents ms", "part of the ceiling", "one agent ms",
              "times one agent", "equal"]]
    for name in [options.model] if options.model else MODELS:
        note(f"rows of {name}")
        results[name] = one = rows_of(name, options.model_path(name), options)
        pairs = list(zip(one["ceiling"], one["two"], one["one"]))
        lines.append([name, spread(one["ceiling"], 1), spread(one["two"], 1),
                      spread([top / two for top, two, _ in pairs], 3), spread(one["one"], 1),
                      spread([single / two for _, two, single in pairs], 3),
                      "yes" if one["isEqual"] else "NO"])
    table(lines)
    for name, one in results.items():
        print(f"\n{name}: the plan and its stages")
        table([["stage on", "mode", "operators", "predicted us", "measured us"]] + [
            ["+".join(stage["nodes"]), stage["mode"], f"{stage['first']}-{stage['last']}",
             stage["predictedMicroseconds"], stage.get("measuredMicroseconds")]
            for stage in one["plan"]["stages"]])
    return results


def rows_of(name, path, options):
    """Interleaved blocks of the three; milliseconds of one item.

    The ceiling is what two processes can do together: each does a whole item at the same time as
    the other, so half of that time is one item's if nothing is lost by dividing it."""
    flags = {"discovery": "beacon", "memory": "4G", "threads": 1}
    wishes = ("--objective", "latency", "--allow", "single,rows", "--mode", options.mode)
    with folder() as place, bare_engine(path, place) as left, bare_engine(path, place) as right, \
            mesh.Mesh("ab", name="two", **flags) as two, \
            mesh.Mesh("c", name="one", **flags) as one:
        # Each is a device of one core. Left alone, the scheduler puts both engines on one core for
        # milliseconds whenever it wakes them at once.
        for core, pair in enumerate(((left, two["a"]), (right, two["b"]))):
            for part in pair:
                pin(part.process, core)
        pin(one["c"].process, 1)
        two["a"].add(name, path, *wishes)
        one["c"].add(name, path, "--copies", "1")
        body = request(left.first, place)
        two.await_ready(name)
        with client([two["a"]], name, body) as pair, client([one["c"]], name, body) as single:
            learn(two["a"], name, pair, options)
            single.ask("run", options.requests)
            is_equal = pair.output() == single.output() == left.output()
            idle, times = Idle(), {"ceiling": [], "two": [], "one": []}
            for block in range(options.blocks):
                note(f"  block {block + 1} of {options.blocks}")
                for which in sorted(times, reverse=block % 2 == 1):
                    times[which].append(
                        milliseconds(which, left, right, pair, single, options.requests))
            plan = two["a"].plan(name)
    return {**times, "isEqual": is_equal, "plan": plan, "noise": idle.figures()}


def milliseconds(which, left, right, pair, single, count):
    """One item's time in one block."""
    if which == "ceiling":
        for engine in (left, right):
            engine.tell("run", count)
        return median([median(engine.read()["nanoseconds"]) for engine in (left, right)]) / 2e6
    answer = (pair if which == "two" else single).ask("run", count)
    return median(answer["nanoseconds"]) / 1e6


def learn(agent, name, sender, options):
    """Requests until the plan has stood for a while."""
    begin = changed = time.monotonic()
    plan = None
    while time.monotonic() - changed < options.stable \
            and time.monotonic() - begin < LEARNING_SECONDS_MAX:
        sender.ask("run", options.requests)
        document = agent.plan(name) or {}
        if document.get("plan") != plan:
            plan, changed = document.get("plan"), time.monotonic()
            note("  plan after %.0f s: %s" % (changed - begin, ", ".join(
                f"{stage['mode']} {'+'.join(stage['nodes'])} {stage['first']}-{stage['last']}"
                for stage in document.get("stages", []))))
