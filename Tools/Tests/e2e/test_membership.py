"""Properties 3, 6 and 7, and who may join."""

import os
import time
import unittest

import support
from support import load, mesh

JOIN_SECONDS_MAX = 10
# So long two meshes must not have seen each other: several rounds of every kind of discovery.
STRANGERS_SECONDS = 4


def pids(agents):
    """Who runs as which process."""
    return {agent.name: agent.process.pid for agent in agents.running}


class Membership(support.Case):
    """Who is in the mesh, and what that changes."""

    def test_new_agent_is_used(self):
        """A new agent has a part of the plan within 10 s of its start, with nobody telling anyone.

        Whether a third agent is worth its links depends on the machine; so each gets a part."""
        with mesh.Mesh("ab") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            agents.await_ready(support.CNN)
            work = load.Load(agents.running, support.CNN, support.images(), 2,
                             per_second=20).start()
            mesh.wait(20, "load", lambda: work.count >= 20)
            begin = time.monotonic()
            agents.make("c").start().await_ready()
            mesh.wait(JOIN_SECONDS_MAX, "c has a part of the plan",
                      lambda: "c" in agents["a"].plan_nodes(support.CNN))
            print(f"  used after {time.monotonic() - begin:.1f} s", flush=True)
            mesh.wait(20, "c serves", lambda: agents["c"].is_ready(support.CNN))
            self.assert_all_right(work.stop())

    def test_leaving(self):
        """SIGTERM: others take over, no request fails, gone within 30 s with exit code 0."""
        with mesh.Mesh("abcd") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            rate = support.capacity(agents.running) * support.SHARE_OF_CAPACITY
            leaver = agents["b"].plan_nodes(support.CNN)[-1]
            entries = [agent for agent in agents.running if agent.name != leaver]
            work = load.Load(entries, support.CNN, support.images(), support.CLIENTS,
                             per_second=rate).start()
            mesh.wait(30, "load", lambda: work.count >= 100)
            code, seconds = agents[leaver].leave()
            print(f"  left after {seconds:.1f} s", flush=True)
            count = work.count
            mesh.wait(30, "answers after it", lambda: work.count >= count + rate)
            self.assert_all_right(work.stop())
            self.assertEqual(0, code)
            for agent in agents.running:
                self.assertNotIn(leaver, agent.plan_nodes(support.CNN))
                self.assertNotIn(leaver, agent.members())

    def test_leaving_entry(self):
        """An agent that leaves ends what it took on, and says that it takes no more."""
        with mesh.Mesh("ab") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            work = load.Load(agents.running, support.CNN, support.images(), 4,
                             per_second=40).start()
            mesh.wait(30, "load", lambda: work.count >= 50)
            code, _ = agents["b"].leave()
            count = work.count
            mesh.wait(30, "answers after it", lambda: work.count >= count + 40)
            records = work.stop()
            # A client that asks a leaving agent is told so (503), and asks another one.
            told = [record for record in load.lost(records) if "503" in record.error]
            self.assertEqual([], [record.error for record in load.lost(records)
                                  if record not in told])
            self.assertEqual([], load.wrong(records, support.expected()))
            self.assertEqual(0, code)

    def test_second_signal(self):
        """A second signal ends an agent at once."""
        with mesh.Mesh("ab") as agents:
            process = agents["b"].process
            process.terminate()
            process.terminate()
            process.wait(mesh.LEAVE_SECONDS)
            agents["b"]._ended()
            agents.await_members()

    def test_restart(self):
        """Agents that start again on their folders keep identity, models and blobs."""
        with mesh.Mesh("ab") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            before = {agent.name: agent.id for agent in agents.running}
            for agent in list(agents.running):
                agent.leave()
            for agent in agents.agents.values():
                agent.start()
            for agent in agents.agents.values():
                agent.await_ready()
            agents.await_members()
            self.assertEqual(before, {agent.name: agent.id for agent in agents.running})
            agents.await_ready(support.CNN)
            for agent in agents.running:
                boots = {member["name"]: member["boot"]
                         for member in agent.get("/tessera/v1/members")["members"]}
                self.assertEqual({"a": 2, "b": 2}, boots)
            logits = support.infer(agents["b"], support.CNN, agents.folder)
            self.assertEqual(support.expected(), [item.data for item in logits.items()])

    def test_restart_after_kill(self):
        """The same after SIGKILL, while the others go on."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            identity = agents["c"].id
            agents["c"].kill()
            agents.await_members()
            agents["c"].start().await_ready()
            self.assertEqual(identity, agents["c"].id)
            agents.await_members()
            mesh.wait(30, "c serves again", lambda: agents["c"].is_ready(support.CNN))
            self.assertEqual(["a", "b", "c"], agents["a"].members())

    def hold_apart(self, *meshes):
        """Watches for a while that nobody sees a member of another mesh."""
        end = time.monotonic() + STRANGERS_SECONDS
        while time.monotonic() < end:
            for one in meshes:
                names = sorted(agent.name for agent in one.running)
                for agent in one.running:
                    for status in ("alive", "suspect", "dead"):
                        self.assertLessEqual(set(agent.members(status)), set(names))
            time.sleep(0.2)
        for one in meshes:
            one.await_members()

    def test_two_meshes(self):
        """Two meshes with different names on one network do not see each other, not even with one
        secret."""
        with mesh.Mesh("ab", name="one") as one:
            with mesh.Mesh("cd", name="two", **{"secret_file": one.secret}) as two:
                self.hold_apart(one, two)

    def test_wrong_secret(self):
        """An agent with another secret does not get in, even if it knows where to knock."""
        with mesh.Mesh("ab", name="one") as one:
            seeds = [agent.peers for agent in one.running]
            with mesh.Mesh("c", name="one", seed=seeds) as other:
                self.hold_apart(one, other)

    def test_seeds(self):
        """Without multicast one seed is enough for all to find each other."""
        with mesh.Mesh("a", discovery="none") as agents:
            for name in "bc":
                agents.make(name, seed=agents["a"].peers).start()
            for name in "bc":
                agents[name].await_ready()
            agents.await_members()

    def test_multicast_dns(self):
        """Agents find each other by mDNS."""
        with mesh.PrivateMulticastDNS() as environment:
            with mesh.Mesh("abc", discovery="mdns", environment=environment) as agents:
                status = mesh.check("status", "--json", "--api", agents["a"].api).json()
                self.assertIn("mDNS", status["discovery"])

    def test_auto_without_daemon(self):
        """With --discovery auto and no Avahi daemon the beacon finds peers."""
        nowhere = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"}
        with mesh.Mesh("ab", discovery="auto", environment=nowhere):
            pass


class Memory(support.Case):
    """Property 4: models larger than one agent."""

    LITTLE = "4M"

    def test_several_hold_it(self):
        """A model that no agent can hold alone runs on several."""
        with mesh.Mesh("abcd", memory=self.LITTLE) as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            self.assertGreater(len(agents["a"].plan_nodes(support.CNN)), 1)
            logits = support.infer(agents["c"], support.CNN, agents.folder)
            self.assertEqual(support.expected(), [item.data for item in logits.items()])

    def test_all_together_cannot_hold_it(self):
        """If all together cannot hold it, the reason says what is needed and what is there."""
        with mesh.Mesh("a", memory=self.LITTLE) as agents:
            result = mesh.run(
                "model", "add", support.file(support.CNN), "--name", support.CNN, "--wait", 5,
                "--api", agents["a"].api, "--token-file", agents["a"].token_file)
            self.assert_fails(result, 1, "not ready", "bytes")
            client = agents["a"].client()
            with self.assertRaises(support.kserve.Refused) as refusal:
                client.infer(support.CNN, {"image": support.images()[0]})
            client.close()
            self.assertEqual(503, refusal.exception.status)
            # A second agent makes room, with nobody telling anyone.
            for name in "bcd":
                agents.make(name).start()
            for name in "bcd":
                agents[name].await_ready()
            agents.await_ready(support.CNN)


if __name__ == "__main__":
    unittest.main()
