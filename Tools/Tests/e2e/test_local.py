"""Inputs that stay where they come in, and what the entry sends instead."""

import unittest

import support
from support import kserve, mesh

COUNT = 20
# What an image takes as the model's input.
INPUT_BYTES = 64 * 64 * 4


def sent(agent):
    """Bytes of tensors that an agent has sent to others so far."""
    return agent.get("/tessera/v1/status")["counters"]["sliceBytesSent"]


class Local(support.Case):
    """`--keep-input-local` on a real mesh."""

    def per_request(self, agent):
        """Bytes that an entry sends for each of some requests; they must all be alike."""
        before = sent(agent)
        client = agent.client()
        for image in support.images()[:COUNT]:
            client.infer(support.CNN, {"image": image})
        client.close()
        count = sent(agent) - before
        self.assertEqual(0, count % COUNT, f"{count} bytes for {COUNT} requests")
        return count // COUNT

    def test_input_stays(self):
        """The entry sends an image as long as it may, and never again once it may not."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--allow", "single",
                            "--mode", "local")
            agents.await_ready(support.CNN)
            runs, = agents["a"].plan_nodes(support.CNN)
            entry = next(agent for agent in agents.running if agent.name != runs)
            self.assertEqual(INPUT_BYTES, self.per_request(entry))
            mesh.check("model", "set", support.CNN, "--keep-input-local", 3, "--mode", "even",
                       "--api", entry.api, "--token-file", entry.token_file)

            def has_heads(agent):
                plan = agent.plan(support.CNN)
                stage = plan["stages"][0] if plan else {"mode": ""}
                return stage["mode"] == "entry" and len(stage["nodes"]) == 3

            mesh.wait(60, "heads on all", lambda: all(map(has_heads, agents.running)))
            plan = entry.plan(support.CNN)
            self.assertEqual(["a", "b", "c"], sorted(plan["local"]["entries"]))
            self.assertGreaterEqual(plan["stages"][0]["last"], 2)
            self.assertGreater(plan["local"]["otherwisePeriodMicroseconds"], 0)
            # Whichever node runs the rest: what leaves an entry is what comes behind the head.
            counts = {agent.name: self.per_request(agent) for agent in agents.running}
            print(f"  {INPUT_BYTES} bytes of input; sent for each request: {counts}", flush=True)
            self.assertTrue(all(counts.values()), counts)
            self.assertNotIn(INPUT_BYTES, counts.values())
            logits = support.infer(entry, support.CNN, agents.folder)
            self.assertEqual(support.expected(), [item.data for item in logits.items()])

    def test_no_room(self):
        """A node without room for the head says where to ask, and sends nothing."""
        with mesh.Mesh("a") as agents:
            agents.make("b", memory="1M").start().await_ready()
            agents.await_members()
            agents["a"].add(support.CNN, support.file(support.CNN), "--keep-input-local", 3)
            mesh.wait(60, "the plan at b", lambda: agents["b"].plan(support.CNN))
            before = sent(agents["b"])
            client = agents["b"].client()
            with self.assertRaises(kserve.Refused) as refusal:
                client.infer(support.CNN, {"image": support.images()[0]})
            self.assertEqual(503, refusal.exception.status)
            self.assertIn("keeps its input", str(refusal.exception))
            self.assertEqual(before, sent(agents["b"]))


if __name__ == "__main__":
    unittest.main()
