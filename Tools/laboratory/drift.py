"""A device that slows down and recovers: how soon its work moves, and what that gains."""

import json
import time

from . import compare
from .errors import LabError
from .waiting import wait

import load  # noqa: E402  (`compare` has put its folder into the path)

# A plan that stands for so long under load is not about to be improved.
STABLE_SECONDS, STABLE_PATIENCE = 20, 150
# So long after a change of plan the throughput is measured: queues of the old one are empty by then.
SETTLE_SECONDS = 3


class Watch:
    """A closed load through the entry, and the plan that serves it."""

    def __init__(self, lab, name, clients):
        self.lab, self.name = lab, name
        self.agent = lab.agent(lab.entry)
        metadata = self.agent.get(f"/v2/models/{name}")
        self.work = load.Load(
            [self.agent], name, [compare.inputs_of(metadata)], clients,
            output_name=metadata["outputs"][0]["name"]).start()

    def plan(self):
        """The plan that the entry follows."""
        document = self.agent.get(f"/tessera/v1/models/{self.name}/plan")
        return document["plan"] if document else None

    def per_second(self, seconds):
        """Answers per second."""
        begin, count = time.monotonic(), self.work.count
        time.sleep(seconds)  # A measurement lasts as long as it is told.
        return (self.work.count - count) / (time.monotonic() - begin)

    def until_another(self, plan, seconds):
        """Waits for another plan than this; gives the seconds until then, or None."""
        begin = time.monotonic()
        try:
            wait(seconds, "another plan", lambda: self.plan() not in (plan, None))
        except LabError:
            return None
        return time.monotonic() - begin

    def events(self, kinds=("proposed", "decided")):
        """What the mesh decided, as all agents saw it: moment, kind and words, without doubles."""
        found = {}
        for device in self.lab.devices:
            text = self.lab.agent(device.name).get("/tessera/v1/events", text=True) or ""
            for line in text.splitlines():
                event = json.loads(line)
                if event["kind"] in kinds:
                    found.setdefault((event["kind"], event["text"]), event["atMicroseconds"] / 1e6)
        return [{"at_seconds": at, "kind": kind, "text": text}
                for (kind, text), at in sorted(found.items(), key=lambda item: item[1])]

    def decisions(self):
        """How many plans were decided so far, as the entry saw it."""
        text = self.agent.get("/tessera/v1/events", text=True) or ""
        return sum(json.loads(line)["kind"] == "decided" for line in text.splitlines())


def serve(lab, model, clients, flags):
    """Adds the model and waits until one plan has served for a while."""
    compare.add_model(lab, model, "drift", flags)
    watch = Watch(lab, "drift", clients)
    compare.warm(watch.agent, watch.name, watch.work)
    begin = time.monotonic()
    while time.monotonic() - begin < STABLE_PATIENCE:
        if watch.until_another(watch.plan(), STABLE_SECONDS) is None:
            break
    return watch


def drift(lab, model, device, part=4, seconds=20, clients=16, flags=(), patience=60):
    """Cuts a device's processors to a part and restores them, under load; gives what was seen."""
    watch = serve(lab, model, clients, flags)
    share = lab.devices[lab.index(device)].share
    document = {"device": device, "before": {"per_second": watch.per_second(seconds)}}
    try:
        for phase, now in (("slowed", share / part), ("restored", share)):
            plan, count = watch.plan(), watch.decisions()
            lab.set_share(device, now)
            moved = watch.until_another(plan, patience)
            if moved is not None:
                time.sleep(SETTLE_SECONDS)
            document[phase] = {
                "share": now, "moved_seconds": moved, "per_second": watch.per_second(seconds),
                "plan_changes": watch.decisions() - count}
    finally:
        lab.set_share(device, share)
        records = watch.work.stop()
    document["lost"] = sorted({record.error for record in load.lost(records)})
    document["events"] = watch.events()
    return document


def started_slow(lab, model, device, part=4, seconds=20, clients=16, flags=()):
    """Answers per second of a mesh in which the device was slow from the start."""
    lab.set_share(device, lab.devices[lab.index(device)].share / part)
    watch = serve(lab, model, clients, flags)
    try:
        return watch.per_second(seconds)
    finally:
        watch.work.stop()
