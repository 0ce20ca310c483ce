"""The Open Inference Protocol at a mesh: Triton's own clients over HTTP and gRPC, and curl."""

import gzip
import json
import os
import re
import subprocess
import sys
import unittest
import zlib

import numpy
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

import support
from support import mesh

# More than an agent takes, of zeros that deflate to a thousandth.
BOMB_BYTES = 300 << 20
CALLS = 100
# Items of a call that takes seconds.
BATCH = 2_000


# NumPy's types by the protocol's and OpenVINO's names; bfloat16 is none of NumPy's.
TYPES = {
    "BOOL": ("boolean", "BOOL", numpy.bool_), "INT8": ("i8", "I8", numpy.int8),
    "INT16": ("i16", "I16", numpy.int16), "INT32": ("i32", "I32", numpy.int32),
    "INT64": ("i64", "I64", numpy.int64), "UINT8": ("u8", "U8", numpy.uint8),
    "UINT16": ("u16", "U16", numpy.uint16), "UINT32": ("u32", "U32", numpy.uint32),
    "UINT64": ("u64", "U64", numpy.uint64), "FP16": ("f16", "FP16", numpy.float16),
    "FP32": ("f32", "FP32", numpy.float32), "FP64": ("f64", "FP64", numpy.float64)}


def write_types(folder):
    """A model, as OpenVINO's IR, that gives an input of each type back, a dimension less; its path."""
    def port(number, precision, *shape):
        sizes = "".join(f"<dim>{size}</dim>" for size in shape)
        return f'<port id="{number}" precision="{precision}">{sizes}</port>'
    layers = ['<layer id="0" name="axes" type="Const" version="opset1"><data element_type="i64" '
              f'shape="1" offset="0" size="8"/><output>{port(0, "I64", 1)}</output></layer>']
    edges = []
    for number, (name, (element, precision, _)) in enumerate(TYPES.items()):
        first = 1 + 3 * number
        layers += [
            f'<layer id="{first}" name="x_{name}" type="Parameter" version="opset1"><data '
            f'shape="1,4" element_type="{element}"/><output>{port(0, precision, 1, 4)}</output>'
            "</layer>",
            f'<layer id="{first + 1}" name="y_{name}" type="Squeeze" version="opset1"><input>'
            f'{port(0, precision, 1, 4)}{port(1, "I64", 1)}</input><output>'
            f"{port(2, precision, 4)}</output></layer>",
            f'<layer id="{first + 2}" name="r_{name}" type="Result" version="opset1"><input>'
            f"{port(0, precision, 4)}</input></layer>"]
        for start, end in (((first, 0), (first + 1, 0)), ((0, 0), (first + 1, 1)),
                           ((first + 1, 2), (first + 2, 0))):
            edges.append(f'<edge from-layer="{start[0]}" from-port="{start[1]}" '
                         f'to-layer="{end[0]}" to-port="{end[1]}"/>')
    path = os.path.join(folder, "types.xml")
    with open(path, "w", encoding="ascii") as file:
        file.write('<?xml version="1.0"?><net name="types" version="11"><layers>'
                   + "".join(layers) + "</layers><edges>" + "".join(edges)
                   + "</edges><rt_info/></net>")
    with open(os.path.join(folder, "types.bin"), "wb") as file:
        file.write(bytes(8))
    return path


def image(module, images, count=1):
    """The model's input for one of the clients."""
    data = module.InferInput("image", [count, 1, 64, 64], "FP32")
    data.set_data_from_numpy(images[:count])
    return data


