"""Models that answer early: what answered, that it is right, and that the rest is cancelled."""

import os
import struct
import unittest

import support
from support import kserve, load, mesh

MODEL = "digits-exits"
FILE = os.path.join(mesh.DIGITS, MODEL + ".onnx")
LABELS = os.path.join(mesh.DIGITS, "labels.npy")
OUTPUTS = ["exit1", "exit2", "logits"]
EXITS = ("--exit", "exit1:max:0.8", "--exit", "exit2:max:0.8")


def best(data):
    """The class of the largest of ten floats."""
    values = struct.unpack("<10f", data)
    return values.index(max(values))


class Exits(support.Case):
    """Early exits on a real mesh."""

    def whole(self, agent):
        """By image, all outputs of the whole model."""
        client = agent.client()
        answers = [client.infer(MODEL, {"image": image}, OUTPUTS) for image in support.images()]
        client.close()
        for answer in answers:
            self.assertNotIn("tessera_exit", answer.parameters)
        return [{name: output.data for name, output in answer.outputs.items()}
                for answer in answers]

    def test_answers(self):
        """Each answer is that of the exit it names, under every plan, also after a loss."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(MODEL, FILE, "--mode", "even", *EXITS)
            agents.await_ready(MODEL)
            mesh.wait(60, "three stages", lambda: all(
                len(agent.plan_nodes(MODEL)) == 3 for agent in agents.running))
            whole = self.whole(agents["a"])
            client, taken = agents["b"].client(), []
            for image, outputs in zip(support.images(), whole):
                answer = client.infer(MODEL, {"image": image})
                name = answer.parameters["tessera_exit"]
                self.assertEqual(["logits"], list(answer.outputs))
                self.assertEqual(outputs[name], answer.outputs["logits"].data)
                seen = answer.parameters["tessera_confidences"].split("/")
                self.assertEqual(min(OUTPUTS.index(name) + 1, 2), len(seen))
                taken.append(name)
            client.close()
            print("  answered by: " + ", ".join(
                f"{name} {taken.count(name)}" for name in OUTPUTS), flush=True)
            for name in OUTPUTS:
                self.assertGreater(taken.count(name), 0, name)
            plan = agents["b"].plan(MODEL)
            self.assertEqual([taken.count(name) for name in OUTPUTS],
                             [exit["answered"] for exit in plan["exits"]])
            # A loss in the middle: every answer is still that of the exit it should have left by.
            right = [outputs[name] for name, outputs in zip(taken, whole)]
            work = load.Load([agents["a"], agents["b"]], MODEL, support.images(), 4,
                             output_name="logits").start()
            mesh.wait(30, "load", lambda: work.count >= 50)
            agents["c"].kill()
            count = work.count
            mesh.wait(60, "answers after the loss", lambda: work.count >= count + 100)
            records = work.stop()
            self.assertEqual([], [record.error for record in load.lost(records)])
            self.assertEqual(0, len(load.wrong(records, right)))

    def test_commands(self):
        """`infer`, `model exits` and `model set` know exits; bad ones are refused with the reason."""
        with mesh.Mesh("a") as agents:
            agents["a"].add(MODEL, FILE, *EXITS)
            agents.await_ready(MODEL)
            own = ("--api", agents["a"].api, "--token-file", agents["a"].token_file)
            table = os.path.join(agents.folder, "table.json")
            told = mesh.check("model", "exits", MODEL, "--input", f"image={support.IMAGES}",
                              "--labels", LABELS, "--table", table, "--min-accuracy", "97%", *own)
            self.assertIn("THRESHOLD", told.out)
            output = os.path.join(agents.folder, "out")
            common = ("infer", MODEL, "--input", f"image={support.IMAGES}", "--output-dir", output,
                      "--json", "--api", agents["a"].api)
            early = mesh.check(*common).json()
            self.assertGreater(early["exits"].get("exit1", 0), 0)
            labels = kserve.load(LABELS).integers()
            answers = kserve.load(os.path.join(output, "logits.npy")).items()
            right = sum(best(item.data) == label for item, label in zip(answers, labels))
            print(f"  {early['exits']}, {right} of {len(labels)} right", flush=True)
            self.assertGreaterEqual(right, 0.97 * len(labels))
            self.assertNotIn("exits", mesh.check(*common, "--exits", "off").json())
            self.assertEqual({"exit1": len(labels)},
                             mesh.check(*common, "--exits", "0").json()["exits"])
            self.assert_fails(mesh.run("model", "set", MODEL, "--exit", "exit1", *own), 1,
                              "the exits do not fit the model")
            mesh.check("model", "set", MODEL, "--no-exits", *own)
            mesh.wait(30, "no exits", lambda: "exits" not in mesh.check(*common).json())


if __name__ == "__main__":
    unittest.main()
