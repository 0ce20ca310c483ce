"""Published results, measured again on emulated devices. Start it by Tools/Benchmarks/papers."""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time

from laboratory import compare, interrupts
from laboratory.errors import LabError
from laboratory.lab import Lab
from laboratory.waiting import wait

from benchmarks import model_path
from processes import ROOT, Idle, load, machine, note, table

# A model is told anew how it is to be planned; the plan may then be the one that runs already.
REPLAN_SECONDS = 90
SAME_PLAN_SECONDS = 15
LATENCY_ITEMS_MIN = 8


@dataclasses.dataclass(frozen=True)
class Boards:
    """Devices of one kind."""
    name: str
    count: int
    operations_per_second: float
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class Case:
    """One mesh and one model."""
    model: str
    boards: tuple
    bits_per_second: float

    @property
    def name(self):
        """The case in a word."""
        boards = " + ".join(f"{one.count} {one.name}" for one in self.boards)
        return f"{self.model}, {boards}, {self.bits_per_second / 1e6:g} Mbit/s"

    def topology(self):
        """The mesh as a file describes it."""
        lines = ["nodes:"]
        for one in self.boards:
            lines += [f"  - name: {one.name}", f"    count: {one.count}", "    threads: 4",
                      f"    memory_bytes: {one.memory_bytes}",
                      f"    operations_per_second: {one.operations_per_second:.6e}",
                      f"    moved_bytes_per_second: {one.operations_per_second / 8:.6e}"]
        first = self.boards[0]
        entry = first.name if first.count == 1 else f"{first.name}-1"
        lines += ["links:", "  default: {bits_per_second: "
                  f"{self.bits_per_second:.6e}, latency_seconds: 0.0002}}", f"entry: {entry}"]
        return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is measured: the cases, and the ways to plan that are compared, the own one first."""
    goal: str
    cases: tuple
    variants: dict
    published: str


GIGABYTE = 1 << 30
PI = 2.4e10


def minnow(count):
    """EdgePipe's MinnowBoards: operations per second follow from its times of ViT-Base."""
    return Boards("minnow", count, 2.16e10, 2 * GIGABYTE)


def rcc(count):
    """EdgePipe's RCC-VE boards."""
    return Boards("rcc", count, 2.71e10, 8 * GIGABYTE)


def pis(count):
    """Boards like a Raspberry Pi 4."""
    return Boards("pi", count, PI, 3 * GIGABYTE)


BASELINES = {name: ["--mode", name] for name in (
    "local", "even", "pipedream-like", "pipeedge-like", "modnn-like", "deepthings-like")}


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
        "RFS: up to 73 % less time than one board"),
    "cnnparted": Experiment(
        "throughput",
        (Case("efficientnet-b0", (Boards("quick", 1, 6e10, 2 * GIGABYTE),
                                  Boards("slow", 1, 3e10, 2 * GIGABYTE)), 1e9),),
        {"best": ["--mode", "best", "--allow", "single,replicas,rows"],
         "pipeline": ["--mode", "best", "--allow", "single"], **chosen("local")},
        "CNNParted: 47.5 % more items per second than one board"),
    "edgepipe": Experiment(
        "throughput",
        tuple(Case("vit-base", boards, rate)
              for boards in ((minnow(16),), (minnow(8), rcc(8)))
              for rate in (1e9, 1e8, 2e7, 5e6)) + (Case("vit-base", (minnow(4),), 1e9),),
        {"best": ["--mode", "best", "--allow", "single,replicas"],
         "pipeline": ["--mode", "best", "--allow", "single"],
         **chosen("local", "pipedream-like", "even")},
        "EdgePipe: 10.59 and 11.88 times one board on 16, 3.93 times from 4 to 16, up to 4.16 times "
        "a PipeDream-like plan"),
    "memory": Experiment(
        "throughput", (Case("vit-huge", (minnow(4),), 1e9),),
        {"best": ["--mode", "best", "--allow", "single,replicas"]},
        "EdgePipe: ViT-Huge on boards none of which can hold it"),
}


