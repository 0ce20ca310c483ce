"""A request that kills whoever runs it: it takes two agents with it, not the mesh."""

import hashlib
import threading
import unittest

import support
from support import kserve, load, mesh

# What the planted request costs at most (architecture: no query of death).
DEATHS_MAX = 2
SECONDS = 60


def planted():
    """An input that no other request has, and its SHA-256."""
    image = support.images()[0]
    data = bytes(len(image.data) - 4) + b"\x00\x00\x80\x3f"
    return kserve.Array(image.descr, image.shape, data), hashlib.sha256(data).hexdigest()


class Death(support.Case):
    """Debug builds abort on the inputs whose hash they are given (TESSERA_TEST_ABORT_ON)."""

    def setUp(self):
        self.item, digest = planted()
        self.environment = {"TESSERA_TEST_ABORT_ON": digest}

    def entry(self, agents):
        """An agent that runs the input neither in the plan nor in the first one's alternate: it is
        there to count."""
        plan = agents["a"].plan(support.CNN)
        [first] = plan["stages"][0]["nodes"]
        [alternate] = [one for one in plan["alternates"] if one["without"] == first]
        runners = [first] + [change.split()[0] for change in alternate["changes"]]
        return next(agent for agent in agents.running if agent.name not in runners)

    def send(self, agent):
        """Sends the planted request; gives what the client is told."""
        client = agent.client()
        try:
            client.infer(support.CNN, {"image": self.item})
        except (kserve.Refused, OSError, kserve.http.client.HTTPException) as error:
            return error
        finally:
            client.close()
        return self.fail("the planted request was answered")

    def supervise(self, agents, stopped):
        """Starts again what has died, as a service manager would; gives the names of the dead."""
        dead = []
        while not stopped.wait(0.05):
            for agent in agents.agents.values():
                if agent.process is not None and agent.process.poll() is not None:
                    dead.append((agent.name, agent.process.returncode))
                    agent.is_away = True
                    agent._ended()
                    agent.start().await_ready()
                    agent.is_away = False
        return dead

    def test_five_agents(self):
        """Under load, one planted request, sent to one agent after another that still answers."""
        with mesh.Mesh("abcde", environment=self.environment) as agents:
            if b"TESSERA_TEST_ABORT_ON" not in open(mesh.TESSERA, "rb").read():
                self.skipTest("only debug builds have a request that kills")
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even", "--copies",
                            "5")
            agents.await_ready(support.CNN)
            mesh.wait(SECONDS, "five stages", lambda: len(agents["a"].plan_nodes(
                support.CNN)) == 5)
            mesh.wait(SECONDS, "all alternates are armed", lambda: self.all_armed(agents))
            stopped, dead = threading.Event(), []
            watch = threading.Thread(
                target=lambda: dead.extend(self.supervise(agents, stopped)), daemon=True)
            watch.start()
            work = load.Load(list(agents.agents.values()), support.CNN, support.images(), 4,
                             per_second=20).start()
            mesh.wait(SECONDS, "load", lambda: work.count >= 20)
            try:
                entry = self.entry(agents)
                error = self.send(entry)
                self.assertIsInstance(error, kserve.Refused, error)
                self.assertIn("two nodes died", error.reason)
                count = work.count
                mesh.wait(SECONDS, "answers after it", lambda: work.count >= count + 20)
                # The same inputs again, at every agent that is there: nobody dies of them.
                mesh.wait(SECONDS, "five agents again", lambda: all(
                    agent.members() == list("abcde") for agent in agents.agents.values()))
                for agent in agents.agents.values():
                    mesh.wait(SECONDS, f"{agent.name} serves",
                              lambda: agent.is_ready(support.CNN))
                    again = self.send(agent)
                    self.assertIsInstance(again, kserve.Refused, again)
                    self.assertIn("the same inputs", again.reason)
            finally:
                stopped.set()
                watch.join()
            records = work.stop()
            print(f"  {error}; died: {dead}; {len(records)} other requests", flush=True)
            self.assertEqual([-6] * DEATHS_MAX, [code for _, code in dead])
            self.assertEqual(DEATHS_MAX, len({name for name, _ in dead}))
            self.assert_all_right(records)
            for name, _ in dead:
                crashes = [event["text"] for event in agents[name].events()
                           if event["kind"] == "crashed"]
                self.assertTrue(any("signal 6" in text for text in crashes), crashes)

    @staticmethod
    def all_armed(agents):
        alternates = agents["a"].plan(support.CNN)["alternates"]
        return len(alternates) == 5 and all(one["isArmed"] for one in alternates)


if __name__ == "__main__":
    unittest.main()
