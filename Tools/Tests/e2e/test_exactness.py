"""Property 1: the mesh answers as one node does, and as ONNX Runtime does."""

import os
import unittest

import numpy
import onnxruntime
import tritonclient.http

import support
from support import mesh

RELATIVE_MAX = 1e-3


def as_numpy(logits):
    """An array of the small reader as NumPy's."""
    return numpy.frombuffer(logits.data, dtype="<f4").reshape(logits.shape)


class Exactness(support.Case):
    """Both digit models on one to four nodes."""

    def compare(self, model):
        """Grows the mesh and compares at each size."""
        expected = support.expected(model)
        session = onnxruntime.InferenceSession(
            support.file(model), providers=["CPUExecutionProvider"])
        images = numpy.load(support.IMAGES)
        other = session.run(["logits"], {"image": images[:1]})[0]
        other = numpy.concatenate(
            [session.run(["logits"], {"image": images[i:i + 1]})[0] for i in range(len(images))])
        with mesh.Mesh("a") as agents:
            # Equal numbers of operators on every node, however fast each is.
            agents["a"].add(model, support.file(model), "--mode", "even")
            agents.await_ready(model)
            for count, name in enumerate("abcd", 1):
                if count > 1:
                    agents.make(name).start().await_ready()
                    agents.await_members()
                    agents.await_spread(model)
                logits = support.infer(agents[name], model, agents.folder)
                self.assertEqual(
                    expected, [item.data for item in logits.items()], f"on {count} nodes")
                difference = numpy.abs(as_numpy(logits) - other).max()
                self.assertLess(difference, RELATIVE_MAX * numpy.abs(other).max())
                plan = agents[name].plan(model)
                print(f"  {model} on {count}: " + ", ".join(
                    f"{stage['nodes'][0]} {stage['first']}-{stage['last']}"
                    for stage in plan["stages"]), flush=True)

    def test_cnn(self):
        """The convolutional network."""
        self.compare(support.CNN)

    def test_vit(self):
        """The vision transformer."""
        self.compare(support.VIT)


class TritonClient(support.Case):
    """Triton's own client works as it is."""

    def test_client(self):
        """Health, metadata and inference, JSON and binary, one item and a batch."""
        with mesh.Mesh("ab") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            agents.await_ready(support.CNN)
            images = numpy.load(support.IMAGES)
            client = tritonclient.http.InferenceServerClient(
                f"{agents['b'].host}:{agents['b'].port}")
            self.assertTrue(client.is_server_live())
            self.assertTrue(client.is_server_ready())
            self.assertTrue(client.is_model_ready(support.CNN))
            metadata = client.get_model_metadata(support.CNN)
            self.assertEqual("image", metadata["inputs"][0]["name"])
            for binary in (True, False):
                for count in (1, 5):
                    data = tritonclient.http.InferInput("image", [count, 1, 64, 64], "FP32")
                    data.set_data_from_numpy(images[:count], binary_data=binary)
                    output = tritonclient.http.InferRequestedOutput("logits", binary_data=binary)
                    answer = client.infer(support.CNN, [data], outputs=[output])
                    logits = answer.as_numpy("logits")
                    self.assertEqual((count, 10), logits.shape)
                    self.assertEqual(
                        b"".join(support.expected()[:count]), logits.astype("<f4").tobytes())
            client.close()

    def test_npy_files(self):
        """What `infer` writes is what NumPy reads, and the other way round."""
        with mesh.Mesh("a") as agents:
            agents["a"].add(support.CNN, support.file(support.CNN))
            one = os.path.join(agents.folder, "one.npy")
            images = numpy.load(support.IMAGES)
            with open(one, "wb") as file:
                numpy.lib.format.write_array(file, images[:1], version=(2, 0))
            output = os.path.join(agents.folder, "out")
            result = mesh.check(
                "infer", support.CNN, "--input", f"image={one}", "--output-dir", output,
                "--repeat", 20, "--concurrency", 3, "--json", "--api", agents["a"].api).json()
            self.assertEqual((20, 20, 0), (
                result["requests"], result["answered"], result["differing"]))
            self.assertGreater(result["latencyMilliseconds"]["p99"], 0)
            logits = numpy.load(os.path.join(output, "logits.npy"))
            self.assertEqual((1, 10), logits.shape)
            self.assertEqual(support.expected()[0], logits.tobytes())
            for name, array, word in (
                    ("double", images[:1].astype("<f8"), "<f8"),
                    ("order", numpy.asfortranarray(images[:1]), "column order"),
                    ("shape", images[:1, :, :32], "shape"),
                    ("big", images[:1].astype(">f4"), ">f4")):
                path = os.path.join(agents.folder, name + ".npy")
                numpy.save(path, array)
                wrong = mesh.run("infer", support.CNN, "--input", f"image={path}", "--output-dir",
                                 output, "--api", agents["a"].api)
                self.assertIn(wrong.code, (1, 64))
                self.assertIn(word, wrong.err)


if __name__ == "__main__":
    unittest.main()
