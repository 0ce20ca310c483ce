"""Published results, measured again on emulated devices. Start it by Tools/Benchmarks/papers."""

import argparse
import dataclasses
import json
import os
import statistics
import sys

from laboratory import interrupts
from laboratory.errors import LabError

import churn
from benchmarks import model_path
from emulated import GIGABYTE, Bench, Boards, Case, minnow, pis, rcc
from processes import ROOT, Idle, machine, note, table


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is measured: the cases, and the ways to plan that are compared, the own one first.

    `calibration` has measured at the import what packing leaves of the tensors, or with flags what it
    changes; without, the planner counts them as they are.
    """
    goal: str
    cases: tuple
    variants: dict
    published: str
    calibration: tuple = None


BASELINES = {name: ["--mode", name] for name in (
    "local", "even", "pipedream-like", "pipeedge-like", "modnn-like", "deepthings-like",
    "lcp-like", "whole-tiles")}


def chosen(*names):
    """Baselines by name."""
    return {name: BASELINES[name] for name in names}


EXPERIMENTS = {
    "rows": Experiment(
        "latency",
        tuple(Case(model, (pis(count),), rate) for model in ("vgg16", "resnet50")
              for count in (2, 4, 8) for rate in (1e8, 1e9)),
        {"best": ["--mode", "best", "--allow", "single,rows"],
         **chosen("local", "modnn-like", "deepthings-like")},
        "RFS: up to 73 % less time than one board", ()),
    "cnnparted": Experiment(
        "throughput",
        tuple(Case("efficientnet-b0", (Boards("quick", 1, 6e10, 2 * GIGABYTE),
                                       Boards(name, 1, speed, 2 * GIGABYTE)), 1e9)
              for name, speed in (("slower", 4.5e10), ("slow", 3e10))),
        {"best": ["--mode", "best", "--allow", "single,replicas,rows"],
         "pipeline": ["--mode", "best", "--allow", "single"], **chosen("local")},
        "CNNParted: 47.5 % more items per second than one board"),
    "edgepipe": Experiment(
        "throughput",
        tuple(Case("vit-base", boards, rate)
              for boards in ((minnow(16),), (minnow(8), rcc(8)))
              for rate in (1e9, 1e8, 2e7, 5e6))
        + tuple(Case("vit-base", (minnow(count),), 1e9) for count in (4, 1)),
        {"best": ["--mode", "best", "--allow", "single,replicas"],
         "pipeline": ["--mode", "best", "--allow", "single"],
         **chosen("local", "pipedream-like", "even")},
        "EdgePipe: 10.59 and 11.88 times one board on 16, 3.93 times from 4 to 16, up to 4.16 times "
        "a PipeDream-like plan"),
    "slow-links": Experiment(
        "throughput",
        tuple(Case("vit-base-uint8", (minnow(16),), rate) for rate in (2e7, 5e6)),
        {"best": ["--mode", "best", "--allow", "single,replicas"],
         "pipeline": ["--mode", "best", "--allow", "single"], **chosen("local")},
        "nothing; pipelines are what EdgePipe has"),
    "tokens": Experiment(
        "latency",
        tuple(Case(model, (pis(count),), 1e9) for model in ("vit-base", "bert-base")
              for count in (2, 4)),
        {"best": ["--mode", "best", "--allow", "single,rows"], **chosen("local")},
        "nothing that one figure says"),
    "overlap": Experiment(
        "latency",
        tuple(Case(model, (pis(count),), rate) for model in ("vgg16", "resnet50")
              for count in (2, 4) for rate in (5e7, 1e8)),
        {"best": ["--mode", "best", "--allow", "single,rows"],
         **chosen("whole-tiles", "local")},
        "Hybrid-Parallel: 15 to 41 % less time than without overlap", ()),
    "codecs": Experiment(
        "throughput",
        tuple(Case("resnet50", (pis(count),), rate) for count in (2, 4) for rate in (1e7, 5e7, 1e9)),
        # `--exact` forgets what was measured: it comes last.
        {"packed": ["--mode", "best"], **chosen("local"), "lossless": ["--mode", "best", "--exact"]},
        "nothing that one figure says; packing is to be taken only where a link binds",
        ("--max-drop", "5%", "--compare", "relative-error")),
    "branches": Experiment(
        "latency",
        tuple(Case("digits-branches", (pis(count),), rate) for rate in (1e6, 1e7, 1e8)
              for count in (2, 4, 8)),
        {"branches": ["--mode", "best", "--allow", "single,branches"],
         "layers": ["--mode", "best", "--allow", "single"],
         "rows": ["--mode", "best", "--allow", "single,rows"], **chosen("lcp-like", "local")},
        "LCP: 7 times on average over the models before their change, up to 56, a part of which is "
        "that its models are smaller"),
    "memory": Experiment(
        "throughput", (Case("vit-huge", (minnow(4),), 1e9),),
        {"best": ["--mode", "best", "--allow", "single,replicas"]},
        "EdgePipe: ViT-Huge on boards none of which can hold it"),
}


def run_case(case, experiment, options):
    """Every variant of a case, interleaved, in a lab of its own."""
    note(f"{case.name}: starting the lab")
    wanted = [name for name in experiment.variants
              if not options.plans or name in options.plans.split(",")]
    figures = {name: [] for name in wanted}
    idle = Idle()
    with Bench(case, experiment.goal, options, calibration=experiment.calibration) as bench:
        for turn in range(1 if experiment.calibration else options.rounds):
            # The order alternates, so that a drift of the machine meets all alike.
            for name in wanted if turn % 2 == 0 else wanted[::-1]:
                try:
                    bench.choose(experiment.variants[name])
                    one = bench.measure()
                except LabError as error:
                    note(f"  {name}: {error}")
                    continue
                figures[name].append(one)
                note(f"  {name}: {one['seconds'] * 1e3:.1f} ms, expected "
                     f"{one['expected_seconds'] * 1e3:.1f} ms")
        return {"case": case.name, "scale": bench.lab.scale, "figures": figures,
                "core_operations_per_second": bench.lab.core_speed,
                "memory": bench.memory(), "noise": idle.figures()}


def rows_of(result, experiment):
    """The lines of the table for a case: times, and how the best plan compares."""
    middle = {name: statistics.median(one["seconds"] for one in runs)
              for name, runs in result["figures"].items() if runs}
    for name, runs in result["figures"].items():
        if not runs:
            yield [result["case"], name, "no plan", "", "", "", ""]
            continue
        last = runs[-1]
        off = statistics.median(one["seconds"] / one["expected_seconds"] - 1 for one in runs)
        bound = last["bound_seconds"]
        stages = "; ".join(
            f"{stage['operators']} {stage['mode']}×{len(stage['nodes'])}"
            for stage in last["stages"])
        yield [result["case"], name, f"{middle[name] * 1e3:.1f}", f"{100 * off:+.0f} %",
               f"{bound / middle[name]:.2f}" if bound else "",
               f"{middle['local'] / middle[name]:.2f}" if "local" in middle else "", stages]


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="Tools/Benchmarks/papers", description=__doc__)
    parser.add_argument("name", choices=[*EXPERIMENTS, "churn"])
    parser.add_argument("--rounds", type=int, default=3, help="of each plan, interleaved (3)")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement (20)")
    parser.add_argument("--stable", type=float, default=20,
                        help="seconds under load before a measurement: agents measure meanwhile (20)")
    parser.add_argument("--clients", type=int, default=0,
                        help="for throughput (4 more than the plan takes in at once; for churn 24)")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--plans", default="", metavar="NAME,…", help="these of the plans (all)")
    parser.add_argument("--model-file", action="append", default=[], metavar="NAME=FILE",
                        help="a model that is there already")
    parser.add_argument("--results", default=os.path.join(ROOT, ".build", "benchmarks"),
                        help="where raw figures go (.build/benchmarks)")
    parser.add_argument("--span", type=float, default=40,
                        help="seconds from one event to the next, for churn (40)")
    options = parser.parse_args()
    given = dict(entry.split("=", 1) for entry in options.model_file)
    options.model_path = lambda name: model_path(name, given)
    interrupts.install()
    path = os.path.join(options.results, f"papers-{options.name}.json")
    os.makedirs(options.results, exist_ok=True)

    def keep(results):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "arguments": sys.argv[1:], "results": results}, file,
                      indent=1)
        return results
    if options.name == "churn":
        if not run_churn(options, keep):
            sys.exit(1)
    else:
        run_plans(EXPERIMENTS[options.name], options, keep)
    print(f"\nraw figures: {os.path.relpath(path)}")


def run_churn(options, keep):
    """Events on the clock; whether they could be measured."""
    document = churn.run(options)
    if document:
        keep([document])
        table(list(churn.rows_of(document)))
        print("\n" + churn.summary(document))
    return document is not None


def run_plans(experiment, options, keep):
    """Every plan of every case."""
    results, lines = [], [["Mesh and model", "Plan", "ms", "off what was expected",
                           "bound / measured", "times one board", "Stages"]]
    for case in experiment.cases:
        if options.only not in case.name:
            continue
        try:
            results.append(run_case(case, experiment, options))
        except LabError as error:
            note(f"{case.name}: {error}")
            continue
        lines += rows_of(results[-1], experiment)
        keep(results)
    print(f"Published: {experiment.published}. Measured: {experiment.goal}.\n")
    table(lines)


if __name__ == "__main__":
    main()
