"""Hours in small: agents under good and hostile clients while some of them restart. Only with
Tools/test --long; TESSERA_SOAK_MINUTES makes it shorter."""

import os
import random
import statistics
import threading
import time
import unittest

import support
from support import load, mesh

import hostile  # found by the path that `support` makes

MINUTES = float(os.environ.get("TESSERA_SOAK_MINUTES", 30))
# The agents that restart have other figures after it: memory is compared for those that stay.
STAYING, RESTARTING = "abc", "de"
GOOD_PER_SECOND = 20
# What a mesh may take more in its last third than in its middle one: the allocator keeps pages, and
# tables (events, traffic, dead runs of restarted nodes) fill up to their limits.
GROWTH_SHARE = 0.05
GROWTH_KIB = 4 * 1024
# Connections come and go: in the middle of a flood some dozens. When all hostile clients have gone, so
# have their connections; a leak of one for each of thousands of them is far more than either.
GROWTH_FILES_UNDER_ATTACK = 60
GROWTH_FILES = 8
SETTLE_SECONDS = 60
SAMPLE_SECONDS = 2
RESTART_SECONDS = 40


def memory_kib(process):
    """The memory that is this process's share, in KiB."""
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise AssertionError("no Pss in smaps_rollup")


def files(process):
    """How many files and sockets it has open."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))


class Samples:
    """Memory and open files of processes, over time, in thirds of the run."""

    def __init__(self, agents):
        self.agents, self.taken = agents, {agent.name: [] for agent in agents}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self):
        """Begins."""
        self._thread.start()
        return self

    def stop(self):
        """Ends; what was taken stays."""
        self._stop.set()
        self._thread.join()

    def _work(self):
        while not self._stop.wait(SAMPLE_SECONDS):
            for agent in self.agents:
                self.taken[agent.name].append((memory_kib(agent.process), files(agent.process)))

    def medians(self, name, what):
        """The medians of the middle and of the last third; `what` is 0 for memory, 1 for files."""
        values = [sample[what] for sample in self.taken[name]]
        third = len(values) // 3
        return statistics.median(values[third:2 * third]), statistics.median(values[-third:])

    def series(self, name, points=12):
        """Memory in MiB and open files at some moments of the run."""
        taken = self.taken[name]
        step = max(1, len(taken) // points)
        return " ".join(f"{memory // 1024}/{count}" for memory, count in taken[::step])


@unittest.skipUnless(os.environ.get("TESSERA_LONG") == "yes", "only with --long")
class Soak(support.Case):
    """A mesh that is left on: nothing leaks, and no good request is lost."""

    def test_mixed_clients(self):
        """Good and hostile clients, restarts: memory and open files stay flat, nothing is lost."""
        seed = int(os.environ.get("TESSERA_SOAK_SEED", time.time()))
        print(f"\n  seed {seed} (TESSERA_SOAK_SEED), {MINUTES} minutes", flush=True)
        with mesh.Mesh(STAYING + RESTARTING) as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--copies", "5")
            agents.await_ready(support.CNN)
            everyone = list(agents.agents.values())
            staying = [agents[name] for name in STAYING]
            work = load.Load(everyone, support.CNN, support.images(), support.CLIENTS,
                             per_second=GOOD_PER_SECOND).start()
            # Each good client then has its connection to each agent.
            mesh.wait(120, "the first answers",
                      lambda: work.count >= 2 * support.CLIENTS * len(everyone))
            before = {agent.name: files(agent.process) for agent in staying}
            enemies = hostile.Enemies(staying, support.CNN, support.images()[0], seed).start()
            samples = Samples(staying).start()
            restarts = self.churn(agents, work, random.Random(seed))
            samples.stop()
            counts = enemies.stop()
            self.assertTrue(all(agent.runs for agent in everyone))
            print(f"  {work.count} good requests, {restarts} restarts, {counts}", flush=True)
            self.judge(samples)
            mesh.wait(SETTLE_SECONDS, lambda: f"open files of before the attack, {before}; now "
                      f"{ {agent.name: files(agent.process) for agent in staying} }",
                      lambda: all(files(agent.process) <= before[agent.name] + GROWTH_FILES
                                  for agent in staying))
            records = work.stop()
            self.assert_all_right(records)
            for kind, count in counts.items():
                self.assertGreater(count, 0, f"no {kind}")

    def churn(self, agents, work, chance):
        """Restarts, one after the other, in order or by surprise, until the time is over."""
        end = time.monotonic() + 60 * MINUTES
        restarts = 0
        while time.monotonic() < end:
            # Not a wait for the mesh: restarts are spread over the time that is asked for.
            time.sleep(max(0, min(RESTART_SECONDS, end - time.monotonic())))
            agent = agents[chance.choice(RESTARTING)]
            if chance.random() < 0.5:
                agent.leave()
            else:
                agent.kill()
            agent.is_away = True
            answered = work.count
            mesh.wait(60, "answers without it", lambda: work.count >= answered + GOOD_PER_SECOND)
            agent.start().await_ready()
            mesh.wait(60, f"{agent.name} serves again", lambda: agent.is_ready(support.CNN))
            agent.is_away = False
            restarts += 1
        agents.await_members(60)
        return restarts

    def judge(self, samples):
        """Memory and files of the last third against those of the middle one."""
        wrong = []
        for name in STAYING:
            before, after = samples.medians(name, 0)
            files_before, files_after = samples.medians(name, 1)
            print("    " + samples.series(name), flush=True)
            print(f"  {name}: {before / 1024:.1f} MiB, then {after / 1024:.1f} MiB; "
                  f"{files_before:.0f} files, then {files_after:.0f}", flush=True)
            if after > before * (1 + GROWTH_SHARE) + GROWTH_KIB:
                wrong.append(f"{name} grew from {before} KiB to {after} KiB")
            if files_after > files_before + GROWTH_FILES_UNDER_ATTACK:
                wrong.append(f"{name} has {files_after} files open, and had {files_before}")
        self.assertEqual([], wrong)


if __name__ == "__main__":
    unittest.main()
