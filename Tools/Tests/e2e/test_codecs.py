"""Packed slices between real agents."""

import os
import struct
import unittest
import zipfile

import support
from support import kserve, mesh

# What debug builds take every link for: 10 Mbit/s.
SLOW = {"TESSERA_TEST_LINK_RATE": "1250000"}
SECONDS = 60
# Images that are measured: debug builds take their time.
ITEMS = 20


def is_told():
    """Whether the program takes the rate that it is told."""
    with open(mesh.TESSERA, "rb") as file:
        return b"TESSERA_TEST_LINK_RATE" in file.read()


def classes(array):
    """The best class of each item of an array of scores."""
    result = []
    for item in array.items():
        scores = struct.unpack(f"<{len(item.data) // 4}f", item.data)
        result.append(scores.index(max(scores)))
    return result


def packed(agents, codec):
    """Slices that the agents packed by a codec, by their metrics."""
    name = f'tessera_codec_slices_total{{codec="{codec}",direction="packed"}} '
    count = 0.0
    for agent in agents.running:
        client = agent.client()
        try:
            _, _, body = client.call("GET", "/metrics")
        finally:
            client.close()
        count += sum(float(line[len(name):]) for line in body.decode().splitlines()
                     if line.startswith(name))
    return count


@unittest.skipUnless(is_told(), "only debug builds can be told that links are slow")
class Codecs(support.Case):
    """What a slow link makes of tensors, and what becomes of answers."""

    def test_lossless(self):
        """Without an allowance slices are packed, and answers keep every bit."""
        with mesh.Mesh("ab", environment=SLOW) as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_spread(support.CNN)
            for _ in range(2):
                for name in "ab":
                    logits = support.infer(agents[name], support.CNN, agents.folder)
                    self.assertEqual(support.expected(), [item.data for item in logits.items()])
            self.assertGreater(packed(agents, "lossless"), 0)
            for codec in ("f16", "bf16", "int8"):
                self.assertEqual(0, packed(agents, codec))
            said = [event for agent in agents.running for event in agent.events()
                    if event["kind"] == "codec"]
            self.assertIn("with codec lossless instead of none: the link takes", said[0]["text"])
            plan = [line for agent in agents.running
                    for line in agent.plan(support.CNN)["packing"] if line.get("codecInUse")]
            self.assertTrue(any(line["codecInUse"] == "lossless"
                                and line["measuredBytes"] < line["bytes"] for line in plan), plan)

    def test_allowance(self):
        """With a measured allowance slices are packed with loss, and the classes stay."""
        with mesh.Mesh("ab", environment=SLOW) as agents:
            inputs = os.path.join(agents.folder, "inputs.npz")
            few = os.path.join(agents.folder, "few.npy")
            images = kserve.load(support.IMAGES)
            size = len(images.data) // images.shape[0]
            kserve.save(few, kserve.Array(
                images.descr, [ITEMS] + list(images.shape[1:]), images.data[:ITEMS * size]))
            with zipfile.ZipFile(inputs, "w") as archive:
                archive.write(few, "image.npy")
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even",
                            "--calibrate", inputs, "--max-drop", "5%")
            agents.await_spread(support.CNN)
            shown = mesh.check("model", "show", support.CNN, "--json", "--api", agents["b"].api,
                               "--token-file", agents["b"].token_file).json()
            codecs = shown["models"][0]["settings"]["codecs"]
            self.assertEqual("top-class", codecs["measure"])
            self.assertLessEqual(codecs["dropPerMillion"], 50_000)
            self.assertTrue(any(trial["isAllowed"] for tensor in codecs["tensors"]
                                for trial in tensor["tried"]))
            expected = classes(kserve.load(os.path.join(mesh.DIGITS, "expected-cnn.npy")))

            def is_packed():
                for name in "ab":
                    logits = support.infer(agents[name], support.CNN, agents.folder)
                    same = sum(one == other for one, other in zip(classes(logits), expected))
                    self.assertGreaterEqual(same / len(expected), 0.95)
                return sum(packed(agents, codec) for codec in ("f16", "bf16", "int8")) > 0

            mesh.wait(SECONDS, "slices packed with loss", is_packed)
            mesh.check("model", "set", support.CNN, "--exact", "--api", agents["a"].api,
                       "--token-file", agents["a"].token_file)

            def is_exact():
                logits = support.infer(agents["b"], support.CNN, agents.folder)
                return support.expected() == [item.data for item in logits.items()]

            mesh.wait(SECONDS, "exact answers again", is_exact)


if __name__ == "__main__":
    unittest.main()
