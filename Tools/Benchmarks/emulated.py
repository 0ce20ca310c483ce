"""Meshes of described boards in labs of their own, with a model on them."""

import dataclasses
import json
import os
import statistics
import tempfile
import time

from laboratory import compare
from laboratory.errors import LabError
from laboratory.lab import Lab
from laboratory.waiting import BOARD_POLL_SECONDS, wait

from processes import load

# A model is told anew how it is to be planned; the plan may then be the one that runs already.
REPLAN_SECONDS = 600
SAME_PLAN_SECONDS = 45
# Kinds of events with which a round about a plan begins and ends at its proposer.
ROUND_BEGINS, ROUND_ENDS = ("proposed", "staging"), ("decided", "roundFailed")
# How long a board may get ready what it would need if another one were lost, before figures are taken.
ARMING_SECONDS = 120
# Asking all boards takes a little of each.
SETTLE_POLL_SECONDS = 2
# A plan that changed while it was measured is measured again, so many times.
MEASURE_TRIES = 3
LATENCY_ITEMS_MIN = 8
# One slow board alone has many requests before each.
DEADLINE_SECONDS = 300
WAITING_CLIENTS = 4


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

    @property
    def names(self):
        """The devices, the entry first."""
        return [one.name if one.count == 1 else f"{one.name}-{index + 1}"
                for one in self.boards for index in range(one.count)]

    def topology(self):
        """The mesh as a file describes it."""
        lines = ["nodes:"]
        for one in self.boards:
            lines += [f"  - name: {one.name}", f"    count: {one.count}", "    threads: 4",
                      f"    memory_bytes: {one.memory_bytes}",
                      f"    operations_per_second: {one.operations_per_second:.6e}",
                      f"    moved_bytes_per_second: {one.operations_per_second / 8:.6e}"]
        lines += ["links:", "  default: {bits_per_second: "
                  f"{self.bits_per_second:.6e}, latency_seconds: 0.0002}}",
                  f"entry: {self.names[0]}"]
        return "\n".join(lines) + "\n"


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


