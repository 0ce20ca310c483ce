"""Property 2: the loss of any one of four agents costs no request."""

import time
import unittest

import support
from support import load, mesh

PAUSE_SECONDS_MAX = 2


class Failover(support.Case):
    """Each agent of four in turn, so that neighbour, gate, proposer and the agent at which the model
    was added are all among those killed."""

    def kill(self, victim):
        """Kills one under load."""
        with mesh.Mesh("abcd") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            rate = support.capacity(agents.running) * support.SHARE_OF_CAPACITY
            plan = agents["b"].plan(support.CNN)
            nodes = agents["b"].plan_nodes(support.CNN)
            role = (f"stage {nodes.index(victim) + 1} of {len(nodes)}" if victim in nodes
                    else "not in the plan")
            role += ", proposer" if plan["proposer"] == victim else ""
            work = load.Load(list(agents.agents.values()), support.CNN, support.images(),
                             support.CLIENTS, per_second=rate).start()
            mesh.wait(30, "load", lambda: work.count >= 100)
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
            self.assert_all_right(records)
            self.assertLess(pause, PAUSE_SECONDS_MAX)
            if victim in nodes:
                self.assert_timeline(agents, victim)

    def assert_timeline(self, agents, victim):
        """`events --failover` tells what followed, in its order."""
        for agent in agents.running:
            document = mesh.check("events", "--failover", "--json", "--api", agent.api).json()
            losses = [loss for loss in document["losses"] if loss["node"] == victim]
            self.assertEqual(1, len(losses), document)
            self.assertGreaterEqual(losses[0].get("decided", -1), 0, document)

    def test_a(self):
        """The agent at which the model was added."""
        self.kill("a")

    def test_b(self):
        """Another one."""
        self.kill("b")

    def test_c(self):
        """Another one."""
        self.kill("c")

    def test_d(self):
        """Another one."""
        self.kill("d")


if __name__ == "__main__":
    unittest.main()
