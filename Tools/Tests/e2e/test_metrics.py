"""What monitoring reads: metrics in Prometheus's format, and the dashboard that shows them."""

import json
import os
import re
import unittest

import support
from support import mesh

DASHBOARD = os.path.join(mesh.ROOT, "Docs", "grafana-dashboard.json")
NAME = re.compile(r"\b(?:tessera|process)_[a-z0-9_]+")
# What there is only once something went wrong or has had time to be measured.
LATER = {"tessera_limit_reached_total", "tessera_link_rate_bytes_per_second",
         "tessera_plan_predicted_energy_joules", "tessera_processor_energy_joules_total",
         "tessera_node_power_watts", "tessera_trace_spans_total"} | {
             f"tessera_{name}_total" for name in (
                 "codec_slices", "codec_plain_bytes", "codec_packed_bytes", "codec_seconds",
                 "exit_answers", "api_calls_refused", "api_limit_reached")}


def in_source():
    """The names of metrics that stand in the sources as such."""
    source = os.path.join(mesh.ROOT, "Sources", "TesseraAPI", "Metrics")
    text = "".join(open(os.path.join(source, name), encoding="utf-8").read()
                   for name in sorted(os.listdir(source)))
    return set(re.findall(r'"((?:tessera|process)_[a-z0-9_]+)"', text))


class Metrics(support.Case):
    """Two agents that share a model, after some requests."""

    @classmethod
    def setUpClass(cls):
        """One mesh for all."""
        cls.agents = mesh.Mesh("ab").__enter__()
        try:
            cls.agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            cls.agents.await_spread(support.CNN)
            support.infer(cls.agents["a"], support.CNN, cls.agents.folder)
            cls.count = len(support.images())
        except BaseException:
            cls.agents.__exit__(None)
            raise

    @classmethod
    def tearDownClass(cls):
        """Ends it."""
        cls.agents.__exit__(None)

    @staticmethod
    def text(agent):
        """What an agent answers at /metrics."""
        client = agent.client()
        try:
            status, headers, body = client.call("GET", "/metrics")
        finally:
            client.close()
        assert status == 200, body
        kind = {name.lower(): value for name, value in dict(headers).items()}["content-type"]
        assert kind.startswith("text/plain; version=0.0.4"), kind
        return body.decode()

    @classmethod
    def families(cls, agent):
        """The same, read by the parser of Prometheus's own Python client."""
        from prometheus_client.parser import text_string_to_metric_families
        return list(text_string_to_metric_families(cls.text(agent)))

    @classmethod
    def samples(cls, agent):
        """Values by name and labels."""
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in cls.families(agent) for sample in family.samples}

    def value(self, samples, name, **labels):
        """One value."""
        return samples[(name, tuple(sorted(labels.items())))]

    def test_figures(self):
        """Figures are those of what was done."""
        samples = self.samples(self.agents["a"])
        model = support.CNN
        self.assertEqual(self.count, self.value(
            samples, "tessera_requests_total", model=model, outcome="answered"))
        self.assertEqual(self.count, self.value(
            samples, "tessera_request_duration_seconds_count", model=model))
        self.assertEqual(self.count, self.value(
            samples, "tessera_request_duration_seconds_bucket", model=model, le="+Inf"))
        self.assertEqual(2, self.value(samples, "tessera_members", state="alive"))
        self.assertEqual(1, self.value(samples, "tessera_model_ready", model=model))
        self.assertEqual(2, self.value(samples, "tessera_plan_nodes", model=model))
        self.assertGreaterEqual(self.value(samples, "tessera_attempts_total"), self.count)
        self.assertGreater(self.value(samples, "tessera_plan_changes_total", model=model), 0)
        self.assertEqual(0, self.value(samples, "tessera_open_requests"))
        self.assertGreater(self.value(samples, "tessera_memory_reserved_bytes"), 0)
        self.assertEqual(512 << 20, self.value(samples, "tessera_memory_budget_bytes"))
        self.assertGreater(self.value(samples, "process_open_fds"), 3)
        peer = {"peer": "b", "node": self.agents["b"].id[:8]}
        self.assertEqual(1, self.value(samples, "tessera_link_up", **peer))
        image = len(support.images()[0].data)
        self.assertGreater(
            self.value(samples, "tessera_link_sent_bytes_total", **peer)
            + self.value(samples, "tessera_link_received_bytes_total", **peer), image)
        for agent in self.agents.running:
            runs = {labels: value for (name, labels), value in self.samples(agent).items()
                    if name == "tessera_fragment_run_seconds_count"}
            self.assertGreaterEqual(max(runs.values()), self.count, agent.name)

    def test_form(self):
        """Every family has help and type, every counter is named as one, and none comes twice."""
        families = self.families(self.agents["b"])
        names = [family.name for family in families]
        self.assertEqual(len(set(names)), len(names))
        for family in families:
            self.assertNotEqual("", family.documentation, family.name)
            self.assertNotEqual("unknown", family.type, family.name)
            seen = [(sample.name, tuple(sorted(sample.labels.items())))
                    for sample in family.samples]
            self.assertEqual(len(set(seen)), len(seen), family.name)

    def test_dashboard(self):
        """Every query of the dashboard asks for something that an agent tells."""
        with open(DASHBOARD, encoding="utf-8") as file:
            dashboard = json.load(file)
        known = {name for name, _ in self.samples(self.agents["a"])}
        places = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            self.assertNotIn((place["x"], place["y"]), places)
            places.add((place["x"], place["y"]))
            for target in panel["targets"]:
                names = NAME.findall(target["expr"])
                self.assertTrue(names, panel["title"])
                self.assertEqual(set(), set(names) - known - LATER, panel["title"])
        # The names that come only later are those of this build, too.
        for name in sorted(LATER):
            self.assertIn(name, in_source())

    def test_dashboard_is_whole(self):
        """Everything that an agent tells, or can tell, is somewhere in the dashboard."""
        with open(DASHBOARD, encoding="utf-8") as file:
            shown = {re.sub("_(?:sum|count|bucket)$", "", name) for name in NAME.findall(file.read())}
        told = {re.sub("_(?:sum|count|bucket)$", "", name)
                for name, _ in self.samples(self.agents["a"])}
        self.assertEqual(set(), (told | in_source()) - shown)


if __name__ == "__main__":
    unittest.main()