class Bench:
    """A case in a lab of its own."""

    def __init__(self, case, experiment, options):
        self.case, self.experiment, self.options = case, experiment, options
        self.lab = Lab(f"papers-{os.getpid()}")
        self.name = "paper"

    def __enter__(self):
        with tempfile.TemporaryDirectory(prefix="tessera-papers-") as folder:
            path = os.path.join(folder, "mesh.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.case.topology())
            self.lab.up(path)
        try:
            compare.add_model(self.lab, self.options.model_path(self.case.model), self.name,
                              ["--objective", self.experiment.goal, "--allow", "single"])
            self.agent = self.lab.agent(self.lab.entry)
            self.metadata = self.agent.get(f"/v2/models/{self.name}")
            self.item = compare.inputs_of(self.metadata)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        Lab(self.lab.name).down()

    def plan(self):
        """What the entry says of the plan that it follows."""
        return self.agent.get(f"/tessera/v1/models/{self.name}/plan") or {}

    def choose(self, flags):
        """Has the model planned in another way."""
        before, begin = self.plan().get("plan"), time.monotonic()
        result = self.lab.execute(
            self.lab.entry,
            [self.lab.program, "model", "set", self.name, "--objective", self.experiment.goal,
             *flags], limited=False, capture_output=True, text=True)
        if result.returncode:
            raise LabError(f"the model was not planned anew: {result.stderr.strip()}")
        wait(REPLAN_SECONDS, "another plan", lambda: self.plan().get("plan") not in (None, before)
             or time.monotonic() - begin > SAME_PLAN_SECONDS)

    def load(self, clients):
        """Clients at the entry."""
        return load.Load([self.agent], self.name, [self.item], clients,
                         output_name=self.metadata["outputs"][0]["name"]).start()

    def measure(self):
        """Figures of the plan that runs."""
        is_latency = self.experiment.goal == "latency"
        work = self.load(1 if is_latency else self.options.clients)
        try:
            compare.warm(self.agent, self.name, work)
            settled = time.monotonic()
            wait(self.options.stable * 2, "the plan has stood for a while", lambda: (
                time.monotonic() - settled >= self.options.stable))
            begin, count = time.monotonic(), work.count
            wait(self.options.seconds * 20, "enough items", lambda: (
                time.monotonic() - begin >= self.options.seconds
                and work.count - count >= LATENCY_ITEMS_MIN))
            span, answers = time.monotonic() - begin, work.count - count
        finally:
            records = work.stop()
        plan = self.plan()
        recent = [record for record in records if record.error is None and record.sent >= begin]
        key = "predictedLatencyMicroseconds" if is_latency else "predictedPeriodMicroseconds"
        found = (statistics.median(record.ended - record.sent for record in recent)
                 if is_latency else span / answers)
        return {"seconds": found, "expected_seconds": plan[key] / 1e6,
                "bound_seconds": None if is_latency else plan["boundMicroseconds"] / 1e6,
                "binding": plan["binding"], "bottleneck": plan["bottleneck"],
                "stages": [{"mode": stage["mode"], "nodes": stage["nodes"],
                            "operators": stage["last"] - stage["first"] + 1}
                           for stage in plan["stages"]],
                "answers": answers, "lost": len(load.lost(records)),
                "samples": [record.ended - record.sent for record in recent]}

    def memory(self):
        """Bytes in use on each device, and how often the kernel had to kill."""
        return {device.name: self.lab.groups.memory(device.name) for device in self.lab.devices}


def run_case(case, experiment, options):
    """Every variant of a case, interleaved, in a lab of its own."""
    note(f"{case.name}: starting the lab")
    figures = {name: [] for name in experiment.variants}
    idle = Idle()
    with Bench(case, experiment, options) as bench:
        for turn in range(options.rounds):
            names = list(experiment.variants)
            # The order alternates, so that a drift of the machine meets all alike.
            for name in names if turn % 2 == 0 else names[::-1]:
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
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--rounds", type=int, default=3, help="of each plan, interleaved (3)")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement (20)")
    parser.add_argument("--stable", type=float, default=20,
                        help="seconds under load before a measurement: agents measure meanwhile (20)")
    parser.add_argument("--clients", type=int, default=40, help="for throughput (40)")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--model-file", action="append", default=[], metavar="NAME=FILE",
                        help="a model that is there already")
    parser.add_argument("--results", default=os.path.join(ROOT, ".build", "benchmarks"),
                        help="where raw figures go (.build/benchmarks)")
    options = parser.parse_args()
    given = dict(entry.split("=", 1) for entry in options.model_file)
    options.model_path = lambda name: model_path(name, given)
    experiment = EXPERIMENTS[options.name]
    interrupts.install()
    cases = [case for case in experiment.cases if options.only in case.name]
    results, lines = [], [["Mesh and model", "Plan", "ms", "off what was expected",
                           "bound / measured", "times one board", "Stages"]]
    path = os.path.join(options.results, f"papers-{options.name}.json")
    os.makedirs(options.results, exist_ok=True)
    for case in cases:
        try:
            results.append(run_case(case, experiment, options))
        except LabError as error:
            note(f"{case.name}: {error}")
            continue
        lines += rows_of(results[-1], experiment)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "arguments": sys.argv[1:], "results": results}, file,
                      indent=1)
    print(f"Published: {experiment.published}. Measured: {experiment.goal}.\n")
    table(lines)
    print(f"\nraw figures: {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
