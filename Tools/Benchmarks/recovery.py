"""How long the loss of a used node is felt: killed, or stopped so that nothing tells of it."""

import signal
import time

import load

from processes import Idle, bare_engine, folder, kserve, median, mesh, note, quantile, table

# The place of the node that is lost, by its part in the plan.
PLACES = {
    "first stage (gate)": lambda plan, nodes: nodes[0],
    "second stage": lambda plan, nodes: nodes[1],
    "last stage": lambda plan, nodes: nodes[-1],
    "proposer": lambda plan, nodes: plan["proposer"],
}
MODELS = ["digits-cnn", "resnet50"]
# What follows a loss, as the agents tell it, since one of them noticed.
PHASES = {"staged": "staging begins ms", "decided": "decided ms", "firstAnswer": "first answer ms"}
# Cold: an agent's memory holds the largest part of a plan over one agent less, and not two parts.
ROOM = 1.1
SECONDS_OF_LOAD = 1.0
SHARE_OF_CAPACITY = 0.5
AGENTS = "abcd"


def recovery(options):
    """From the loss of a used node to the first right answer of a request sent after it."""
    results = {}
    rows = [["model", "lost node", "losses", "alternate armed", "recovery ms, median", "worst",
             "in flight ms, median", "worst", "lost or wrong", "refused"]]
    for name in [options.model] if options.model else MODELS:
        results[name] = recovery_of(name, options.model_path(name), options)
        for place, losses in results[name]["places"].items():
            spans = [loss["recoveryMilliseconds"] for loss in losses]
            flights = [span for loss in losses for span in loss["inFlightMilliseconds"]]
            rows.append([
                name, place, len(losses), sum(loss["isArmed"] for loss in losses),
                f"{median(spans):.0f}", f"{max(spans):.0f}",
                f"{median(flights):.0f}" if flights else "-",
                f"{max(flights):.0f}" if flights else "-",
                sum(loss["wrong"] for loss in losses), sum(loss["refused"] for loss in losses)])
    table(rows)
    if options.cold:
        print()
        table(phases(results))
    return results


def phases(results):
    """Medians of what follows a loss."""
    rows = [["model", "lost node", *PHASES.values()]]
    for name, result in results.items():
        for place, losses in result["places"].items():
            spans = [[loss["phases"][step] for loss in losses if step in loss["phases"]]
                     for step in PHASES]
            rows.append([name, place, *(f"{median(one):.0f}" if one else "-" for one in spans)])
    return rows


def recovery_of(name, path, options):
    """Each place in turn, again and again."""
    with folder() as place, bare_engine(path, place) as engine:
        [tensor] = engine.first["inputs"]
        with open(f"{place}/input", "rb") as file:
            item = kserve.Array("<f4", tensor["shape"], file.read(tensor["byteCount"]))
        return Run(name, path, item, engine.output(), options).measure()


