"""A board that slows down and recovers loses its work and gets it back: only with Tools/test --long."""

import json
import os
import subprocess
import sys
import unittest

import support
import test_lab
from support import mesh

sys.path.insert(0, os.path.join(mesh.ROOT, "Tools"))
MODELS = os.environ.get("TESSERA_MODELS", os.path.join(mesh.ROOT, ".build", "models"))
# Four boards that together take three quarters of a usual machine of two processors.
TOPOLOGY = """nodes:
  - name: board
    count: 4
    threads: 4
    memory_bytes: 1610612736
    operations_per_second: 5.0e10
    moved_bytes_per_second: 5.0e9
links:
  default: {bits_per_second: 1.0e9, latency_seconds: 0.0002}
entry: board-1
"""
SLOWED, PART = "board-3", 4
# What a change of speed may take, and what it must give.
SECONDS_TO_SLOWED, SECONDS_TO_RESTORED, SHARE_OF_STARTED = 10, 15, 0.85


def resnet():
    """The model's file; made if it is not there."""
    path = os.path.join(MODELS, "resnet50.onnx")
    if not os.path.exists(path):
        os.makedirs(MODELS, exist_ok=True)
        subprocess.run([os.path.join(mesh.ROOT, "Tools", "models", "make"), "resnet50", "--output",
                        path], check=True)
    return path


@unittest.skipUnless(os.environ.get("TESSERA_LONG") == "yes", "only with --long")
@unittest.skipIf(test_lab.obstacle(), test_lab.obstacle())
class Drift(support.Case):
    """Property 5 of failover: a quota cut to a quarter, and restored."""

    def lab(self, name):
        """A lab of the boards, which is gone at the end."""
        from laboratory.lab import Lab
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(TOPOLOGY)
        os.environ["TESSERA_PROGRAM"] = os.path.abspath(mesh.TESSERA)
        lab = Lab(f"{name}-{os.getpid()}")
        self.addCleanup(lambda: Lab(lab.name).down())
        lab.up(self.file)
        return lab

    def setUp(self):
        self.file = os.path.join(
            self.enterContext(mesh.tempfile.TemporaryDirectory()), "mesh.yaml")

    def drift(self, *flags):
        """Both ways of getting to a slow board, with the figures asked for."""
        from laboratory import drift
        from laboratory.lab import Lab
        lab = self.lab("drift")
        seen = drift.drift(lab, resnet(), SLOWED, PART, flags=flags)
        Lab(lab.name).down()
        started = drift.started_slow(self.lab("started"), resnet(), SLOWED, PART, flags=flags)
        seen["started_slow"] = {"per_second": started}
        words = json.dumps(seen, indent=1)
        print("\n" + words, flush=True)
        self.assertEqual([], seen["lost"], words)
        for phase, most in (("slowed", SECONDS_TO_SLOWED), ("restored", SECONDS_TO_RESTORED)):
            self.assertIsNotNone(seen[phase]["moved_seconds"], words)
            self.assertLessEqual(seen[phase]["moved_seconds"], most, words)
            self.assertEqual(1, seen[phase]["plan_changes"], words)
        self.assertGreaterEqual(seen["slowed"]["per_second"], SHARE_OF_STARTED * started, words)

    def test_replicas(self):
        """Whatever plan is best: most often replicas, whose parts change."""
        self.drift()

    def test_pipeline(self):
        """A pipeline, whose stages move."""
        self.drift("--allow=single")


if __name__ == "__main__":
    unittest.main()