class Bench:
    """A case in a lab of its own."""

    def __init__(self, case, goal, options, off=(), calibration=None):
        self.case, self.goal, self.options, self.off = case, goal, options, off
        self.calibration = calibration
        self.lab = Lab(f"papers-{os.getpid()}")
        self.came_in = None
        self.name = "paper"

    def __enter__(self):
        with tempfile.TemporaryDirectory(prefix="tessera-papers-") as folder:
            path = os.path.join(folder, "mesh.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.case.topology())
            # The entry alone at first: what it imports is on all disks before the mesh forms.
            entry, *others = self.case.names
            self.lab.up(path, off=others)
        try:
            self.add(["--objective", self.goal, "--allow", "single"])
            if self.calibration is not None:
                with tempfile.TemporaryDirectory(prefix="tessera-papers-") as folder:
                    path = os.path.join(folder, "inputs.npz")
                    compare.write_items(path, self.lab.agent(entry).get(f"/v2/models/{self.name}"))
                    self.add(["--calibrate", path, *self.calibration])
            for name in others:
                self.lab.provision(entry, name)
                if name not in self.off:
                    self.lab.boot(name)
            for name in others:
                if name not in self.off:
                    self.lab.await_agent(name)
            self.lab.await_members()
            self.agent = self.lab.agent(self.lab.entry)
            self.metadata = self.agent.get(f"/v2/models/{self.name}")
            self.item = compare.inputs_of(self.metadata)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        Lab(self.lab.name).down()

    def add(self, flags):
        """Adds the model at the entry, or measures anew what packing changes of its answers."""
        compare.add_model(
            self.lab, self.options.model_path(self.case.model), self.name, flags)

    def plan(self):
        """What the entry says of the plan that it follows."""
        return self.agent.get(f"/tessera/v1/models/{self.name}/plan") or {}

    def choose(self, flags):
        """Has the model planned in another way."""
        before, begin = self.plan().get("plan"), time.monotonic()
        failures = len(self._events("unplannable"))
        result = self.lab.execute(
            self.lab.entry,
            [self.lab.program, "model", "set", self.name, "--objective", self.goal,
             *flags], limited=False, capture_output=True, text=True)
        if result.returncode:
            raise LabError(f"the model was not planned anew: {result.stderr.strip()}")
        # A slow board may take minutes to compile its part: as long as anybody stages, what runs is
        # still the plan of before.
        wait(REPLAN_SECONDS, "another plan", lambda: self.plan().get("plan") not in (None, before)
             or time.monotonic() - begin > SAME_PLAN_SECONDS and not self.is_staging(),
             BOARD_POLL_SECONDS)
        reasons = self._events("unplannable")[failures:]
        if reasons and self.plan().get("plan") == before:
            raise LabError(f"no such plan: {reasons[-1]['text']}")

    def _events(self, *kinds):
        """What agents told of these kinds, device by device."""
        found = []
        for device in self.lab.devices:
            text = self.lab.agent(device.name).get("/tessera/v1/events", text=True) or ""
            events = [json.loads(line) for line in text.splitlines()]
            found += [{**event, "device": device.name} for event in events
                      if event["kind"] in kinds]
        return found

    def is_staging(self):
        """Whether an agent proposed a plan, and its round is not over."""
        last = {event["device"]: event["kind"]
                for event in self._events(*ROUND_BEGINS, *ROUND_ENDS)}
        return any(kind in ROUND_BEGINS for kind in last.values())

    def _is_arming(self):
        """Whether a board gets an alternate ready."""
        return any("making it ready" in (alternate.get("reason") or "")
                   for alternate in self.plan().get("alternates", []))

    def load(self, clients):
        """Clients at the entry; one item alone comes in where the plan begins, as plans expect it."""
        self.came_in = self._begins(self.plan())
        return load.Load([self.lab.agent(self.came_in)], self.name, [self.item], clients,
                         output_name=self.metadata["outputs"][0]["name"],
                         deadline=DEADLINE_SECONDS).start()

    def _begins(self, plan):
        """The device where items come in: for the time of one alone, that of the first fragment."""
        if self.goal == "latency" and plan.get("stages"):
            return plan["stages"][0]["nodes"][0]
        return self.lab.entry

    def _clients(self):
        """So many that the plan always has its window full, and no long queue before it."""
        if self.goal == "latency":
            return 1
        return self.options.clients or self.plan()["window"] + WAITING_CLIENTS

    def _warmed(self):
        """A load under which one plan has served for a while."""
        clients = self._clients()
        work = self.load(clients)
        try:
            compare.warm(self.agent, self.name, work)
            self._settle()
        except BaseException:
            work.stop()
            raise
        if self._clients() == clients and self.goal != "latency":
            return work
        # The plan that follows from what was measured under load has another window, or begins at
        # another node.
        work.stop()
        return self.load(self._clients())

    def _settle(self):
        """Waits until no board gets anything ready: it computes less quickly meanwhile."""
        wait(REPLAN_SECONDS, "nobody stages", lambda: not self.is_staging(), SETTLE_POLL_SECONDS)
        begin = time.monotonic()
        wait(2 * ARMING_SECONDS, "alternates are ready", lambda: (
            not self._is_arming() or time.monotonic() - begin >= ARMING_SECONDS),
            SETTLE_POLL_SECONDS)

    def measure(self):
        """Figures of the plan that runs."""
        for _ in range(MEASURE_TRIES):
            found = self._measure()
            if found:
                return found
        raise LabError(f"the plan changed in each of {MEASURE_TRIES} measurements")

    def _measure(self):
        """The same; nothing if another plan was decided meanwhile, or is about to be, or begins where
        no items came in."""
        is_latency = self.goal == "latency"
        work = self._warmed()
        try:
            settled = time.monotonic()
            wait(self.options.stable * 2, "the plan has stood for a while", lambda: (
                time.monotonic() - settled >= self.options.stable))
            served = self.plan().get("plan")
            begin, count = time.monotonic(), work.count
            wait(self.options.seconds * 20, "enough items", lambda: (
                time.monotonic() - begin >= self.options.seconds
                and work.count - count >= LATENCY_ITEMS_MIN))
            end = time.monotonic()
        finally:
            records = work.stop()
        plan = self.plan()
        if (plan.get("plan") != served or self.is_staging()
                or self._begins(plan) != self.came_in):
            return None
        # What was refused or came too late is no answer.
        answers = sum(record.error is None and begin <= record.ended < end for record in records)
        if not answers:
            raise LabError(f"nothing was answered within {end - begin:.0f} s: "
                           f"{load.lost(records)[0].error if load.lost(records) else 'no reason'}")
        span = end - begin
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
