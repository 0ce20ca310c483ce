#!/usr/bin/env python3
"""A camera in front of a mesh: frames at a steady rate, answers while they are still of use.

Needs `pip install "tritonclient[grpc]" numpy`, a running mesh, and the model:

    tessera model add Tools/models/digits/digits-cnn.onnx
    Docs/Examples/camera.py --server localhost:8702

The camera shows scans of digits, flickering and with noise, 640 x 480 pixels of 8 bits each. What
is worth taking along for a camera of your own:

- a frame that cannot be sent at once is dropped: the next one is newer anyway
- a few requests are under way at a time, so that every stage of a pipeline has work
- answers of a stream come in the order of the frames
- when an agent goes away, the next one is asked: a request may enter at any device
"""

import argparse
import itertools
import json
import os
import queue
import sys
import time

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DIGITS = os.path.join(ROOT, "Tools", "models", "digits")
HEIGHT, WIDTH, ZOOM = 480, 640, 5


class Camera:
    """Frames of digits, as a camera above a table would see them."""

    def __init__(self, rate, seed=1):
        self.scans = np.load(os.path.join(DIGITS, "images.npy"))[:, 0]
        self.labels = np.load(os.path.join(DIGITS, "labels.npy"))
        self.interval = 1 / rate
        self.random = np.random.default_rng(seed)

    def frames(self, count):
        """Gives `count` frames, each when it is due, with its number and what it shows."""
        begin = time.monotonic()
        for number in range(count):
            time.sleep(max(0, begin + number * self.interval - time.monotonic()))
            scan = number // 10 % len(self.scans)
            yield number, self.picture(self.scans[scan]), int(self.labels[scan])

    def picture(self, scan):
        """A frame, unsigned 8 bits, with the scan in its middle."""
        frame = np.zeros((HEIGHT, WIDTH), np.float32)
        digit = scan.repeat(ZOOM, 0).repeat(ZOOM, 1)
        top, left = (HEIGHT - digit.shape[0]) // 2, (WIDTH - digit.shape[1]) // 2
        light = self.random.uniform(0.9, 1.0)
        frame[top:top + digit.shape[0], left:left + digit.shape[1]] = digit * light * 255
        frame += self.random.normal(0, 4, frame.shape)
        return frame.clip(0, 255).astype(np.uint8)


def prepare(frame):
    """What the model takes: the middle of a frame, 64 x 64, floats from 0 to 1."""
    side = 64 * ZOOM
    top, left = (HEIGHT - side) // 2, (WIDTH - side) // 2
    middle = frame[top:top + side, left:left + side].astype(np.float32)
    small = middle.reshape(64, ZOOM, 64, ZOOM).mean(axis=(1, 3)) / 255
    return small[None, None]


class Stream:
    """A stream of requests to one agent at a time, and of the answers."""

    def __init__(self, servers, model, timeout):
        self.servers = itertools.cycle(servers)
        self.model, self.timeout = model, timeout
        self.answers = queue.Queue()
        self.client = None

    def connect(self):
        """Goes on with the next agent; what the last one did not answer is lost."""
        self.close()
        # Answers of the old stream must not be taken for those of the new one.
        self.answers = answers = queue.Queue()
        self.client = triton.InferenceServerClient(next(self.servers))
        self.client.start_stream(
            callback=lambda result, error: answers.put((result, error)))

    def close(self):
        """Ends the stream."""
        if self.client:
            self.client.stop_stream(cancel_requests=True)
            self.client.close()
            self.client = None

    def send(self, number, image):
        """Sends a frame; its answer comes later."""
        data = triton.InferInput("image", list(image.shape), "FP32")
        data.set_data_from_numpy(image)
        self.client.async_stream_infer(
            self.model, [data], request_id=str(number),
            timeout=int(self.timeout * 1e6))


class Watch:
    """Sends what the camera sees, and counts what comes of it."""

    def __init__(self, options):
        self.options = options
        self.stream = Stream(options.server, options.model, options.timeout)
        # Sent and not answered: number to when, and what is to be seen.
        self.open = {}
        self.counts = dict.fromkeys(("frames", "answered", "right", "dropped", "lost"), 0)
        self.latencies, self.seen = [], []
        self.told = time.monotonic()

    def run(self):
        """Watches until the camera ends."""
        self.stream.connect()
        try:
            self.follow()
        finally:
            # What it started would keep the process from ending.
            self.stream.close()

    def follow(self):
        """Sends frame by frame, and waits for the last answers."""
        for number, frame, label in Camera(self.options.rate).frames(self.options.frames):
            self.counts["frames"] += 1
            self.take_answers()
            if len(self.open) >= self.options.open:
                self.counts["dropped"] += 1
            else:
                self.open[number] = (time.monotonic(), label)
                try:
                    self.stream.send(number, prepare(frame))
                except InferenceServerException as error:
                    self.reconnect(error)
            self.tell()
        deadline = time.monotonic() + self.options.timeout
        while self.open and time.monotonic() < deadline:
            self.take_answers(seconds=0.1)
        self.counts["lost"] += len(self.open)

    def take_answers(self, seconds=0.0):
        """Takes the answers that are there, or waits so long for one."""
        answers = self.stream.answers
        while True:
            try:
                result, error = answers.get(timeout=seconds) if seconds else answers.get_nowait()
            except queue.Empty:
                return
            if error:
                self.reconnect(error)
                return
            number = int(result.get_response().id)
            sent, label = self.open.pop(number)
            digit = int(result.as_numpy("logits").argmax())
            self.latencies.append(time.monotonic() - sent)
            self.counts["answered"] += 1
            self.counts["right"] += digit == label
            self.seen.append({"frame": number, "digit": digit, "label": label})

    def reconnect(self, error):
        """An agent is gone, or refused: on with the next one."""
        print(f"camera: {error}; asking another agent", file=sys.stderr)
        self.counts["lost"] += len(self.open)
        self.open.clear()
        self.stream.connect()

    def tell(self):
        """Says once a second how it goes."""
        if time.monotonic() < self.told + 1:
            return
        self.told = time.monotonic()
        recent = sorted(self.latencies[-100:])
        typical = f"{recent[len(recent) // 2] * 1000:.0f} ms" if recent else "-"
        digit = self.seen[-1]["digit"] if self.seen else "-"
        print(f"frame {self.counts['frames']}: sees {digit}, an answer takes {typical}, "
              f"{self.counts['dropped']} dropped", flush=True)


def main():
    """Reads the options and watches."""
    parser = argparse.ArgumentParser(description="Sends the frames of a camera to a mesh.")
    parser.add_argument("--server", action="append", metavar="HOST:PORT",
                        help="where an agent serves gRPC; repeatable. Default: localhost:8702")
    parser.add_argument("--model", default="digits-cnn")
    parser.add_argument("--rate", type=float, default=25, help="frames per second")
    parser.add_argument("--frames", type=int, default=500, help="how many frames there are")
    parser.add_argument("--open", type=int, default=8, help="requests under way at once, at most")
    parser.add_argument("--timeout", type=float, default=2, help="seconds that an answer is of use")
    parser.add_argument("--json", action="store_true", help="print everything that was seen")
    options = parser.parse_args()
    options.server = options.server or ["localhost:8702"]
    watch = Watch(options)
    watch.run()
    if options.json:
        print(json.dumps({**watch.counts, "seen": watch.seen}))
    else:
        print(", ".join(f"{count} {name}" for name, count in watch.counts.items()))


if __name__ == "__main__":
    main()
