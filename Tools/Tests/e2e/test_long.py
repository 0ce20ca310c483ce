"""Runs of many minutes: only with Tools/test --long."""

import os
import random
import signal
import time
import unittest

import support
from support import load, mesh

EVENTS = int(os.environ.get("TESSERA_CHURN_EVENTS", 200))
SECONDS_PER_EVENT = 6


class Churn:
    """Agents that are killed, stopped, told to leave and started again under load.

    A stopped process is no living entry: what waits at it waits until it goes on. So the requests
    that met a stop are told apart from those at living entries."""

    def __init__(self, agents, work, rate, seed):
        self.agents, self.work, self.rate = agents, work, rate
        self.random = random.Random(seed)
        self.down, self.stops, self.counts = [], [], {}

    def run(self, events, down_max):
        """So many events, at most so many agents down at a time."""
        for _ in range(events):
            begin = time.monotonic()
            # As often up as down, where both can be.
            if self.down and (len(self.down) == down_max or self.random.random() < 0.5):
                self.bring_back(self.random.choice(self.down))
            else:
                self.take_away(self.random.choice(
                    [agent for agent in self.agents.running if agent not in self.down]))
            answered = self.work.count
            mesh.wait(60, f"answers after {self.counts}",
                      lambda: self.work.count >= answered + 2 * self.rate)
            # Not a wait for the mesh: the events are spread over the time that is asked for.
            time.sleep(max(0, begin + SECONDS_PER_EVENT - time.monotonic()))
        for agent in list(self.down):
            self.bring_back(agent)
        self.agents.await_members(60)

    def note(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def take_away(self, agent):
        kind = self.random.choice(["killed", "stopped", "left", "restarted"])
        self.note(kind)
        self.down.append(agent)
        if kind == "stopped":
            agent.is_away = True
            self.stops.append([agent.name, time.monotonic(), None])
            agent.process.send_signal(signal.SIGSTOP)
        elif kind == "left":
            code, _ = agent.leave()
            assert code == 0, f"{agent.name} left with {code}"
        else:
            agent.kill()
        agent.is_away = True
        if kind == "restarted":
            # Within a probe period: nobody has time to miss it.
            self.bring_back(agent)

    def bring_back(self, agent):
        if agent.runs:
            agent.process.send_signal(signal.SIGCONT)
            stop = next(stop for stop in self.stops if stop[0] == agent.name and stop[2] is None)
            stop[2] = time.monotonic()
            self.note("went on")
        else:
            agent.start().await_ready()
            self.note("started")
        mesh.wait(60, f"{agent.name} serves again", lambda: agent.is_ready(support.CNN))
        agent.is_away = False
        self.down.remove(agent)

    def met_a_stop(self, record):
        """Whether a request was at an entry while that was stopped."""
        return any(name == record.entry and record.sent <= (end or record.ended)
                   and record.ended >= begin for name, begin, end in self.stops)


@unittest.skipUnless(os.environ.get("TESSERA_LONG") == "yes", "only with --long")
class Soak(support.Case):
    """Property 2 of failover: whatever goes and comes, no accepted request is lost or wrong."""

    DEADLINE_SECONDS = 30

    def churn(self, down_max, refusals_allowed):
        seed = int(os.environ.get("TESSERA_CHURN_SEED", time.time()))
        print(f"\n  seed {seed} (TESSERA_CHURN_SEED)", flush=True)
        with mesh.Mesh("abcde") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--copies", "5")
            agents.await_ready(support.CNN)
            rate = support.capacity(agents.running) * support.SHARE_OF_CAPACITY
            work = load.Load(list(agents.agents.values()), support.CNN, support.images(),
                             support.CLIENTS, per_second=rate).start()
            churn = Churn(agents, work, rate, seed)
            churn.run(EVENTS // 2, down_max)
            records = work.stop()
            living = [record for record in records if not churn.met_a_stop(record)]
            refused = [record for record in living if record.status in (429, 503)]
            late = [record for record in living
                    if record.ended - record.sent > self.DEADLINE_SECONDS]
            print(f"  {churn.counts}: {len(records)} requests at {rate:.0f}/s, "
                  f"{len(records) - len(living)} at a stopped entry, {len(refused)} refused",
                  flush=True)
            self.assertEqual([], [record.error for record in late])
            if refusals_allowed:
                living = [record for record in living if record not in refused]
            else:
                self.assertEqual([], [record.error for record in refused][:5])
            self.assert_all_right(living)

    def test_one_down(self):
        """Killed, stopped, told to leave and started again, one at a time: nothing is refused."""
        self.churn(down_max=1, refusals_allowed=False)

    def test_two_down(self):
        """The same with up to two at a time; refusals are counted."""
        self.churn(down_max=2, refusals_allowed=True)


if __name__ == "__main__":
    unittest.main()
