"""Images from people: at the command line, over HTTP and in the dashboard."""

import base64
import os
import struct
import unittest
import zlib

import numpy

import browser
import support
from support import mesh

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
COUNT = 6
# Drops a picture, as a JPEG, where the page takes one.
DROP = """(async () => {
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], {type: "image/png"}));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  const blob = await canvas.convertToBlob({type: "image/jpeg", quality: 0.95});
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([blob], "scan.jpg", {type: blob.type}));
  document.querySelector("#drop").dispatchEvent(
    new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
  return blob.type;
})()"""
DESCRIPTION = ("--image", "grey", "--image-scale", "255")


def png(pixels):
    """An image of unsigned 8-bit greys as a PNG file."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_means(folder, layout):
    """A model, as OpenVINO's IR, that gives the mean of each of three channels; its path."""
    shape, axes = {"nchw": ((1, 3, 6, 5), (2, 3)), "nhwc": ((1, 6, 5, 3), (1, 2))}[layout]

    def port(number, precision, sizes):
        sizes = "".join(f"<dim>{size}</dim>" for size in sizes)
        return f'<port id="{number}" precision="{precision}">{sizes}</port>'
    path = os.path.join(folder, f"means-{layout}.xml")
    with open(path, "w", encoding="ascii") as file:
        file.write(
            '<?xml version="1.0"?><net name="means" version="11"><layers>'
            '<layer id="0" name="image" type="Parameter" version="opset1"><data shape="'
            f'{",".join(map(str, shape))}" element_type="f32"/><output>{port(0, "FP32", shape)}'
            '</output></layer><layer id="1" name="axes" type="Const" version="opset1"><data '
            f'element_type="i64" shape="2" offset="0" size="16"/><output>{port(0, "I64", [2])}'
            '</output></layer><layer id="2" name="means" type="ReduceMean" version="opset1"><data '
            f'keep_dims="false"/><input>{port(0, "FP32", shape)}{port(1, "I64", [2])}</input>'
            f'<output>{port(2, "FP32", (1, 3))}</output></layer><layer id="3" name="result" '
            f'type="Result" version="opset1"><input>{port(0, "FP32", (1, 3))}</input></layer>'
            '</layers><edges><edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>'
            '<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>'
            '<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/></edges><rt_info/></net>')
    with open(path.removesuffix("xml") + "bin", "wb") as file:
        file.write(numpy.array(axes, numpy.int64).tobytes())
    return path


