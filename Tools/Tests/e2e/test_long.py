"""Runs of many minutes: only with Tools/test --long."""

import os
import random
import time
import unittest

import support
from support import load, mesh

SECONDS = 600


@unittest.skipUnless(os.environ.get("TESSERA_LONG") == "yes", "only with --long")
class Soak(support.Case):
    """The mesh loses and regains agents again and again under load."""

    def test_losses(self):
        """No request at a living entry is lost or wrong, whoever is killed or leaves."""
        generator = random.Random(3)
        with mesh.Mesh("abcd") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            rate = support.capacity(agents.running) * support.SHARE_OF_CAPACITY / 2
            work = load.Load(list(agents.agents.values()), support.CNN, support.images(),
                             support.CLIENTS, per_second=rate).start()
            end = time.monotonic() + SECONDS
            losses = 0
            while time.monotonic() < end:
                victim = generator.choice(agents.running)
                victim.kill()
                losses += 1
                agents.await_members()
                count = work.count
                mesh.wait(30, "answers", lambda: work.count >= count + 2 * rate)
                victim.start().await_ready()
                agents.await_members()
                mesh.wait(60, f"{victim.name} serves again",
                          lambda: victim.is_ready(support.CNN))
            records = work.stop()
            print(f"  {losses} losses, {len(records)} requests", flush=True)
            self.assert_all_right(records)


if __name__ == "__main__":
    unittest.main()
