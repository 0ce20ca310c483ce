"""Stages of several nodes, and plans that an operator asks for, on a real mesh."""

import os
import unittest

import support
from support import load, mesh

LONG = os.environ.get("TESSERA_LONG") == "yes"


def modes(agent, model):
    """The modes of a plan's stages."""
    plan = agent.plan(model)
    return [stage["mode"] for stage in plan["stages"]] if plan else []


def explained(agent):
    """What an agent says of a plan and why, for the message of a test that waited in vain."""
    result = mesh.run("plan", support.VIT, "--explain", "--api", agent.api, "--token-file",
                      agent.token_file)
    return "\n" + result.out + result.err


class Modes(support.Case):
    """What runs is what was asked for, and every answer is that of one agent."""

    def test_replicas(self):
        """Small model, four agents: each runs all of it. One is killed under load."""
        with mesh.Mesh("abcd") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--allow", "replicas")
            agents.await_ready(support.CNN)
            mesh.wait(30, "four replicas", lambda: len(agents["a"].plan_nodes(support.CNN)) == 4)
            self.assertEqual(["replicas"], modes(agents["b"], support.CNN))
            rate = support.capacity(agents.running) * support.SHARE_OF_CAPACITY
            work = load.Load(list(agents.agents.values()), support.CNN, support.images(),
                             support.CLIENTS, per_second=rate).start()
            mesh.wait(30, "load", lambda: work.count >= 100)
            agents["c"].kill()
            count = work.count
            mesh.wait(30, "answers after the loss", lambda: work.count >= count + 2 * rate)
            mesh.wait(30, "a plan without c", lambda: all(
                "c" not in agent.plan_nodes(support.CNN) for agent in agents.running))
            self.assert_all_right(work.stop())

    def test_rows(self):
        """Row tiles over three agents: fused from the input as far as they go, and layer by layer."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "deepthings-like")
            agents.await_ready(support.CNN)
            for mode in ("deepthings-like", "modnn-like"):
                mesh.check("model", "set", support.CNN, "--mode", mode, "--api", agents["a"].api,
                           "--token-file", agents["a"].token_file)
                mesh.wait(30, f"row tiles on three agents, {mode}", lambda: all(
                    "rows" in modes(agent, support.CNN)
                    and len(agent.plan_nodes(support.CNN)) == 3 for agent in agents.running))
                stages = agents["a"].plan(support.CNN)["stages"]
                print(f"  {mode}: " + ", ".join(
                    f"{stage['mode']} {'+'.join(stage['nodes'])} {stage['first']}-{stage['last']}"
                    for stage in stages), flush=True)
                for name in "abc":
                    logits = support.infer(agents[name], support.CNN, agents.folder)
                    self.assertEqual(support.expected(), [item.data for item in logits.items()])

    def test_branches(self):
        """Branches of one network on several agents at once. One of them is killed under load."""
        self.lose_branches(60, 3, "--mode", "lcp-like")

    # A debug build takes as long to hand a tensor over as to compute a branch of this small network:
    # whether that pays is for a release build.
    @unittest.skipUnless(LONG, "only with --long")
    def test_branches_chosen(self):
        """The same where the planner finds by itself that branches on several agents pay."""
        self.lose_branches(120, 2, "--objective", "latency", "--allow", "single,branches")

    def lose_branches(self, seconds, least, *flags):
        """Waits for branches on so many agents at least, and kills one of them under load."""
        model = support.BRANCHES
        with mesh.Mesh("abc") as agents:
            agents["a"].add(model, support.file(model), *flags)
            agents.await_ready(model)
            work = load.Load(agents.running, model, support.images(), 2).start()
            mesh.wait(seconds, "branches on several agents", lambda: all(
                "branches" in modes(agent, model) and len(agent.plan_nodes(model)) >= least
                for agent in agents.running))
            count = work.count
            mesh.wait(30, "answers under it", lambda: work.count >= count + 50)
            victim = next(name for name in agents["a"].plan_nodes(model) if name != "a")
            agents[victim].kill()
            count = work.count
            mesh.wait(30, "answers after the loss", lambda: work.count >= count + 50)
            mesh.wait(30, f"a plan without {victim}", lambda: all(
                victim not in agent.plan_nodes(model) for agent in agents.running))
            self.assert_all_right(work.stop(), model)

    def test_set(self):
        """The operator changes the mode of a model under load; nothing is lost meanwhile."""
        with mesh.Mesh("abc") as agents:
            agents["a"].add(support.VIT, support.file(support.VIT), "--mode", "local")
            agents.await_ready(support.VIT)
            self.assertEqual(1, len(agents["a"].plan_nodes(support.VIT)))
            work = load.Load(agents.running, support.VIT, support.images(), 4).start()
            mesh.wait(30, "load", lambda: work.count >= 20)
            # What the best plan is depends on what was measured; that it uses more than one node
            # does not.
            for flags, counts, allowed in (
                    (("--mode", "best", "--allow", "replicas"), (2, 3), {"single", "replicas"}),
                    (("--mode", "even"), (3,), {"single"}),
                    (("--mode", "local"), (1,), {"single"})):
                mesh.check("model", "set", support.VIT, *flags, "--api", agents["b"].api,
                           "--token-file", agents["b"].token_file)
                mesh.wait(30, lambda: f"{counts} nodes after {flags}:" + explained(agents["b"]),
                          lambda: all(len(agent.plan_nodes(support.VIT)) in counts
                                      and set(modes(agent, support.VIT)) <= allowed
                                      for agent in agents.running))
                answered = work.count
                mesh.wait(30, "answers under it", lambda: work.count >= answered + 20)
            self.assert_all_right(work.stop(), support.VIT)

    def test_energy(self):
        """Of two agents that say what they draw the frugal one computes, and joules are shown."""
        with mesh.Mesh("") as agents:
            counters = os.path.join(agents.folder, "powercap")
            zone = os.path.join(counters, "intel-rapl:0")
            os.makedirs(zone)

            def count(joules):
                for name, text in (("name", "package-0"), ("max_energy_range_uj", "262143328850"),
                                   ("energy_uj", str(int(joules * 1e6)))):
                    path = os.path.join(zone, name)
                    with open(path + ".new", "w", encoding="utf-8") as file:
                        file.write(text + "\n")
                    # Whole, so that the agent never reads an empty file.
                    os.rename(path + ".new", path)

            count(1)
            for name, watts in (("a", 40), ("b", 4)):
                agents.make(name, power_watts=watts).environment = {
                    "TESSERA_TEST_POWERCAP": counters if name == "b" else agents.folder}
                agents[name].start().await_ready()
            agents.await_members()
            agents["a"].add(support.CNN, support.file(support.CNN), "--objective", "energy")
            agents.await_ready(support.CNN)
            mesh.wait(30, "a plan on the frugal agent", lambda: all(
                agent.plan_nodes(support.CNN) == ["b"] for agent in agents.running))
            plan = agents["a"].plan(support.CNN)
            energy = plan["energy"]
            self.assertEqual(("modelled", []), (energy["basis"], energy["unknownNodes"]))
            # 4 W for what b is expected to compute, and something for handing over.
            computing = 4 * (plan["stages"][0]["predictedMicroseconds"] - 1) / 1e6
            self.assertGreaterEqual(energy["joulesPerItem"], computing)
            self.assertLess(energy["joulesPerItem"], 40)
            self.assertIn("no energy counter", energy["counter"])
            shown = self.show(agents["a"])
            self.assertIn("per item beyond idle, modelled from the nodes' powers", shown)
            self.assertIn("not measured", shown)
            watts = {member["name"]: member["powerWatts"]
                     for member in agents["a"].get("/tessera/v1/members")["members"]}
            self.assertEqual({"a": 40, "b": 4}, watts)
            metrics = self.metrics(agents["b"])
            self.assertEqual("4", metrics["tessera_node_power_watts"])
            self.assertGreater(
                float(metrics[f'tessera_plan_predicted_energy_joules{{model="{support.CNN}"}}']), 0)
            self.measure(agents, count)

    def measure(self, agents, count):
        """What b's counter counted stands beside what is modelled."""
        name = 'tessera_processor_energy_joules_total{zone="package-0"}'
        self.assertIn(name, self.metrics(agents["b"]))
        self.assertNotIn(name, self.metrics(agents["a"]))
        for _ in range(5):
            logits = support.infer(agents["a"], support.CNN, agents.folder)
            self.assertEqual(support.expected(), [item.data for item in logits.items()])
        count(11)
        mesh.wait(10, "10 J", lambda: self.metrics(agents["b"])[name] == "10")

        def measured():
            return agents["b"].plan(support.CNN)["energy"].get("measured")
        mesh.wait(10, "what was measured", lambda: (measured() or {}).get("joules") == 10)
        found = measured()
        self.assertEqual("b", found["node"])
        self.assertAlmostEqual(found["joulesPerItem"], 10 / found["items"])
        self.assertIn("per item measured on b", self.show(agents["b"]))

    def show(self, agent):
        """What `tessera plan` prints."""
        return mesh.check("plan", support.CNN, "--api", agent.api, "--token-file",
                          agent.token_file).out

    def metrics(self, agent):
        """The values of an agent's metrics, as text, by name and labels."""
        client = agent.client(timeout=10)
        try:
            body = client.call("GET", "/metrics")[2]
        finally:
            client.close()
        lines = body.decode("utf-8").splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    def test_bad_settings(self):
        """Settings that make no sense are refused with the reason."""
        with mesh.Mesh("a") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            common = ("--api", agents["a"].api, "--token-file", agents["a"].token_file)
            for flags, word in ((("--mode", "fastest"), "no baseline"),
                                (("--allow", "single,columns"), "no stage mode"),
                                (("--objective", "beauty"), "no objective"),
                                (("--max-latency", "soon"), "not a time"),
                                (("--max-energy", "5"), "not an energy"),
                                (("--memory-headroom", "120%"), "not a percentage"),
                                ((), "what to change")):
                result = mesh.run("model", "set", support.CNN, *flags, *common)
                self.assert_fails(result, result.code or 1, word)
            result = mesh.run("model", "set", "nobody", "--mode", "even", *common)
            self.assert_fails(result, result.code or 1, "has no model nobody")


if __name__ == "__main__":
    unittest.main()
