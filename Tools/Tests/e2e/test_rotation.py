"""A mesh exchanges its secret while it runs."""

import os
import shutil
import signal
import unittest

import support
from support import load, mesh

SECONDS = 30


class Rotation(support.Case):
    """Each agent has a file of its own, as on devices of their own."""

    def device(self, agents, name, secret=None, **flags):
        """An agent with its own file; with a copy of the mesh's secret, unless told otherwise."""
        path = os.path.join(agents.folder, name + ".secret")
        if secret is None:
            shutil.copy(agents.secret, path)
        else:
            mesh.check("mesh", "join", "--secret-file", path, text=secret)
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
        agent = agents.make(name, secret_file=path, **flags)
        agent.secret = path
        return agent.start().await_ready()

    def read(self, agent):
        """The text of its file."""
        with open(agent.secret, encoding="ascii") as file:
            return file.read()

    def step(self, agent, *command, text=""):
        """One step on one device; waits until its agent has taken the secrets."""
        def taken():
            with open(agent.log, encoding="utf-8", errors="replace") as file:
                return sum("uses=" in line for line in file)
        before = taken()
        mesh.check("mesh", *command, "--secret-file", agent.secret, text=text)
        if agent.name == "b":
            agent.process.send_signal(signal.SIGHUP)
        mesh.wait(SECONDS, f"{agent.name} takes its secrets", lambda: taken() > before)

    def exchange(self, agents, until="drop"):
        """All steps, each on every agent before the next."""
        a, *others = agents.running
        self.step(a, "accept", "--new")
        for agent in others:
            self.step(agent, "accept", text=self.read(a))
        for agent in agents.running:
            self.step(agent, "use")
        for agent in agents.running:
            mesh.wait(SECONDS, f"{agent.name} heard all under the new secret", lambda: any(
                "every peer was heard" in line
                for line in agent.get("/tessera/v1/status")["health"]))
        if until == "drop":
            for agent in agents.running:
                self.step(agent, "drop")

    def test_under_load(self):
        """No request is lost, no connection ends, no plan changes; who missed it is refused."""
        with mesh.Mesh("") as agents:
            for name in "abc":
                self.device(agents, name)
            agents.await_members()
            old = self.read(agents["a"])
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_spread(support.CNN)
            rate = support.SHARE_OF_CAPACITY * support.capacity(agents.running)
            work = load.Load(agents.running, support.CNN, support.images(), 4, rate).start()
            mesh.wait(SECONDS, "answers", lambda: work.count > 20)
            plan = agents["a"].plan(support.CNN)["plan"]
            self.exchange(agents)
            new, count = self.read(agents["a"]), work.count
            mesh.wait(SECONDS, "more answers", lambda: work.count > count + 20)
            self.assert_all_right(work.stop())
            self.assertEqual(plan, agents["a"].plan(support.CNN)["plan"])
            self.assertEqual(1, len(new.split()))
            self.assertNotIn(old.strip(), new)
            for agent in agents.running:
                self.assertEqual(new, self.read(agent))
                self.assertFalse(agent.said("connection lost"), agent.tail())
            # One that was stopped meanwhile comes back with the old secret. Beacons of other secrets
            # are noise to it, so it has to know an address.
            late = self.device(agents, "d", old, seed=agents["a"].peers)
            mesh.wait(SECONDS, "a word at d", lambda: late.said(
                "no connection", "the mesh has exchanged its secret"))
            mesh.wait(SECONDS, "a word at the others", lambda: any(
                agents[name].said("connection refused", "secret") for name in "abc"))
            self.assertEqual(["d"], late.members())
            self.assertEqual(["a", "b", "c"], agents["a"].members())
            # It gets the new one without being started anew.
            self.step(late, "accept", text=new)
            self.step(late, "use")
            agents.await_members()
            self.step(late, "drop")
            agents.await_members()
            self.assert_no_secret(agents, old, new)

    def assert_no_secret(self, agents, *secrets):
        """No log and no command line has a secret."""
        for agent in agents.running:
            with open(agent.log, encoding="utf-8", errors="replace") as file:
                log = file.read()
            with open(f"/proc/{agent.process.pid}/cmdline", encoding="utf-8") as file:
                log += file.read()
            for secret in secrets:
                for line in secret.split():
                    self.assertNotIn(line.removeprefix("tessera1-"), log)

    def test_thief(self):
        """Who knows the old secret only is cut off by the last step, connected or not."""
        with mesh.Mesh("") as agents:
            for name in "ab":
                self.device(agents, name)
            agents.await_members()
            thief = agents["b"]
            a = agents["a"]
            self.step(a, "accept", "--new")
            self.step(a, "use")
            mesh.wait(SECONDS, "a names who is behind", lambda: any(
                "not heard" in line and line.endswith(": b")
                for line in a.get("/tessera/v1/status")["health"]))
            self.step(a, "drop")
            mesh.wait(SECONDS, "a is alone", lambda: a.members() == ["a"])
            mesh.wait(SECONDS, "b is told why", lambda: thief.said("exchanged its secret"))

    def test_found_by_mdns(self):
        """A new device finds a mesh by mDNS that has exchanged its secret."""
        with mesh.PrivateMulticastDNS() as environment:
            with mesh.Mesh("", discovery="mdns", environment=environment) as agents:
                for name in "ab":
                    self.device(agents, name)
                agents.await_members()
                # A newcomer with what a device has in the middle of it.
                self.exchange(agents, until="use")
                self.device(agents, "c", self.read(agents["a"]))
                agents.await_members()
                for agent in agents.running:
                    self.step(agent, "drop")
                self.device(agents, "d", self.read(agents["a"]))
                agents.await_members()

    def test_bad_file(self):
        """A file that is being written, or open to others, changes nothing and is said."""
        with mesh.Mesh("") as agents:
            a = self.device(agents, "a")
            good = self.read(a)
            with open(a.secret, "w", encoding="ascii") as file:
                file.write(good[:20])
            mesh.wait(SECONDS, "a word", lambda: a.said("was not read again", "missing"))
            with open(a.secret, "w", encoding="ascii") as file:
                file.write(good)
            self.device(agents, "b")
            agents.await_members()

    def test_wrong_order(self):
        """Steps in another order are refused, with what to do."""
        with mesh.Mesh("") as agents:
            path = os.path.join(agents.folder, "one")
            place = ("--secret-file", path)
            self.assert_fails(mesh.run("mesh", "use", *place), 1, path)
            mesh.check("mesh", "join", "--new", *place)
            self.assert_fails(mesh.run("mesh", "join", "--new", *place), 1, "remove")
            for step in ("use", "drop"):
                self.assert_fails(mesh.run("mesh", step, *place), 1, "tessera mesh accept")
            mesh.check("mesh", "accept", "--new", *place)
            self.assert_fails(mesh.run("mesh", "accept", "--new", *place), 1, "tessera mesh drop")
            self.assert_fails(mesh.run("mesh", "accept", *place, text="x"), 1, "tessera1-")
            self.assert_fails(mesh.run("mesh", "join", *place, text="a" * 5000), 1, "4096")

    def test_waits_for_secret(self):
        """An agent that was told to wait joins as soon as its secret is there."""
        with mesh.Mesh("") as agents:
            first = self.device(agents, "a")
            path = os.path.join(agents.folder, "late.secret")
            late = agents.make("late", secret_file=path)
            late.extra = ["--await-secret"]
            late.start()
            mesh.wait(SECONDS, "it waits", lambda: late.said("tessera mesh join"))
            late.process.send_signal(signal.SIGHUP)
            mesh.check("mesh", "join", "--secret-file", path, text=self.read(first))
            late.await_ready()
            agents.await_members()


if __name__ == "__main__":
    unittest.main()
