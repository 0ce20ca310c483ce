"""`tessera plan MODEL --alternates`: what is ready for the loss of each node."""

import unittest

import support
from support import mesh

SECONDS = 30


class Alternates(support.Case):
    """Armed or not, why, and how long it takes."""

    def alternates(self, agent):
        """The document's part, by the node that is lost."""
        document = mesh.check(
            "plan", support.CNN, "--alternates", "--json", "--api", agent.api).json()
        return {one["without"]: one for one in document["alternates"]}

    def test_armed(self):
        """With room for all: each node's loss has an armed alternate, which took some time."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even", "--copies",
                            "3")
            agents.await_ready(support.CNN)
            mesh.wait(SECONDS, "three armed alternates", lambda: [
                one["isArmed"] for one in self.alternates(agents["b"]).values()] == [True] * 3)
            for name, one in self.alternates(agents["b"]).items():
                self.assertNotIn("reason", one)
                self.assertEqual(0, one["fetchBytes"])
                self.assertGreater(one["rearmMicroseconds"], 0)
                self.assertTrue(one["changes"])
                self.assertFalse(any(change.startswith(name + " ") for change in one["changes"]))
            text = mesh.check("plan", support.CNN, "--alternates", "--api", agents["b"].api).out
            self.assertEqual(3, sum(" armed " in line for line in text.splitlines()), text)
            print("\n" + text, flush=True)

    def test_no_room(self):
        """Without room for another node's part: none, and the reason."""
        with mesh.Mesh("a") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "local")
            agents.await_ready(support.CNN)
            [one] = self.alternates(agents["a"]).values()
            self.assertFalse(one["isArmed"])
            self.assertNotIn("plan", one)
            whole = agents["a"].plan(support.CNN)["stages"][0]["memoryBytes"]
        with mesh.Mesh("ab", memory=whole * 3 // 4) as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--copies", "2")
            agents.await_ready(support.CNN)
            alternates = self.alternates(agents["a"])
            self.assertEqual(["a", "b"], sorted(alternates))
            for one in alternates.values():
                self.assertFalse(one["isArmed"])
                self.assertIn("memory", one["reason"])
            text = mesh.check("plan", support.CNN, "--alternates", "--api", agents["a"].api).out
            self.assertEqual(2, text.count("no other nodes have the memory"), text)


if __name__ == "__main__":
    unittest.main()
