"""One mesh and one model: what the planner predicts, and what the lab measures."""

import array
import json
import math
import os
import random
import statistics
import subprocess
import tempfile
import time
import zipfile

from . import agents
from .errors import LabError
from .waiting import BOARD_POLL_SECONDS, wait

import kserve  # noqa: E402  (`agents` has put its folder into the path)
import load  # noqa: E402

VERSION = 1
READY_SECONDS = 300
# A plan that has served so many items in a row without a change is taken as the one to measure.
WARM_ITEMS = 40
# Where items take seconds, so many that took so long together are enough.
WARM_FEW_ITEMS, WARM_FEW_SECONDS = 8, 30
WARM_SECONDS = 180
# Single items measured one after the other.
SINGLE_ITEMS = 25


def inputs_of(metadata):
    """One item for a model, the same at each call.

    White noise of 256 levels, as a camera's 8 bits would give it: from 0 to 1 where they are real
    numbers. No picture of so many levels is harder to pack. Whole numbers are 0 or 1, which
    every vocabulary and mask has.
    """
    generator = random.Random(1)
    types = {protocol: (descr, size) for descr, (protocol, size) in kserve.TYPES.items()}
    found = {}
    for tensor in metadata["inputs"]:
        shape = [max(1, extent) for extent in tensor["shape"]]
        descr, size = types[tensor["datatype"]]
        count = math.prod(shape)
        if tensor["datatype"] == "FP32":
            data = array.array(
                "f", (level / 255 for level in generator.randbytes(count))).tobytes()
        elif tensor["datatype"] == "UINT8":
            data = generator.randbytes(count)
        elif tensor["datatype"] in ("INT32", "INT64"):
            data = b"".join(
                generator.getrandbits(1).to_bytes(size, "little") for _ in range(count))
        else:
            data = bytes(count * size)
        found[tensor["name"]] = kserve.Array(descr, shape, data)
    return found