class Images(support.Case):
    """One mesh of two; images come in where the model was not added."""

    @classmethod
    def setUpClass(cls):
        """Adds the model with its description, and writes the images."""
        cls.agents = cls.enterClassContext(mesh.Mesh("ab"))
        folder = cls.agents.folder
        cls.labels_file = os.path.join(folder, "labels.txt")
        with open(cls.labels_file, "w", encoding="utf-8") as file:
            file.write("\n".join(DIGITS) + "\n")
        cls.agents["a"].add(support.CNN, support.file(support.CNN), *DESCRIPTION,
                            "--labels", cls.labels_file)
        cls.agents.await_ready(support.CNN)
        cls.entry = cls.agents["b"]
        cls.labels = numpy.load(os.path.join(mesh.DIGITS, "labels.npy"))
        scans = numpy.load(support.IMAGES)[:COUNT, 0]
        cls.pixels = (scans * 255).round().astype(numpy.uint8)
        cls.files = []
        for number, pixels in enumerate(cls.pixels):
            cls.files.append(os.path.join(folder, f"{number}.png"))
            with open(cls.files[-1], "wb") as file:
                file.write(png(pixels))

    def test_probabilities(self):
        """An image of the input's size gives what its tensor gives, as probabilities."""
        values = self.pixels.astype(numpy.float32)[:, None] / numpy.float32(255)
        array = os.path.join(self.agents.folder, "values.npy")
        numpy.save(array, values)
        folder = os.path.join(self.agents.folder, "logits")
        mesh.check("infer", support.CNN, "--input", f"image={array}", "--output-dir", folder,
                   "--api", self.entry.api)
        logits = numpy.load(os.path.join(folder, "logits.npy")).astype(numpy.float64)
        powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        expected = powers / powers.sum(axis=1, keepdims=True)
        flags = [flag for path in self.files for flag in ("--image", path)]
        documents = mesh.check("infer", support.CNN, *flags, "--top", 10, "--json",
                               "--api", self.entry.api).json()
        self.assertEqual(COUNT, len(documents))
        for number, document in enumerate(documents):
            self.assertEqual(1, document["version"])
            seen = {one["index"]: one["probability"] for one in document["classes"]}
            for index in range(10):
                self.assertAlmostEqual(expected[number, index], seen[index], places=12)
            self.assertEqual(DIGITS[self.labels[number]], document["classes"][0]["label"])

    def test_for_people(self):
        """One line for each class, the likeliest first; other sizes are resized."""
        result = mesh.check("infer", support.CNN, "--image", self.files[0], "--top", 3,
                            "--api", self.entry.api)
        lines = result.out.splitlines()
        self.assertEqual(4, len(lines), result.out)
        self.assertRegex(lines[1], rf"^ *\d+\.\d\d %  {DIGITS[self.labels[0]]} ")
        large = os.path.join(self.agents.folder, "large.png")
        with open(large, "wb") as file:
            file.write(png(self.pixels[0].repeat(7, 0).repeat(9, 1)))
        result = mesh.check("infer", support.CNN, "--image", large, "--api", self.entry.api)
        self.assertIn(DIGITS[self.labels[0]], result.out.splitlines()[1])

    def test_wrong(self):
        """What is wrong is said, with the file's name."""
        text = os.path.join(self.agents.folder, "text.png")
        with open(text, "w", encoding="utf-8") as file:
            file.write("no picture")
        with open(self.files[0], "rb") as file:
            whole = file.read()
        half = os.path.join(self.agents.folder, "half.png")
        with open(half, "wb") as file:
            file.write(whole[:len(whole) // 2])
        for path, word in ((text, "PNG nor a JPEG"), (half, "cannot be read"),
                           ("/no/such.png", "/no/such.png")):
            result = mesh.run("infer", support.CNN, "--image", path, "--api", self.entry.api)
            self.assert_fails(result, 1, word, path)
        for flags in (["--image", text, "--input", "image=x.npy"], ["--top", "0"],
                      ["--image", text, "--output-dir", "x"]):
            self.assertEqual(64, mesh.run("infer", support.CNN, *flags).code)
        for flags, word in ((["--image", "rgb"], "[1, 3, height, width]"),
                            (["--image", "grey", "--labels", text], "1 labels for 10 classes"),
                            (["--image", "red"], "rgb, bgr, grey"),
                            (["--image-mean", "1"], "--image rgb"),
                            (["--image", "grey", "--image-scale", "0"], "above 0")):
            result = mesh.run("model", "add", support.file(support.CNN), "--name", "wrong",
                              "--api", self.agents["a"].api, "--token-file",
                              self.agents["a"].token_file, *flags)
            self.assert_fails(result, 64, word)

    def test_preprocess(self):
        """With preprocessing in the graph bytes travel, and the answers stay the same."""
        agent = self.agents["a"]
        floats = self.entry.get(f"/v2/models/{support.CNN}")["inputs"][0]
        pixels = self.pixels[:, None]

        def logits(model, values):
            array = os.path.join(self.agents.folder, "preprocess.npy")
            numpy.save(array, values)
            folder = os.path.join(self.agents.folder, model)
            mesh.check("infer", model, "--input", f"image={array}", "--output-dir", folder,
                       "--api", self.entry.api)
            return numpy.load(os.path.join(folder, "logits.npy"))
        # The engine divides by multiplying with the inverse, which a power of two has exactly.
        for name, mean, scale, rounding in (("digits-64", 33.3, 64, 0),
                                            ("digits-78", 33.3, 77.7, 1e-6)):
            agent.add(name, support.file(support.CNN), "--image", "grey", "--image-mean", mean,
                      "--image-scale", scale, "--preprocess")
            self.agents.await_ready(name)
            self.assertEqual({**floats, "datatype": "UINT8"},
                             self.entry.get(f"/v2/models/{name}")["inputs"][0])
            expected = logits(support.CNN, (pixels.astype(numpy.float32) - numpy.float32(mean))
                              / numpy.float32(scale))
            given = logits(name, pixels)
            self.assertLessEqual(
                abs(given - expected).max(), rounding * (expected.max() - expected.min()))
            powers = numpy.exp(given[2].astype(numpy.float64) - given[2].max())
            document = mesh.check("infer", name, "--image", self.files[2], "--top", 10, "--json",
                                  "--api", self.entry.api).json()[0]
            for one in document["classes"]:
                self.assertAlmostEqual((powers / powers.sum())[one["index"]], one["probability"],
                                       places=12)
        # The weights are those of the model without it.
        models = agent.get("/tessera/v1/models")["models"]
        self.assertEqual(1, len({one["weightBytes"] for one in models}), models)
        for flags, word in ((["--preprocess"], "--image"),
                            (["--image", "rgb", "--preprocess"], "3 channels at axis 1")):
            result = mesh.run("model", "add", support.file(support.CNN), "--name", "wrong",
                              "--api", agent.api, "--token-file", agent.token_file, *flags)
            self.assertNotEqual(0, result.code)
            self.assertIn(word, result.err)

    def test_preprocess_channels(self):
        """Each channel has its own mean and scale in the graph, wherever the channels stand."""
        agent, chance = self.agents["a"], numpy.random.default_rng(5)
        pixels = chance.integers(0, 256, (4, 6, 5, 3), numpy.uint8)
        mean, scale = numpy.array([10, 20.5, 30]), numpy.array([2, 4, 0.5])
        wanted = ((pixels - mean) / scale).mean((1, 2))
        for layout in ("nchw", "nhwc"):
            name = "means-" + layout
            agent.add(name, write_means(self.agents.folder, layout), "--image", "rgb",
                      "--image-layout", layout, "--image-mean", "10,20.5,30", "--image-scale",
                      "2,4,0.5", "--preprocess")
            self.agents.await_ready(name)
            told = self.entry.get(f"/v2/models/{name}")
            self.assertEqual("UINT8", told["inputs"][0]["datatype"])
            array = os.path.join(self.agents.folder, name + ".npy")
            numpy.save(array, pixels.transpose(0, 3, 1, 2) if layout == "nchw" else pixels)
            folder, output = os.path.join(self.agents.folder, name), told["outputs"][0]["name"]
            mesh.check("infer", name, "--input", f"image={array}", "--output-dir", folder,
                       "--api", self.entry.api)
            given = numpy.load(os.path.join(folder, output + ".npy"))
            numpy.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-4)
            mesh.check("model", "remove", name, "--api", agent.api, "--token-file",
                       agent.token_file)
        result = mesh.run("model", "add", write_means(self.agents.folder, "nhwc"), "--name", "wrong",
                          "--api", agent.api, "--token-file", agent.token_file, "--image", "rgb",
                          "--image-layout", "nchw", "--preprocess")
        self.assertNotEqual(0, result.code)
        self.assertIn("3 channels at axis 1", result.err)

    def test_restart(self):
        """The description stays with the model when its agent starts again."""
        with mesh.Mesh("c", discovery="none") as agents:
            agent = agents["c"]
            agent.add(support.CNN, support.file(support.CNN), *DESCRIPTION)
            agent.leave()
            agent.start().await_ready()
            agents.await_ready(support.CNN)
            result = mesh.check("infer", support.CNN, "--image", self.files[1], "--json",
                                "--api", agent.api).json()
            first = result[0]["classes"][0]
            self.assertEqual(self.labels[1], first["index"])
            self.assertNotIn("label", first)

    @unittest.skipUnless(browser.program(), browser.MISSING)
    def test_dashboard(self):
        """An image is chosen in the page, and the page says what it is."""
        with browser.Browser() as page:
            page.size(1280, 1000)
            page.open(self.entry.api + "/")
            mesh.wait(30, "the card to try it",
                      lambda: page.evaluate("document.querySelector('#try')?.hidden === false"))
            for number in (0, 1):
                self.choose(page, self.files[number])
                word = DIGITS[self.labels[number]]
                mesh.wait(20, lambda: f"{word}: {page.text('#answer')}",
                          lambda: page.text("#answer .classes li").startswith(word))
            self.assertTrue(page.evaluate("document.querySelector('#picture').naturalWidth === 64"))
            # Dropped, and as a JPEG, which the browser makes of it.
            with open(self.files[2], "rb") as file:
                dropped = page.evaluate(DROP % base64.b64encode(file.read()).decode())
            self.assertEqual("image/jpeg", dropped)
            word = DIGITS[self.labels[2]]
            mesh.wait(20, lambda: f"{word}: {page.text('#answer')}",
                      lambda: page.text("#answer .classes li").startswith(word))
            self.choose(page, self.labels_file)
            mesh.wait(20, "a refusal", lambda: "PNG nor a JPEG" in page.text("#answer"))
            page.drain()
            self.assertEqual([], page.errors)
            # The browser itself notes the refusal; nothing else was wrong.
            self.assertEqual([], [text for _, text in page.console if "415" not in text])
            self.assertEqual([], [url for url in page.requests if not url.startswith(
                (self.entry.api, "blob:" + self.entry.api, "about:"))])

    @staticmethod
    def choose(page, path):
        """Chooses a file in the page."""
        root = page.call("DOM.getDocument")["root"]["nodeId"]
        node = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        page.call("DOM.setFileInputFiles", nodeId=node, files=[path])


if __name__ == "__main__":
    unittest.main()
