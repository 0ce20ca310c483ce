"""Answers without late branches: they come in time, and each says what it is."""

import os
import re
import signal
import struct
import unittest

import support
from support import kserve, load, mesh

MODEL = support.BRANCHES
LABELS = os.path.join(mesh.DIGITS, "labels.npy")


def branches(agent):
    """The nodes of the stage of branches, and those of the other stages; None without such a plan."""
    plan = agent.plan(MODEL)
    stages = {stage["mode"]: stage["nodes"] for stage in plan["stages"]} if plan else {}
    if len(stages.get("branches", ())) < 2:
        return None
    return stages["branches"], [node for mode, nodes in stages.items() if mode != "branches"
                                for node in nodes]


def victim(agents):
    """An agent that computes branches and is neither the gate nor the join."""
    own, others = branches(agents["a"])
    gate = min(own, key=lambda name: agents[name].id)
    return next(name for name in own if name != gate and name not in others)


def share_right(records):
    """Of how many answers the largest of the ten scores is that of the digit, for people."""
    labels, right = kserve.load(LABELS).integers(), 0
    for record in records:
        scores = struct.unpack("<10f", record.logits)
        right += scores.index(max(scores)) == labels[record.item]
    return f"{right} of {len(records)}"


def left_out(agent):
    """How many answers without branches an agent counted."""
    client = agent.client()
    try:
        _, _, body = client.call("GET", "/metrics")
    finally:
        client.close()
    found = re.search(rf'^tessera_left_out_answers_total{{model="{MODEL}"}} (\d+)$',
                      body.decode(), re.MULTILINE)
    return int(found[1]) if found else 0


class Degrade(support.Case):
    """Branches that are left out, on a real mesh."""

    def lose(self, agents, name, away, back):
        """Takes an agent away under load until the plan does without it; gives the records, and
        those without branches."""
        rest = [agent for agent in agents.running if agent.name != name]
        work = load.Load(rest, MODEL, support.images(), 4).start()
        mesh.wait(30, "load", lambda: work.count >= 100)
        away(agents[name])
        try:
            mesh.wait(60, f"a plan without {name}", lambda: all(
                agent.plan(MODEL) and name not in agent.plan_nodes(MODEL) for agent in rest))
            count = work.count
            mesh.wait(60, "answers under it", lambda: work.count >= count + 50)
        finally:
            back(agents[name])
        records = work.stop()
        marked = [record for record in records if record.left_out]
        print(f"  {len(marked)} of {len(records)} answers without branches: "
              f"{share_right(marked)} of them name the digit", flush=True)
        self.assertEqual(len(marked), sum(left_out(agent) for agent in rest))
        return records, marked

    def check_answers(self, away, back):
        """A lost agent's branches may be left out until the plan does without it; all else is as
        from one. Gives the answers without branches."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(MODEL, support.file(MODEL), "--mode", "lcp-like",
                            "--degrade", "zeros:3")
            agents.await_ready(MODEL)
            mesh.wait(60, "branches on all agents", lambda: all(
                len(set((branches(agent) or [()])[0])) == 3 for agent in agents.running))
            records, marked = self.lose(agents, victim(agents), away, back)
            self.assertEqual([], load.lost(records)[:1])
            # Whatever does not say so is the whole model's, bit for bit.
            self.assert_all_right([record for record in records if not record.left_out], MODEL)
            # The same image without the same branches is the same answer.
            answers = {}
            for record in marked:
                key = record.item, record.left_out
                self.assertEqual(answers.setdefault(key, record.logits), record.logits)
                self.assertNotEqual(support.expected(MODEL)[record.item], record.logits)
            return marked

    def test_frozen(self):
        """A frozen agent's branches are late: a clock leaves them out."""
        self.assertTrue(self.check_answers(
            lambda agent: agent.process.send_signal(signal.SIGSTOP),
            lambda agent: agent.process.send_signal(signal.SIGCONT)))

    def test_killed(self):
        """A killed agent's branches are lost: what waits for them goes on without, at once."""
        # That is known so soon that perhaps nothing waits just then.
        self.check_answers(lambda agent: agent.kill(), lambda agent: None)

    def test_settings(self):
        """What cannot be left out is refused with the reason; what can be is shown, and ends."""
        with mesh.Mesh("a") as agents:
            agents["a"].add(MODEL, support.file(MODEL), "--allow", "single,branches",
                            "--degrade", "zeros:2")
            agents.await_ready(MODEL)
            own = ("--api", agents["a"].api, "--token-file", agents["a"].token_file)
            shown = ("model", "show", MODEL, "--api", agents["a"].api)
            self.assertIn("up to 2 branches", mesh.check(*shown).out)
            for wish, reason in (("mean", "ReduceMean or ReduceSum"), ("zeros:4", "one has to be"),
                                 ("zeros:0", "no number of branches"), ("half", "neither off")):
                result = mesh.run("model", "set", MODEL, "--degrade", wish, *own)
                self.assert_fails(result, result.code or 1, reason)
            mesh.check("model", "set", MODEL, "--degrade", "off", *own)
            mesh.wait(30, "nothing to leave out",
                      lambda: "branches of a join" not in mesh.check(*shown).out)
            # One agent leaves nothing out, and its answers are what they always were.
            logits = support.infer(agents["a"], MODEL, agents.folder)
            self.assertEqual(support.expected(MODEL), [item.data for item in logits.items()])


if __name__ == "__main__":
    unittest.main()
