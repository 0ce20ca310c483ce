"""A mesh of which one agent is left."""

import time
import unittest

import support
from support import load, mesh


class LastAgent(support.Case):
    """All agents but one are killed at the same moment."""

    SECONDS = 30

    def kill_all_but(self, agents, last):
        gone = [agent for agent in agents.running if agent is not last]
        for agent in gone:
            agent.is_away = True
            agent.process.kill()
        for agent in gone:
            agent._ended()
        return gone

    def test_serves_alone(self):
        """The last one has room for the model: it goes on alone, and no request is lost."""
        with mesh.Mesh("abcde") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even", "--copies",
                            "5")
            agents.await_ready(support.CNN)
            mesh.wait(self.SECONDS, "five stages",
                      lambda: len(agents["e"].plan_nodes(support.CNN)) == 5)
            work = load.Load([agents["e"]], support.CNN, support.images(), 4,
                             per_second=20).start()
            mesh.wait(self.SECONDS, "load", lambda: work.count >= 20)
            killed = time.monotonic()
            [back, *_] = self.kill_all_but(agents, agents["e"])
            mesh.wait(self.SECONDS, "e serves alone",
                      lambda: agents["e"].plan_nodes(support.CNN) == ["e"])
            count = work.count
            mesh.wait(self.SECONDS, "answers after it", lambda: work.count >= count + 20)
            back.start().await_ready()
            agents.await_members()
            mesh.wait(self.SECONDS, f"{back.name} serves", lambda: back.is_ready(support.CNN))
            records = work.stop()
            print(f"  alone after {load.pause(records, killed):.2f} s", flush=True)
            self.assert_all_right(records)

    def test_says_that_it_cannot(self):
        """The last one has no room for the whole model: it says so and why, and serves again when
        another one is back."""
        memory = self.memory_of_most()
        with mesh.Mesh("abc", memory=memory) as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--copies", "3")
            agents.await_ready(support.CNN)
            [back, *_] = self.kill_all_but(agents, agents["c"])
            error = mesh.wait(self.SECONDS, "c says that it cannot", lambda: self.refusal(
                agents["c"]))
            print(f"  {error}", flush=True)
            self.assertEqual(503, error.status)
            self.assertIn("memory", error.reason)
            status = mesh.check("status", "--api", agents["c"].api).out
            self.assertIn(f"model {support.CNN} is not served", status)
            begin = time.monotonic()
            back.start().await_ready()
            mesh.wait(self.SECONDS, "both serve", lambda: all(
                agent.is_ready(support.CNN) for agent in agents.running))
            print(f"  served again {time.monotonic() - begin:.1f} s after the start of another "
                  "one", flush=True)
            logits = support.infer(agents["c"], support.CNN, agents.folder)
            self.assertEqual(support.expected(), [item.data for item in logits.items()])

    def memory_of_most(self):
        """Bytes that hold more than half of the model and not all of it."""
        with mesh.Mesh("a") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "local")
            agents.await_ready(support.CNN)
            [stage] = agents["a"].plan(support.CNN)["stages"]
            return stage["memoryBytes"] * 4 // 5

    @staticmethod
    def refusal(agent):
        client = agent.client()
        try:
            client.infer(support.CNN, {"image": support.images()[0]})
        except support.kserve.Refused as error:
            return error
        finally:
            client.close()
        return None


if __name__ == "__main__":
    unittest.main()
