"""Throughput while boards join, slow down, freeze, die and leave. Start it by Tools/Benchmarks/papers churn."""

import dataclasses
import statistics
import time

from laboratory import compare
from laboratory.errors import LabError
from laboratory.waiting import wait

from emulated import Bench, Case, pis
from processes import Idle, load, note

CASE = Case("resnet50", (pis(6),), 1e9)
LATE = "pi-6"
PUBLISHED = "nothing"
# Of each span between two events the last part is what the mesh reaches with the boards it has then.
STEADY_PART = 1 / 3
BUCKET_SECONDS = 1
CLIENTS = 24


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that happens to a board, in words, and how."""
    words: str
    happen: object


def steps(lab):
    """What happens, one after the other; the entry is spared, since clients know it alone."""
    share = lab.devices[lab.index("pi-3")].share
    return (
        Step(f"{LATE} joins", lambda: lab.boot(LATE)),
        Step("pi-3 slows to a quarter", lambda: lab.set_share("pi-3", share / 4)),
        Step("pi-3 recovers", lambda: lab.set_share("pi-3", share)),
        Step("pi-4 freezes", lambda: lab.freeze("pi-4")),
        Step("pi-4 goes on", lambda: lab.thaw("pi-4")),
        Step("pi-5 loses power", lambda: lab.crash("pi-5")),
        Step("pi-5 starts again", lambda: lab.boot("pi-5")),
        Step("pi-2 leaves", lambda: lab.leave("pi-2")),
        Step("pi-3 and pi-6 lose power", lambda: (lab.crash("pi-3"), lab.crash("pi-6"))))


def measure(options):
    """The answers over time, and what each event cost against a planner that needs no time."""
    idle = Idle()
    note(f"{CASE.name}: starting the lab")
    with Bench(CASE, "throughput", options, off=(LATE,)) as bench:
        bench.choose(["--mode", "best", "--allow", "single,replicas"])
        work = bench.load(options.clients or CLIENTS)
        try:
            compare.warm(bench.agent, bench.name, work)
            _pass(options.stable)
            spans = list(_play(bench, work, options.span))
        finally:
            records = work.stop()
        document = {
            "case": CASE.name, "scale": bench.lab.scale,
            "core_operations_per_second": bench.lab.core_speed, "noise": idle.figures(),
            "lost": sorted({record.error for record in load.lost(records)}),
            "requests": len(records)}
    answered = sorted(record.ended for record in records if record.error is None)
    begin, end = spans[0]["begin"], spans[-1]["end"]
    document["spans"] = [_cost(span, answered, begin) for span in spans]
    document["buckets"] = {
        "seconds": BUCKET_SECONDS,
        "answers": [_count(answered, begin + index * BUCKET_SECONDS,
                           begin + (index + 1) * BUCKET_SECONDS)
                    for index in range(int((end - begin) / BUCKET_SECONDS))]}
    return document


def _pass(seconds):
    """Lets time go by: what is measured is what happens meanwhile."""
    begin = time.monotonic()
    wait(seconds + 60, "time goes by", lambda: time.monotonic() - begin >= seconds)


def _play(bench, work, seconds):
    """Lets each thing happen, and then a span pass in which the mesh copes with it."""
    for step in (Step("as it was", lambda: None), *steps(bench.lab)):
        begin, count = time.monotonic(), work.count
        step.happen()
        took = time.monotonic() - begin
        _pass(max(0, seconds - took))
        plan = bench.plan()
        yield {"event": step.words, "begin": begin, "end": time.monotonic(),
               "happened_within_seconds": took,
               "expected_per_second": 1e6 / plan["predictedPeriodMicroseconds"] if plan else None,
               "stages": [{"mode": stage["mode"], "nodes": stage["nodes"]}
                          for stage in plan.get("stages", ())]}
        note(f"  {step.words}: {(work.count - count) / seconds:.2f} /s")


def _count(moments, begin, end):
    return sum(begin <= moment < end for moment in moments)


def _cost(span, answered, origin):
    """The seconds' worth of answers that an event cost.

    A planner that needs no time would reach at once what the mesh reaches in the end."""
    length = span["end"] - span["begin"]
    late = span["end"] - length * STEADY_PART
    steady = _count(answered, late, span["end"]) / (span["end"] - late)
    answers = _count(answered, span["begin"], span["end"])
    lost = steady * length - answers
    return {**span, "begin": span["begin"] - origin, "end": span["end"] - origin,
            "steady_per_second": steady, "answers": answers,
            "lost_seconds": lost / steady if steady else None}


def rows_of(document):
    """The lines of the table."""
    yield ["What happens", "answers/s at last", "expected", "answers lost, in seconds' worth",
           "nodes in the plan"]
    for span in document["spans"]:
        expected = span["expected_per_second"]
        yield [span["event"], f"{span['steady_per_second']:.2f}",
               f"{expected:.2f}" if expected else "",
               "" if span["lost_seconds"] is None else f"{span['lost_seconds']:.1f}",
               str(len({node for stage in span["stages"] for node in stage["nodes"]}))]


def summary(document):
    """What all of it cost, in a sentence."""
    spans = document["spans"]
    ideal = sum(span["steady_per_second"] * (span["end"] - span["begin"]) for span in spans)
    answers = sum(span["answers"] for span in spans)
    worst = max(spans[1:], key=lambda span: span["lost_seconds"] or 0)
    median = statistics.median(span["lost_seconds"] or 0 for span in spans[1:])
    return (f"{answers} answers of the {ideal:.0f} that a planner which needs no time would have "
            f"had ({answers / ideal:.3f}); an event cost {median:.1f} s of throughput in the "
            f"middle, {worst['lost_seconds']:.1f} s at worst ({worst['event']}); "
            f"{document['requests']} requests, not answered: {document['lost'] or 'none'}")


def run(options):
    """The measurement; None if it could not be made."""
    try:
        return measure(options)
    except LabError as error:
        note(f"{CASE.name}: {error}")
        return None
