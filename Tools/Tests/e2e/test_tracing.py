"""Traces over several agents, and the lines of their logs."""

import json
import os
import unittest

import support
from support import mesh

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def spans(agent):
    """The spans in an agent's file; each line is a whole request for export."""
    found = []
    path = agent.trace_file
    if not os.path.exists(path):
        return found
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            for resource in json.loads(line)["resourceSpans"]:
                names = {one["key"]: one["value"]["stringValue"]
                         for one in resource["resource"]["attributes"]}
                assert names["service.name"] == "tessera", names
                assert names["service.instance.id"] == agent.name, names
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        span["agent"] = agent.name
                        span["about"] = {
                            one["key"]: next(iter(one["value"].values()))
                            for one in span["attributes"]}
                        found.append(span)
    return found


class Tracing(support.Case):
    """A model over three agents that record traces."""

    @classmethod
    def setUpClass(cls):
        """One mesh for all."""
        cls.agents = mesh.Mesh("", **{"log_format": "json", "log_level": "debug"})
        for name in "abc":
            path = os.path.join(cls.agents.folder, name + ".spans")
            cls.agents.make(name, trace_file=path).trace_file = path
        cls.agents.__enter__()
        try:
            cls.agents["a"].add(support.CNN, support.file(support.CNN), "--mode", "even")
            cls.agents.await_spread(support.CNN)
        except BaseException:
            cls.agents.__exit__(None)
            raise

    @classmethod
    def tearDownClass(cls):
        """Ends it."""
        cls.agents.__exit__(None)

    def of_trace(self, trace, requests=1):
        """All spans of a trace once those of so many requests, and all fragments, are there."""
        def complete():
            found = [span for agent in self.agents.running for span in spans(agent)
                     if span["traceId"] == trace]
            names = [span["name"] for span in found]
            enough = (names.count("request") >= requests and names.count("attempt") >= requests
                      and names.count("run") >= 3 * requests)
            return found if enough else None
        return mesh.wait(20, lambda: f"spans of {trace}", complete)

    def infer(self, agent, **headers):
        """One image over HTTP; gives the JSON of the answer."""
        body, length = self.body()
        client = agent.client()
        try:
            status, fields, answer = client.call(
                "POST", f"/v2/models/{support.CNN}/infer", body,
                {"Inference-Header-Content-Length": str(length), **headers})
        finally:
            client.close()
        self.assertEqual(200, status, answer)
        size = {name.lower(): value for name, value in dict(fields).items()}[
            "inference-header-content-length"]
        return json.loads(answer[:int(size)])

    @staticmethod
    def body():
        """An image as a binary request."""
        image = support.images()[0]
        head = json.dumps({"inputs": [{
            "name": "image", "shape": list(image.shape), "datatype": "FP32",
            "parameters": {"binary_data_size": len(image.data)}}],
            "outputs": [{"name": "logits", "parameters": {"binary_data": True}}]}).encode()
        return head + image.data, len(head)

    def assert_tree(self, found, root):
        """The spans form one tree below the root, and lie within the time of their request."""
        ids = {span["spanId"]: span for span in found}
        self.assertEqual(len(ids), len(found), "identities of spans are not unique")
        for span in found:
            steps = 0
            while span.get("parentSpanId") != root:
                self.assertIn(span.get("parentSpanId"), ids, span)
                span = ids[span["parentSpanId"]]
                steps += 1
                self.assertLess(steps, 10)
            self.assertEqual("request", span["name"])
        for span in found:
            self.assertLessEqual(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]))

    def test_client_trace(self):
        """A client's trace goes through every agent, and all spans are one tree below its span."""
        entry = self.agents["b"]
        self.infer(entry, traceparent=f"00-{TRACE}-{PARENT}-01")
        found = self.of_trace(TRACE)
        self.assert_tree(found, PARENT)
        self.assertEqual({"a", "b", "c"}, {span["agent"] for span in found})
        names = [span["name"] for span in found]
        self.assertEqual(1, names.count("request"))
        self.assertEqual(3, names.count("run"))
        # Three fragments on three agents: at least two of the ways between them and the entry.
        self.assertGreaterEqual(names.count("transfer"), 2)
        request = next(span for span in found if span["name"] == "request")
        self.assertEqual(("b", 2), (request["agent"], request["kind"]))
        self.assertEqual(support.CNN, request["about"]["tessera.model"])
        # One request, by one name, in spans and in the log of its entry.
        names = {span["about"]["tessera.request"] for span in found}
        self.assertEqual(1, len(names), names)
        line = next(line for line in self.lines(entry)
                    if line.get("fields", {}).get("trace") == TRACE)
        self.assertEqual(("request answered", names.pop()),
                         (line["message"], line["fields"]["request"]))

    def test_grpc(self):
        """The same over gRPC's metadata."""
        import tritonclient.grpc as grpc
        import numpy
        trace = TRACE[::-1]
        image = support.images()[0]
        wanted = grpc.InferInput("image", list(image.shape), "FP32")
        wanted.set_data_from_numpy(
            numpy.frombuffer(image.data, dtype=numpy.float32).reshape(image.shape))
        with grpc.InferenceServerClient(self.agents["c"].grpc) as client:
            client.infer(support.CNN, [wanted],
                         headers={"traceparent": f"00-{trace}-{PARENT}-01"})
        found = self.of_trace(trace)
        self.assert_tree(found, PARENT)
        self.assertEqual({"a", "b", "c"}, {span["agent"] for span in found})

    def test_bad_trace(self):
        """A wrong traceparent is ignored: a trace is begun that has no other root."""
        self.infer(self.agents["a"], traceparent=f"00-{TRACE}-{PARENT}-0x")

        def begun():
            return [span for span in spans(self.agents["a"])
                    if span["name"] == "request" and "parentSpanId" not in span]
        root = mesh.wait(20, "a request of a trace that began here", begun)[-1]
        self.assertNotEqual(TRACE, root["traceId"])
        found = self.of_trace(root["traceId"])
        self.assert_tree(found, None)

    def test_not_sampled(self):
        """A trace that the client does not record is carried, and not recorded."""
        trace = "1" * 32
        self.infer(self.agents["a"], traceparent=f"00-{trace}-{PARENT}-00")
        self.infer(self.agents["a"], traceparent=f"00-{'2' * 32}-{PARENT}-01")
        self.of_trace("2" * 32)
        for agent in self.agents.running:
            self.assertNotIn(trace, {span["traceId"] for span in spans(agent)})

    def test_counted(self):
        """Spans are counted in the metrics."""
        self.infer(self.agents["a"], traceparent=f"00-{'3' * 32}-{PARENT}-01")
        self.of_trace("3" * 32)
        client = self.agents["a"].client()
        text = client.call("GET", "/metrics")[2].decode()
        client.close()
        self.assertRegex(text, r'tessera_trace_spans_total{result="written"} [1-9]')
        self.assertIn('tessera_trace_spans_total{result="dropped"} 0', text)

    @staticmethod
    def lines(agent):
        """The lines of an agent's log, each an object."""
        with open(agent.log, encoding="utf-8") as file:
            return [json.loads(line) for line in file.read().splitlines()]

    def test_log(self):
        """Every line is an object, and every line about a request has the name that its client
        got, at its entry and at every host."""
        name = self.infer(self.agents["a"])["parameters"]["tessera_request"]
        self.assertRegex(name, r"^[0-9a-f]{8}-\d+-\d+$")

        def named(agent):
            return {line["message"] for line in self.lines(agent)
                    if line.get("fields", {}).get("request") == name}
        mesh.wait(20, "the answer in the entry's log",
                  lambda: "request answered" in named(self.agents["a"]))
        for agent in self.agents.running:
            mesh.wait(20, f"its run in the log of {agent.name}",
                      lambda agent=agent: "a fragment ran" in named(agent))
            for line in self.lines(agent):
                self.assertEqual(
                    {"time", "level", "label", "message"}, set(line) - {"fields"}, line)
                if line["message"].startswith(("request ", "a fragment ")):
                    self.assertRegex(line["fields"]["request"], r"^[0-9a-f]{8}-\d+-\d+$")


class FullDisk(support.Case):
    """A disk that takes no more spans."""

    def test_requests_go_on(self):
        """Nobody waits for spans, and none of the requests is hurt."""
        with mesh.Mesh("a", discovery="none", trace_file="/dev/full") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            logits = support.infer(agents["a"], support.CNN, agents.folder)
            self.assertEqual(support.expected(), [item.data for item in logits.items()])
            client = agents["a"].client()
            text = client.call("GET", "/metrics")[2].decode()
            client.close()
            self.assertIn('tessera_trace_spans_total{result="written"} 0', text)
            self.assertRegex(text, r'tessera_trace_spans_total{result="dropped"} [1-9]')

    def test_unwritable(self):
        """A file that cannot be written is said at the start."""
        with mesh.Mesh("", discovery="none") as agents:
            agent = agents.make("a", trace_file=os.path.join(agents.folder, "no", "such", "file"))
            agent.start()
            with self.assertRaises(mesh.Failed):
                agent.await_ready()
            self.assertIn("--trace-file", agent.tail())


if __name__ == "__main__":
    unittest.main()
