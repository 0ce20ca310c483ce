"""What the end-to-end tests share."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import kserve  # noqa: E402
import load  # noqa: E402
import mesh  # noqa: E402

CNN, VIT, BRANCHES = "digits-cnn", "digits-vit", "digits-branches"
IMAGES = os.path.join(mesh.DIGITS, "images.npy")
CLIENTS = 16
# Of what the mesh answers at most: what must go without loss or refusal (issue, property 2).
SHARE_OF_CAPACITY = 0.6


def file(model):
    """The model's file."""
    return os.path.join(mesh.DIGITS, model + ".onnx")


def images():
    """The test images, one by one."""
    return kserve.load(IMAGES).items()


def infer(agent, model, folder):
    """Sends every image with the command line; gives the logits as an array."""
    output = os.path.join(folder, f"out-{agent.name}-{model}")
    mesh.check("infer", model, "--input", f"image={IMAGES}", "--output-dir", output,
               "--concurrency", 4, "--api", agent.api)
    return kserve.load(os.path.join(output, "logits.npy"))


_alone = {}


def expected(model=CNN):
    """The bytes of every image's logits from one agent alone."""
    if model not in _alone:
        with mesh.Mesh(["alone"], name="alone", discovery="none") as alone:
            alone["alone"].add(model, file(model))
            logits = infer(alone["alone"], model, alone.folder)
        _alone[model] = [item.data for item in logits.items()]
    return _alone[model]


def capacity(agents, model=CNN):
    """How many requests per second the agents answer at most."""
    work = load.Load(agents, model, images(), threads=8).start()
    mesh.wait(20, "the first answers", lambda: work.count >= 50)
    begin, count = time.monotonic(), work.count
    mesh.wait(20, "200 more answers", lambda: work.count >= count + 200)
    rate = (work.count - count) / (time.monotonic() - begin)
    work.stop()
    return rate


class Case(unittest.TestCase):
    """A test with what most of them check."""

    def assert_all_right(self, records, model=CNN):
        """No request is lost or refused, and every answer is bit for bit that of one agent."""
        self.assertGreater(len(records), 0)
        lost, wrong = load.lost(records), load.wrong(records, expected(model))
        self.assertEqual(
            [], sorted({record.error for record in lost})[:5],
            f"{len(lost)} of {len(records)} requests were lost")
        self.assertEqual(0, len(wrong), f"{len(wrong)} of {len(records)} answers are wrong")

    def assert_fails(self, result, code, *words):
        """A command ended with this code and said these words."""
        self.assertEqual(code, result.code, f"stdout: {result.out}\nstderr: {result.err}")
        for word in words:
            self.assertIn(word, result.err)
