"""The example of a camera, against a live mesh."""

import json
import os
import subprocess
import sys
import unittest

import support
from support import mesh

CAMERA = os.path.join(mesh.ROOT, "Docs", "Examples", "camera.py")
FRAMES = 250


class Camera(support.Case):
    """Frames go in at a steady rate while agents come to harm."""

    def start(self, *flags):
        """Starts the example."""
        process = subprocess.Popen(
            [sys.executable, CAMERA, "--json", "--rate", "25", "--frames", str(FRAMES), *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def finish(self, process):
        """What the example counted and saw."""
        out, err = process.communicate(timeout=60)
        self.assertEqual(0, process.returncode, err)
        seen = json.loads(out.splitlines()[-1])
        # Every frame has come to exactly one end, and answers are in the order of the frames.
        self.assertEqual(FRAMES, seen["frames"])
        self.assertEqual(FRAMES, seen["answered"] + seen["dropped"] + seen["lost"], seen)
        numbers = [one["frame"] for one in seen["seen"]]
        self.assertEqual(sorted(set(numbers)), numbers)
        self.assertGreater(seen["right"], 0.9 * seen["answered"])
        return seen, err

    def test_losses(self):
        """A host dies without a lost frame; then the entry dies, and another agent goes on."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_spread(support.CNN)
            process = self.start("--server", agents["a"].grpc, "--server", agents["b"].grpc)

            def answers(count):
                if process.poll() is not None:
                    raise mesh.Failed(f"the example ended: {process.stderr.read()}")
                status = agents["a"].get("/tessera/v1/status")
                return status and status["counters"]["requestsAnswered"] >= count
            mesh.wait(30, "the first answers", lambda: answers(20))
            agents["c"].kill()
            mesh.wait(30, "answers after the loss", lambda: answers(60))
            agents["a"].kill()
            seen, err = self.finish(process)
            self.assertIn("asking another agent", err)
            # At most what was under way at the entry when it died, and what it took to notice.
            self.assertLessEqual(seen["lost"], 24, err)
            self.assertGreater(seen["seen"][-1]["frame"], FRAMES - 30)


if __name__ == "__main__":
    unittest.main()