class Run:
    """One model on four agents, of which one after another is lost and comes back."""

    def __init__(self, name, path, item, expected, options):
        self.name, self.path, self.item, self.expected = name, path, item, expected
        self.options, self.tensors = options, {}

    def measure(self):
        """Every place in turn: in one mesh that is made whole again, or cold, each in a new one."""
        idle, places, rate = Idle(), {place: [] for place in PLACES}, None
        turns = [(turn, place) for turn in range(self.options.losses) for place in PLACES]
        if self.options.cold:
            memory = self.tight_memory()
            while turns:
                with mesh.Mesh(AGENTS, memory=memory, threads=1) as agents:
                    # A first plan without one of them stays: there is no memory for two plans.
                    if not self.add(agents, seconds=5):
                        continue
                    rate = rate or self.capacity(agents) * SHARE_OF_CAPACITY
                    self.take(*turns.pop(0), places, agents, rate)
        else:
            with mesh.Mesh(AGENTS, memory="4G", threads=1) as agents:
                if not self.add(agents):
                    raise mesh.Failed("there is no plan on all nodes")
                rate = self.capacity(agents) * SHARE_OF_CAPACITY
                note(f"{self.name}: {rate:.0f} requests per second")
                for turn, place in turns:
                    self.take(turn, place, places, agents, rate)
                    self.restore(agents)
        return {"ratePerSecond": rate, "places": places, "noise": idle.figures()}

    def add(self, agents, seconds=60):
        """Brings the model into a mesh; gives whether each agent has a part of it."""
        agents["a"].add(self.name, self.path, "--mode", "even", "--copies", len(agents.agents),
                        timeout=600)
        agents.await_ready(self.name)
        about = agents["a"].get(f"/v2/models/{self.name}")
        self.tensors = {"input_name": about["inputs"][0]["name"],
                        "output_name": about["outputs"][0]["name"]}
        try:
            return mesh.wait(seconds, "a plan on all nodes", lambda: all(
                len(agent.plan_nodes(self.name)) == len(agents.agents)
                for agent in agents.running))
        except mesh.Failed:
            return False

    def tight_memory(self):
        """Bytes with which the loss of an agent finds no alternate armed."""
        with mesh.Mesh(AGENTS[:-1], memory="4G", threads=1) as agents:
            self.add(agents)
            stages = agents["a"].plan(self.name)["stages"]
            return int(max(stage["memoryBytes"] for stage in stages) * ROOM)

    def take(self, turn, place, places, agents, rate):
        """One loss of one place."""
        loss = self.lose(agents, PLACES[place], rate)
        places[place].append(loss)
        note(f"  {turn + 1} of {self.options.losses}, {place}: "
             f"{loss['recoveryMilliseconds']:.0f} ms" + ("" if loss["isArmed"] else ", not armed"))

    def load(self, agents, **more):
        """Clients of some agents."""
        return load.Load(agents, self.name, [self.item], threads=8, **self.tensors, **more)

    def capacity(self, agents):
        work = self.load(agents.running).start()
        mesh.wait(60, "the first answers", lambda: work.count >= 20)
        begin, count = time.monotonic(), work.count
        mesh.wait(120, "more answers", lambda: work.count >= count + 100)
        rate = (work.count - count) / (time.monotonic() - begin)
        work.stop()
        return rate

    def lose(self, agents, choose, rate):
        """One loss."""
        witness = agents.running[0]
        plan, nodes = witness.plan(self.name), witness.plan_nodes(self.name)
        victim = agents[choose(plan, nodes)]
        others = [agent for agent in agents.running if agent is not victim]
        armed = {alternate["without"] for alternate in others[0].plan(self.name)["alternates"]
                 if alternate["isArmed"]}
        work = self.load(others, per_second=rate).start()
        mesh.wait(60, "load", lambda: work.count >= max(10, rate * SECONDS_OF_LOAD))
        lost = time.monotonic()
        if self.options.stop:
            victim.process.send_signal(signal.SIGSTOP)
        else:
            victim.kill()
        answered = work.count
        mesh.wait(60, "answers after the loss", lambda: work.count >= answered + 2 * rate)
        return self.figures(
            work.stop(), lost, victim.name in armed, self.phases(others, victim.name))

    @staticmethod
    def phases(agents, victim):
        """When each step after a loss came first, as the agents that are left tell it."""
        told = {}
        for agent in agents:
            document = mesh.check("events", "--failover", "--json", "--api", agent.api).json()
            for loss in document["losses"][-1:]:
                for step in PHASES:
                    if loss["node"] == victim and step in loss:
                        told[step] = min(loss[step], told.get(step, loss[step]))
        return told

    def restore(self, agents):
        """Back to where it was."""
        for agent in agents.agents.values():
            if not agent.runs:
                agent.start().await_ready()
            elif self.options.stop:
                agent.process.send_signal(signal.SIGCONT)
        agents.await_members(60)
        mesh.wait(90, "a plan on all nodes, with its alternates", lambda: all(
            len(agent.plan_nodes(self.name)) == len(AGENTS) and agent.is_ready(self.name)
            and self.all_armed(agent) for agent in agents.running))

    def all_armed(self, agent):
        alternates = agent.plan(self.name)["alternates"]
        return len(alternates) == len(AGENTS) and all(one["isArmed"] for one in alternates)

    def figures(self, records, lost, is_armed, phases):
        right = [record for record in records if record.error is None]
        refused = [record for record in records if record.status in (429, 503)]
        wrong = [record for record in records if record not in refused
                 and (record.error is not None or record.logits != self.expected)]
        after = [record.ended for record in right if record.sent > lost]
        return {
            "isArmed": is_armed, "phases": phases, "recoveryMilliseconds": (min(after) - lost) * 1000,
            "inFlightMilliseconds": [(record.ended - record.sent) * 1000 for record in right
                                     if record.sent <= lost < record.ended],
            "wrong": len(wrong), "refused": len(refused),
            "errors": sorted({record.error for record in wrong if record.error})[:3]}