class Serving(support.Case):
    """One mesh for all tests; requests come in where the model was not added."""

    @classmethod
    def setUpClass(cls):
        cls.agents = cls.enterClassContext(mesh.Mesh("ab"))
        cls.agents["a"].add(support.CNN, support.file(support.CNN))
        cls.agents.await_ready(support.CNN)
        cls.images = numpy.load(support.IMAGES)
        cls.entry = cls.agents["b"]
        cls.expected = support.expected()

    def client(self, agent=None):
        """A client of gRPC."""
        client = tritonclient.grpc.InferenceServerClient((agent or self.entry).grpc)
        self.addCleanup(client.close)
        return client

    def fails(self, status, word, call):
        """A call ends with this status and says this word."""
        with self.assertRaises(InferenceServerException) as raised:
            call()
        self.assertIn(status, raised.exception.status())
        self.assertIn(word, raised.exception.message())

    def assert_logits(self, logits, count=1):
        """The logits of the first images are bit for bit those of one agent."""
        self.assertEqual((count, 10), logits.shape)
        self.assertEqual(b"".join(self.expected[:count]), logits.astype("<f4").tobytes())

    def test_grpc(self):
        """Health, metadata and inference, one item, a batch, at once and in a stream."""
        client, model = self.client(), support.CNN
        self.assertTrue(client.is_server_live() and client.is_server_ready())
        self.assertTrue(client.is_model_ready(model) and client.is_model_ready(model, "1"))
        self.assertFalse(client.is_model_ready("none"))
        self.assertEqual("tessera", client.get_server_metadata().name)
        metadata = client.get_model_metadata(model)
        self.assertEqual([1, 1, 64, 64], list(metadata.inputs[0].shape))
        configuration = client.get_model_config(model).config
        self.assertEqual("TYPE_FP32", configuration.output[0].DESCRIPTOR.fields_by_name[
            "data_type"].enum_type.values_by_number[configuration.output[0].data_type].name)
        index = client.get_model_repository_index().models
        self.assertEqual([(model, "READY")], [(one.name, one.state) for one in index])
        wanted = [tritonclient.grpc.InferRequestedOutput("logits")]
        for count in (1, 5):
            for coding in (None, "gzip", "deflate"):
                answer = client.infer(
                    model, [image(tritonclient.grpc, self.images, count)], outputs=wanted,
                    request_id="r", timeout=20_000_000, client_timeout=30,
                    compression_algorithm=coding)
                self.assert_logits(answer.as_numpy("logits"), count)
                self.assertEqual("r", answer.get_response().id)
        parameters = answer.get_response().parameters
        self.assertEqual("b", parameters["tessera_node"].string_param)
        answers = []
        client.start_stream(lambda result, error: answers.append(error or result))
        for number in range(40):
            client.async_stream_infer(
                model if number % 8 else "none", [image(tritonclient.grpc, self.images)],
                request_id=str(number))
        client.stop_stream()
        self.assertEqual(40, len(answers))
        for number, answer in enumerate(answers):
            if number % 8 == 0:
                self.assertIn("no model", str(answer))
                continue
            self.assertEqual(str(number), answer.get_response().id)
            self.assert_logits(answer.as_numpy("logits"))

    def test_grpc_errors(self):
        """What is wrong has its status and a reason; a deadline holds."""
        client, model, module = self.client(), support.CNN, tritonclient.grpc
        right = image(module, self.images)
        self.fails("NOT_FOUND", "no model", lambda: client.infer("none", [right]))
        self.fails("NOT_FOUND", "version", lambda: client.infer(model, [right], "2"))
        wrong = module.InferInput("image", [1, 1, 64, 32], "FP32")
        wrong.set_data_from_numpy(self.images[:1, :, :, :32].copy())
        self.fails("INVALID_ARGUMENT", "shape", lambda: client.infer(model, [wrong]))
        text = module.InferInput("image", [1], "BYTES")
        text.set_data_from_numpy(numpy.array([b"cat"], dtype=object))
        self.fails("INVALID_ARGUMENT", "numbers only", lambda: client.infer(model, [text]))
        other = [module.InferRequestedOutput("other")]
        self.fails("INVALID_ARGUMENT", "logits",
                   lambda: client.infer(model, [right], outputs=other))
        self.fails("DEADLINE_EXCEEDED", "",
                   lambda: client.infer(model, [right], timeout=1))
        self.fails("UNAUTHENTICATED", "admin.token", lambda: client.unload_model(model))

    def assert_ends(self, begin, leave):
        """A large batch ends everywhere as soon as its client goes away."""
        def outcomes():
            text = self.metrics(self.entry)
            found = dict.fromkeys(("answered", "cancelled"), 0)
            found.update((name, int(count)) for name, count in re.findall(
                rf'tessera_requests_total{{model="{support.CNN}",outcome="(\w+)"}} (\d+)', text))
            return found
        before = outcomes()
        begin()
        mesh.wait(20, "the batch is under way",
                  lambda: outcomes()["answered"] > before["answered"])
        leave()
        mesh.wait(20, "its requests are cancelled",
                  lambda: outcomes()["cancelled"] > before["cancelled"])
        mesh.wait(20, "its requests end",
                  lambda: self.entry.get("/tessera/v1/status")["openRequests"] == 0)
        after = outcomes()
        self.assertLess(after["answered"] - before["answered"], BATCH)
        for agent in self.agents.running:
            mesh.wait(20, f"its work at {agent.name} ends", lambda agent=agent: (
                "\ntessera_open_attempts 0\n" in self.metrics(agent)))

    @staticmethod
    def metrics(agent):
        """What an agent answers at /metrics."""
        client = agent.client()
        try:
            return client.call("GET", "/metrics")[2].decode()
        finally:
            client.close()

    def test_grpc_cancelled(self):
        """A call over gRPC that is cancelled ends at every agent."""
        client, module = self.client(), tritonclient.grpc
        batch = numpy.concatenate([self.images] * -(-BATCH // len(self.images)))
        calls = []
        self.assert_ends(
            lambda: calls.append(client.async_infer(
                support.CNN, [image(module, batch, BATCH)], lambda result, error: None)),
            lambda: calls[0].cancel())
        self.assert_logits(
            client.infer(support.CNN, [image(module, self.images)]).as_numpy("logits"))

    def test_http_client_gone(self):
        """A call over HTTP whose client is killed ends at every agent."""
        batch = numpy.concatenate([self.images] * -(-BATCH // len(self.images)))[:BATCH]
        text = json.dumps({"inputs": [{
            "name": "image", "datatype": "FP32", "shape": list(batch.shape),
            "parameters": {"binary_data_size": batch.nbytes}}]}).encode()
        path = os.path.join(self.agents.folder, "batch")
        with open(path, "wb") as file:
            file.write(text + batch.tobytes())
        curls = []
        self.addCleanup(lambda: [curl.wait() for curl in curls])
        self.assert_ends(
            lambda: curls.append(subprocess.Popen(
                ["curl", "-s", "-o", "/dev/null", "--data-binary", "@" + path,
                 "-H", f"Inference-Header-Content-Length: {len(text)}",
                 f"{self.entry.api}/v2/models/{support.CNN}/infer"])),
            lambda: curls[0].kill())

    def test_types(self):
        """Every type that both NumPy and the protocol have goes through mesh and engine and back."""
        self.agents["a"].add("types", write_types(self.agents.folder))
        self.agents.await_ready("types")
        told = {one["name"]: one["datatype"]
                for one in self.entry.get("/v2/models/types")["inputs"]}
        self.assertEqual({"x_" + name: name for name in TYPES}, told)
        chance = numpy.random.default_rng(7)
        for module, place in ((tritonclient.http, f"{self.entry.host}:{self.entry.port}"),
                              (tritonclient.grpc, self.entry.grpc)):
            client = module.InferenceServerClient(place)
            self.addCleanup(client.close)
            values, inputs = {}, []
            for name, (_, _, kind) in TYPES.items():
                # Whole numbers from end to end of what the engine takes.
                if numpy.issubdtype(kind, numpy.integer):
                    limits = numpy.iinfo(numpy.int32 if numpy.dtype(kind).itemsize == 8 else kind)
                    least = 0 if numpy.iinfo(kind).min == 0 else limits.min
                    value = numpy.array([[least, limits.max, 1, chance.integers(
                        least, limits.max)]], kind)
                else:
                    # Of 64 bits those that 32 hold.
                    value = chance.normal(size=(1, 4)).astype(numpy.float32).astype(kind)
                values[name] = value
                inputs.append(module.InferInput("x_" + name, [1, 4], name))
                inputs[-1].set_data_from_numpy(value)
            answer = client.infer("types", inputs)
            for name, value in values.items():
                given = answer.as_numpy("y_" + name)
                self.assertEqual(value.dtype, given.dtype, name)
                self.assertEqual(value[0].tobytes(), given.tobytes(), (name, value, given))
        # What would come back as another number is refused, and says where it stands.
        for kind, number in ((numpy.int64, 1 << 31), (numpy.uint64, (1 << 64) - 1)):
            name = kind.__name__.upper()
            wrong = tritonclient.grpc.InferInput("x_" + name, [1, 4], name)
            wrong.set_data_from_numpy(numpy.array([[1, 2, number, 3]], kind))
            others = [one for one in inputs if one.name() != "x_" + name]
            self.fails("INVALID_ARGUMENT", f"x_{name} has the number {number} at place 2",
                       lambda: client.infer("types", [*others, wrong]))
        mesh.check("model", "remove", "types", "--api", self.agents["a"].api, "--token-file",
                   self.agents["a"].token_file)

    def test_grpc_compression(self):
        """An answer over gRPC is compressed the way its request was, and else not at all."""
        for coding in ("identity", "gzip", "deflate"):
            # An empty message, which nobody compresses.
            result = subprocess.run(
                ["curl", "-s", "-D", "-", "--http2-prior-knowledge", "--data-binary", "@-",
                 "-H", "Content-Type: application/grpc", "-H", "TE: trailers",
                 "-H", f"grpc-encoding: {coding}", "-H", "grpc-accept-encoding: gzip,deflate",
                 f"http://{self.entry.grpc}/inference.GRPCInferenceService/ServerMetadata"],
                input=bytes(5), capture_output=True, timeout=30, check=True)
            head, _, rest = result.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:])
            self.assertEqual("200", head.decode().split()[1], head)
            self.assertEqual(coding, fields.get("grpc-encoding", "identity"), fields)
            self.assertEqual(0 if coding == "identity" else 1, rest[0], coding)

    def test_grpc_token(self):
        """Beyond loopback every call needs the token."""
        path = os.path.join(self.agents.folder, "token")
        with open(path, "w", encoding="ascii") as file:
            file.write("0123456789abcdef\n")
        agent = self.agents.make("c", api="0.0.0.0:0", api_token_file=path)
        agent.start().await_ready()
        try:
            client = self.client(agent)
            self.fails("UNAUTHENTICATED", "token", client.is_server_live)
            headers = {"authorization": "Bearer 0123456789abcdef"}
            self.assertTrue(client.is_server_live(headers=headers))
            self.fails("PERMISSION_DENIED", "the right to admin",
                       lambda: client.unload_model(support.CNN, headers=headers))
        finally:
            agent.leave()
            del self.agents.agents["c"]
            self.agents.await_members()

    def test_port(self):
        """Two above the port of HTTP if nobody says; none if that is wished."""
        for flags, expected in (
                ((), "8702  # default"), (("--api", "127.0.0.1:9000"), "9002  # default"),
                (("--api", "127.0.0.1:0"), "0  # default"), (("--api", "[::1]:65535"), "0  # "),
                (("--grpc-port", "off"), '"off"  # flag'), (("--grpc-port", "7"), "7  # flag")):
            text = mesh.check("agent", "--print-config", *flags).out
            self.assertIn("grpc-port: " + expected, text)
        self.assert_fails(mesh.run("agent", "--grpc-port", "65536"), 64, "0 to 65535, or off")
        agent = self.agents.make("off", grpc_port="off").start().await_ready()
        self.assertIsNone(agent.grpc)
        agent.leave()
        del self.agents.agents["off"]
        self.agents.await_members()

    def test_broken_stream(self):
        """A stream whose client stops in the middle leaves nothing behind."""
        client = self.client()
        client.start_stream(lambda result, error: None)
        for number in range(CALLS):
            client.async_stream_infer(support.CNN, [image(tritonclient.grpc, self.images)])
        client.stop_stream(cancel_requests=True)
        mesh.wait(20, "the requests of the stream end",
                  lambda: self.entry.get("/tessera/v1/status")["openRequests"] == 0)
        self.assertTrue(client.is_server_live())

    def test_documented_clients(self):
        """The Python in the pages runs as it stands there, with the agent's own ports."""
        api, found = f"{self.entry.host}:{self.entry.port}", 0
        for page in ("README.md", "Docs/Operations.md"):
            with open(os.path.join(mesh.ROOT, page), encoding="utf-8") as file:
                blocks = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
            for block in blocks:
                variants = [block.replace("localhost:8700", api)]
                if "tritonclient.http as triton" in block:
                    variants.append(block.replace("tritonclient.http as", "tritonclient.grpc as")
                                    .replace("localhost:8700", self.entry.grpc))
                for text in variants:
                    out = subprocess.run(
                        [sys.executable, "-c", text], cwd=mesh.ROOT, capture_output=True, text=True,
                        check=True, timeout=60).stdout
                    self.assertEqual(16, len(re.findall(r"\d+", out.splitlines()[0])), out)
                    found += 1
        self.assertEqual(3, found)

    def test_repository(self):
        """A model is unloaded and loaded again by its name, over HTTP and gRPC."""
        name = "again"
        self.agents["a"].add(name, support.file(support.CNN))
        self.agents.await_ready(name)
        with open(self.entry.token_file, encoding="ascii") as file:
            headers = {"authorization": "Bearer " + file.read().strip()}
        http = tritonclient.http.InferenceServerClient(f"{self.entry.host}:{self.entry.port}")
        self.addCleanup(http.close)
        for client, module in ((self.client(), tritonclient.grpc), (http, tritonclient.http)):
            client.unload_model(name, headers=headers)
            mesh.wait(20, "no agent has it", lambda: not any(
                agent.is_ready(name) for agent in self.agents.running))
            index = client.get_model_repository_index()
            states = {one["name"]: one["state"] for one in index} if isinstance(index, list) \
                else {one.name: one.state for one in index.models}
            self.assertEqual("UNAVAILABLE", states[name])
            client.load_model(name, headers=headers)
            self.agents.await_ready(name)
            self.assert_logits(
                client.infer(name, [image(module, self.images)]).as_numpy("logits"))

    def test_http(self):
        """Compressed in both directions, with ids and deadlines."""
        client = tritonclient.http.InferenceServerClient(f"{self.entry.host}:{self.entry.port}")
        self.addCleanup(client.close)
        for coding in ("gzip", "deflate"):
            answer = client.infer(
                support.CNN, [image(tritonclient.http, self.images)], request_id="r",
                request_compression_algorithm=coding, response_compression_algorithm=coding)
            self.assert_logits(answer.as_numpy("logits"))
            self.assertEqual("r", answer.get_response()["id"])
        self.fails("504", "deadline", lambda: client.infer(
            support.CNN, [image(tritonclient.http, self.images)], timeout=1))

    def curl(self, *arguments, body=None):
        """Status, header fields and body of a call with curl."""
        head = os.path.join(self.agents.folder, "head")
        process = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "60", "--dump-header", head,
             "--write-out", "%{stderr}%{http_version} %{http_code} %{num_connects}", *arguments],
            input=body, capture_output=True, check=True)
        with open(head, encoding="latin1") as file:
            fields = file.read().lower()
        return process.stderr.decode().split(), fields, process.stdout

    def test_curl(self):
        """JSON compressed by hand, HTTP/2 with prior knowledge, connections kept, no bombs."""
        url = f"{self.entry.api}/v2/models/{support.CNN}/infer"
        body = json.dumps({"inputs": [{
            "name": "image", "shape": [1, 1, 64, 64], "datatype": "FP32",
            "data": self.images[:1].ravel().tolist()}]}).encode()
        for coding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
            for version, flag in (("1.1", "--http1.1"), ("2", "--http2-prior-knowledge")):
                told, fields, answer = self.curl(
                    flag, "--compressed", "--header", f"Content-Encoding: {coding}",
                    "--data-binary", "@-", url, body=packed)
                self.assertEqual([version, "200"], told[:2])
                self.assertIn("content-encoding: ", fields)
                data = json.loads(answer)["outputs"][0]["data"]
                self.assert_logits(numpy.array([data], dtype="<f4"))
        told, fields, _ = self.curl(f"{self.entry.api}/v2", f"{self.entry.api}/v2/health/live")
        self.assertEqual(["1.1", "200", "11.1", "200", "0"], told)
        bomb = zlib.compressobj(wbits=31)
        packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(BOMB_BYTES >> 20))
        told, _, answer = self.curl(
            "--header", "Content-Encoding: gzip", "--header", "Expect:", "--data-binary", "@-", url,
            body=packed + bomb.flush())
        self.assertEqual("413", told[1])
        self.assertIn("longer than", json.loads(answer)["error"])


if __name__ == "__main__":
    unittest.main()
