"""Property 2: the loss of any one of four agents costs no request."""

import time
import unittest

import support
from support import load, mesh

PAUSE_SECONDS_MAX = 2


class Failover(support.Case):
    """Each by its part in the mesh. All four agents are entries, so the first stage is every
    entry's neighbour; it is also the gate that gives out tickets."""

    def kill(self, choose):
        """Kills one under load: the one that `choose` picks from the plan and its nodes."""
        with mesh.Mesh("abcd") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            rate = support.capacity(agents.running) * support.SHARE_OF_CAPACITY
            work = load.Load(list(agents.agents.values()), support.CNN, support.images(),
                             support.CLIENTS, per_second=rate).start()
            mesh.wait(30, "load", lambda: work.count >= 100)
            # Chosen now: the plan that the load is served by may be a later one than the first.
            plan = agents["b"].plan(support.CNN)
            nodes = agents["b"].plan_nodes(support.CNN)
            victim = choose(plan, nodes)
            role = (f"stage {nodes.index(victim) + 1} of {len(nodes)}" if victim in nodes
                    else "not in the plan")
            role += ", proposer" if plan["proposer"] == victim else ""
            killed = time.monotonic()
            agents[victim].kill()
            count = work.count
            mesh.wait(30, "answers after the loss", lambda: work.count >= count + 4 * rate)
            agents.await_members()
            mesh.wait(30, f"a plan without {victim}", lambda: all(
                victim not in agent.plan_nodes(support.CNN) for agent in agents.running))
            records = work.stop()
            pause = load.pause(records, killed)
            print(f"  {victim} ({role}): {len(records)} requests at {rate:.0f}/s, longest pause "
                  f"{pause * 1000:.0f} ms", flush=True)
            for record in load.lost(records):
                self.tell(record, killed, agents)
            self.assert_all_right(records)
            self.assertLess(pause, PAUSE_SECONDS_MAX)
            if victim in nodes:
                self.assert_timeline(agents, victim)

    @staticmethod
    def tell(record, killed, agents):
        """What is needed to understand a lost request."""
        print(f"  lost: {record.error}; sent {record.sent - killed:+.3f} s, ended "
              f"{record.ended - killed:+.3f} s after the loss", flush=True)
        agent = agents[record.entry]
        if agent.runs:
            print(mesh.check("events", "--api", agent.api).out, flush=True)
            print(mesh.check("status", "--api", agent.api).out, flush=True)

    def assert_timeline(self, agents, victim):
        """`events --failover` tells what followed, in its order.

        An agent may hear of the new plan before it notices the loss itself, and then has no time
        from the loss to the decision; the one that proposed the plan noticed first."""
        documents = [mesh.check("events", "--failover", "--json", "--api", agent.api).json()
                     for agent in agents.running]
        decided = []
        for document in documents:
            losses = [loss for loss in document["losses"] if loss["node"] == victim]
            self.assertEqual(1, len(losses), document)
            decided += [losses[0]["decided"]] if "decided" in losses[0] else []
        self.assertTrue(decided, documents)
        self.assertGreaterEqual(min(decided), 0, documents)

    def test_where_the_model_was_added(self):
        """The agent at which the model was added."""
        self.kill(lambda plan, nodes: "a")

    def test_first_stage(self):
        """The gate, and the neighbour of every entry."""
        self.kill(lambda plan, nodes: nodes[0])

    def test_last_stage(self):
        """The one that makes the answers."""
        self.kill(lambda plan, nodes: nodes[-1])

    def test_proposer(self):
        """The one that proposed the plan."""
        self.kill(lambda plan, nodes: plan["proposer"])


if __name__ == "__main__":
    unittest.main()
