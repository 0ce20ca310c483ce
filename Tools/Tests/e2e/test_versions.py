"""Agents of several releases in one mesh."""

import os
import unittest

import support
from support import load, mesh

# Debug builds speak what they are told. A program of an older release is the better witness.
OLD_PROGRAM = os.environ.get("TESSERA_OLD_PROGRAM")
NEWEST = 3
OLD, NEW, FAR = f"1-{NEWEST - 1}", f"1-{NEWEST}", f"{NEWEST + 1}-{NEWEST + 2}"
SECONDS = 40


def is_told():
    """Whether the program takes the versions that it is told."""
    with open(mesh.TESSERA, "rb") as file:
        return b"TESSERA_TEST_PROTOCOL" in file.read()


@unittest.skipUnless(is_told(), "only debug builds can be told to speak another version")
class Versions(support.Case):
    """Version skew."""

    def make(self, agents, name, versions):
        """An agent that speaks these versions."""
        agent = agents.make(name)
        if versions == OLD and OLD_PROGRAM:
            agent.program = OLD_PROGRAM
        else:
            agent.environment = {"TESSERA_TEST_PROTOCOL": versions}
        return agent

    def test_constants(self):
        """These tests are about the protocol that there is."""
        self.assertEqual(NEWEST, mesh.check("version", "--json").json()["wireProtocol"])

    def test_one_apart(self):
        """Old and new agents share a model, whichever dialled."""
        with mesh.Mesh("") as agents:
            for name, versions in (("a", OLD), ("b", NEW), ("c", f"{NEWEST}-{NEWEST + 1}")):
                self.make(agents, name, versions)
            # Old and newest share no version, so each begins with the one in the middle.
            for others in (("a", "b"), ("b", "c")):
                for name in others:
                    agents[name].start().await_ready()
                agents.await_members()
                first = agents[others[0]]
                first.add(support.CNN, support.file(support.CNN), "--mode", "even")
                agents.await_spread(support.CNN)
                logits = support.infer(first, support.CNN, agents.folder)
                self.assertEqual(support.expected(), [item.data for item in logits.items()])
                for name in others:
                    agents[name].leave()

    def test_power(self):
        """An agent keeps its power to itself while one that does not know the figure is there."""
        with mesh.Mesh("") as agents:
            new, old = (self.make(agents, name, versions)
                        for name, versions in (("new", NEW), ("old", OLD)))
            new.flags["power-watts"] = 5

            def told(agent, field):
                document = agent.get("/tessera/v1/members") or {"members": []}
                return [member.get(field) for member in document["members"]
                        if member["name"] == "new"]
            new.start().await_ready()
            mesh.wait(SECONDS, "a power alone", lambda: told(new, "powerWatts") == [5])
            old.start().await_ready()
            agents.await_members()
            mesh.wait(SECONDS, "no power", lambda: told(new, "powerWatts") == [None])
            # What else the record says gets to the old one.
            mesh.wait(SECONDS, "the record", lambda: told(old, "threads") == [1])
            self.assertEqual([None], told(old, "powerWatts"))
            old.leave()
            mesh.wait(SECONDS, "a power again", lambda: told(new, "powerWatts") == [5])

    def test_too_far_apart(self):
        """Agents without a common version say on both sides which one is to be updated."""
        with mesh.Mesh("") as agents:
            for name, versions in (("old", NEW), ("new", FAR)):
                self.make(agents, name, versions).start().await_ready()
            for agent in agents.running:
                mesh.wait(SECONDS, f"{agent.name} says it", lambda: agent.said(
                    f"old speaks versions 1 to {NEWEST}",
                    f"new speaks versions {NEWEST + 1} to {NEWEST + 2}",
                    "update tessera on old"))
                self.assertEqual([agent.name], agent.members())

    def test_rolling_upgrade(self):
        """Five agents are drained and started as the next release, one by one, under load."""
        with mesh.Mesh("") as agents:
            for name in "abcde":
                self.make(agents, name, OLD).start()
            for agent in agents.running:
                agent.await_ready()
            agents.await_members()
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_spread(support.CNN)
            rate = support.SHARE_OF_CAPACITY * support.capacity(agents.running)
            work = load.Load(agents.running, support.CNN, support.images(), 4, rate).start()
            for name in "abcde":
                self.upgrade(agents, agents[name])
                count = work.count
                mesh.wait(SECONDS, "answers", lambda: work.count > count + 20)
            self.assert_all_right(work.stop())

    def upgrade(self, agents, agent):
        """Drains one agent and starts it as the next release."""
        if agent.program == OLD_PROGRAM:
            # It may be from before `drain`; the signal asks for the same.
            code, _ = agent.leave()
        else:
            agent.is_leaving = True
            mesh.check("drain", "--api", agent.api, "--token-file", agent.token_file)
            code = agent.process.wait(mesh.LEAVE_SECONDS)
            agent._ended()
        self.assertEqual(0, code, agent.tail())
        agent.is_away = True
        agent.program, agent.environment = mesh.TESSERA, {"TESSERA_TEST_PROTOCOL": NEW}
        agent.start().await_ready()
        agents.await_members()
        agents.await_ready(support.CNN)
        agent.is_away = False


if __name__ == "__main__":
    unittest.main()
