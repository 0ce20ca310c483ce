"""A network that falls into two parts, and is whole again."""

import copy
import os
import sys
import time
import unittest

import support
from support import load, mesh
from test_lab import CORE, obstacle

sys.path.insert(0, os.path.join(mesh.ROOT, "Tools"))

from laboratory import lab as laboratory  # noqa: E402

LONG = os.environ.get("TESSERA_LONG") == "yes"
NAME = f"partition-{os.getpid()}"
TOPOLOGY = """nodes:
  - name: board
    count: 5
    threads: 4
    memory_bytes: 268435456
    operations_per_second: 5.0e10
    moved_bytes_per_second: 3.0e9
links:
  default: {bits_per_second: 1.0e9, latency_seconds: 0.0002}
entry: board-1
"""
BOARDS = [f"board-{number}" for number in range(1, 6)]
SIDES = BOARDS[:3], BOARDS[3:]
SETUP_SECONDS = 90
# Both sides serve after so long, and have one plan so long after healing (issue, property 3); twice
# that in the short form, which runs beside whatever else the machine does.
SERVE_SECONDS_MAX, HEAL_SECONDS_MAX = (3, 5) if LONG else (6, 10)
APART_SECONDS = 30 if LONG else 5
ROUNDS = 5 if LONG else 1
# Requests per second at each device.
RATE = 4


def plan_name(agent):
    """The plan that an agent follows."""
    plan = agent.get(f"/tessera/v1/models/{support.CNN}/plan")
    return plan and plan["plan"]


@unittest.skipIf(obstacle(), obstacle())
class Partition(support.Case):
    """Five devices, each with the whole model on disk, cut into three and two."""

    def setUp(self):
        folder = self.enterContext(mesh.tempfile.TemporaryDirectory())
        source = os.path.join(folder, "mesh.yaml")
        with open(source, "w", encoding="utf-8") as file:
            file.write(TOPOLOGY)
        os.environ["TESSERA_PROGRAM"] = os.path.abspath(mesh.TESSERA)
        self.lab = laboratory.Lab(NAME)
        self.addCleanup(lambda: laboratory.Lab(NAME).down())
        self.lab.up(source, core_speed=float(CORE), discovery="beacon")
        self.agents = {name: self.lab.agent(name) for name in BOARDS}
        added = self.lab.execute(
            "board-1", [mesh.TESSERA, "model", "add", support.file(support.CNN), "--name",
                        support.CNN, "--copies", "5"], limited=False,
            capture_output=True, text=True)
        self.assertEqual(0, added.returncode, added.stderr)

    def test_three_and_two(self):
        """Both sides serve, the healed mesh has one plan, and no request is lost."""
        mesh.wait(SETUP_SECONDS, "every device serves", lambda: all(
            agent.get(f"/v2/models/{support.CNN}/ready", text=True) is not None
            for agent in self.agents.values()))
        loads = {name: load.Load([agent], support.CNN, support.images(), threads=2,
                                 per_second=RATE).start()
                 for name, agent in self.agents.items()}
        mesh.wait(SETUP_SECONDS, "load", lambda: all(
            work.count >= 2 * RATE for work in loads.values()))
        try:
            moments = [self.part(loads) for _ in range(ROUNDS)]
        except BaseException:
            print(self.lab.last_words(40), file=sys.stderr)
            raise
        finally:
            records = {name: work.stop() for name, work in loads.items()}
        for cut, healed, agreed in moments:
            served = {name: self.first_answer(records[name], cut) for name in BOARDS}
            print(f"  cut: served again after "
                  f"{', '.join(f'{served[name]:.2f} s' for name in BOARDS)}; healed: one plan after "
                  f"{agreed - healed:.2f} s", flush=True)
            for name, span in served.items():
                self.assertLess(span, SERVE_SECONDS_MAX, name)
            self.assertLess(agreed - healed, HEAL_SECONDS_MAX)
        for name in BOARDS:
            self.assert_all_right(records[name])

    @staticmethod
    def first_answer(records, after):
        """How long after a moment the first request that was sent after it was answered."""
        return min((record.ended for record in records
                    if record.error is None and record.sent > after), default=1e9) - after

    def part(self, loads):
        """Cuts and heals; gives when it was cut, when it was healed, and when there was one plan."""
        faults = copy.deepcopy(self.lab.faults)
        for one in SIDES[0]:
            for other in SIDES[1]:
                faults.cut(self.lab.index(one), self.lab.index(other))
        cut = time.monotonic()
        self.lab.set_faults(faults)
        for side in SIDES:
            mesh.wait(30, f"{side} see each other alone", lambda: all(
                self.agents[name].members() == side for name in side))
        time.sleep(max(0, cut + APART_SECONDS - time.monotonic()))
        before = {name: plan_name(agent) for name, agent in self.agents.items()}
        healed = time.monotonic()
        self.lab.set_faults(type(faults)())
        agreed = mesh.wait(30, "one plan", lambda: self.one_plan() and time.monotonic())
        mesh.wait(30, "five members", lambda: all(
            agent.members() == BOARDS for agent in self.agents.values()))
        self.assertEqual(2, len(set(before.values())), before)
        answered = {name: work.count for name, work in loads.items()}
        mesh.wait(30, "answers after it", lambda: all(
            work.count >= answered[name] + 2 * RATE for name, work in loads.items()))
        # Improvements may have followed; they reach the entries one after the other.
        mesh.wait(10, "one plan again", self.one_plan)
        return cut, healed, agreed

    def one_plan(self):
        names = {plan_name(agent) for agent in self.agents.values()}
        return len(names) == 1 and None not in names


if __name__ == "__main__":
    unittest.main()