def write_items(path, metadata, count=4):
    """Some items for each input of a model, seeded, as .npz: what `model add --calibrate` reads."""
    generator = random.Random(1)
    with zipfile.ZipFile(path, "w") as archive, tempfile.TemporaryDirectory() as folder:
        for name, item in inputs_of(metadata).items():
            data = item.data * count
            if item.descr == "<f4":
                data = array.array(
                    "f", (level / 255 for level in generator.randbytes(len(data) // 4))).tobytes()
            plain = os.path.join(folder, "items.npy")
            kserve.save(plain, kserve.Array(item.descr, (count, *item.shape[1:]), data))
            archive.write(plain, f"{name}.npy")


def predict(program, model, topology_file, flags, clients=None):
    """What the planner expects from the figures of the topology alone, and what the simulator serves
    to so many clients."""
    simulate = ["--simulate", str(clients)] if clients else []
    result = subprocess.run(
        [program, "plan", "--model", model, "--topology", topology_file, "--json", *simulate,
         *flags], capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError("the planner has no prediction: " + result.stderr.strip())
    document = json.loads(result.stdout)
    return {
        "period_seconds": document["period_seconds"],
        "latency_seconds": document["latency_seconds"],
        "bound_seconds": document["bound"]["period_seconds"],
        "bottleneck": document["bottleneck"],
        "stages": [{"mode": stage["mode"], "nodes": stage["nodes"],
                    "operators": stage["last"] - stage["first"] + 1}
                   for stage in document["stages"]]}, document.get("simulated")


def add_model(lab, model, name, flags):
    """Adds a model at the entry, outside of its limits: importing is not what is measured."""
    result = lab.execute(
        lab.entry, [lab.program, "model", "add", os.path.abspath(model), "--name", name, *flags],
        limited=False, capture_output=True, text=True)
    if result.returncode:
        raise LabError(f"the model was not added: {result.stderr.strip()}")
    agent = lab.agent(lab.entry)
    wait(READY_SECONDS, f"{lab.entry} serves {name}",
         lambda: agent.get(f"/v2/models/{name}/ready", text=True) is not None)


def measure(lab, name, seconds, clients):
    """Throughput under a closed load through the entry, and the latency of single items."""
    agent = lab.agent(lab.entry)
    metadata = agent.get(f"/v2/models/{name}")
    item = inputs_of(metadata)
    work = load.Load([agent], name, [item], clients,
                     output_name=metadata["outputs"][0]["name"]).start()
    try:
        warmed = warm(agent, name, work)
        begin = time.monotonic()
        wait(seconds + 60, "the load ends", lambda: time.monotonic() - begin >= seconds)
        ended = time.monotonic()
    finally:
        records = work.stop()
    # What was refused or came too late is no answer.
    answers = sum(record.error is None and begin <= record.ended < ended for record in records)
    lost = load.lost(records)
    if not answers:
        raise LabError(f"nothing was answered within {seconds:g} s: "
                       + (lost[0].error if lost else "no reason is known"))
    plan = agent.get(f"/tessera/v1/models/{name}/plan")
    single = [record.ended - record.sent for record in _one_by_one(agent, name, item, metadata)]
    return {
        "period_seconds": (ended - begin) / answers, "latency_seconds": statistics.median(single),
        "answers": answers, "seconds": ended - begin, "clients": clients,
        "lost": len(lost), "errors": sorted({record.error for record in lost})[:5],
        "single_items": len(single), "latency_seconds_max": max(single),
        "warm_seconds": warmed, "plan": plan["plan"] if plan else None,
        "plans": len({record.plan for record in records if record.plan}),
        "stages": _stages(plan)}, _expectation(plan)


def warm(agent, name, work):
    """Waits until one plan has served for a while; gives the seconds that it took."""
    begin = time.monotonic()
    last = [None, 0, begin]

    def settled():
        plan = agent.get(f"/tessera/v1/models/{name}/plan")
        identity = plan and plan["plan"]
        if identity != last[0]:
            last[:] = identity, work.count, time.monotonic()
        measured = plan and all(stage.get("measuredMicroseconds") for stage in plan["stages"])
        few = time.monotonic() - last[2] >= WARM_FEW_SECONDS
        return measured and work.count - last[1] >= (WARM_FEW_ITEMS if few else WARM_ITEMS)
    wait(WARM_SECONDS, f"one plan serves {WARM_ITEMS} items of {name} in a row", settled,
         BOARD_POLL_SECONDS)
    return time.monotonic() - begin


def _one_by_one(agent, name, item, metadata):
    work = load.Load([agent], name, [item], 1, output_name=metadata["outputs"][0]["name"]).start()
    try:
        wait(WARM_SECONDS, f"{SINGLE_ITEMS} single items", lambda: work.count >= SINGLE_ITEMS)
    finally:
        records = [record for record in work.stop() if record.error is None]
    if not records:
        raise LabError("no single item was answered")
    return records


def _stages(plan):
    return [{"mode": stage["mode"], "nodes": stage["nodes"],
             "operators": stage["last"] - stage["first"] + 1,
             "expected_seconds": stage["predictedMicroseconds"] / 1e6,
             "measured_seconds": (stage.get("measuredMicroseconds") or 0) / 1e6 or None}
            for stage in (plan["stages"] if plan else [])]


def _expectation(plan):
    if not plan:
        return None
    return {"period_seconds": plan["predictedPeriodMicroseconds"] / 1e6,
            "latency_seconds": plan["predictedLatencyMicroseconds"] / 1e6,
            "bound_seconds": plan["boundMicroseconds"] / 1e6}


def compare(lab, model, seconds, clients, flags):
    """The document of a comparison, for a lab that is up."""
    name = os.path.splitext(os.path.basename(model))[0]
    predicted, simulated = predict(lab.program, model, lab.topology_file, flags, clients)
    add_model(lab, model, name, flags)
    measured, expected = measure(lab, name, seconds, clients)
    return {
        "version": VERSION, "topology": lab.source, "model": os.path.abspath(model),
        "scale": lab.scale, "core_operations_per_second": lab.core_speed, "entry": lab.entry,
        "predicted": predicted, "simulated": simulated, "expected": expected, "measured": measured}


COLUMNS = ("predicted", "simulated", "expected", "measured")
ROWS = (("period", "period_seconds", 1e3, "ms"), ("throughput", "period_seconds", None, "/s"),
        ("latency", "latency_seconds", 1e3, "ms"), ("bound", "bound_seconds", 1e3, "ms"))


def table(document):
    """The comparison for people."""
    lines = [f"{'':14}" + "".join(f"{column:>12}" for column in COLUMNS) + f"{'off by':>18}"]
    for title, key, factor, unit in ROWS:
        values = []
        for column in COLUMNS:
            value = (document[column] or {}).get(key)
            if value is not None:
                value = value * factor if factor else 1 / value
            values.append(value)
        lines.append(f"{title + ' ' + unit:14}"
                     + "".join(f"{_figure(value):>12}" for value in values)
                     + f"{_difference(values[0], values[3]):>9}"
                     + f"{_difference(values[2], values[3]):>9}")
    for column in ("predicted", "measured"):
        stages = (document[column] or {}).get("stages") or []
        lines.append(f"plan {column}: " + "; ".join(
            f"{stage['operators']} operators {stage['mode']} on {','.join(stage['nodes'])}"
            for stage in stages))
    measured = document["measured"]
    lines.append(
        f"{measured['answers']} answers in {measured['seconds']:.1f} s to {measured['clients']} "
        f"clients at {document['entry']}, {measured['lost']} lost; "
        f"{measured['single_items']} single items; everything runs at "
        f"{document['scale']:.3g} of the topology's speed")
    return "\n".join(lines)


def _figure(value):
    return "-" if value is None else f"{value:.4g}"


def _difference(predicted, measured):
    if predicted is None or measured is None:
        return "-"
    return f"{100 * (measured / predicted - 1):+.0f} %"
