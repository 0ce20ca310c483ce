"""The processes of a benchmark, and what the figures of several runs come to."""

import base64
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get(
    "TESSERA_BENCHMARKS_PROGRAM", os.path.join(ROOT, ".build", "release", "tessera-benchmarks"))
sys.path.insert(0, os.path.join(ROOT, "Tools", "Tests"))

import kserve  # noqa: E402
import load  # noqa: E402
import mesh  # noqa: E402

DATATYPES = {"float32": "FP32", "float16": "FP16", "uint8": "UINT8", "int32": "INT32",
             "int64": "INT64"}


class Part:
    """A process of tessera-benchmarks: takes commands, answers each with a line of JSON."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        self.first = self.read()

    def read(self):
        """The answer to the oldest command that was not read yet."""
        line = self.process.stdout.readline()
        if not line:
            raise mesh.Failed(f"a benchmark process ended with {self.process.wait()}")
        return json.loads(line)

    def tell(self, *words):
        """Gives a command and does not wait."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def ask(self, *words):
        """Gives a command and waits for the answer."""
        self.tell(*words)
        return self.read()

    def output(self):
        """The bytes of the last result."""
        return base64.b64decode(self.ask("output")["base64"])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.process.stdin.close()
        else:
            self.process.kill()
        self.process.wait()


def bare_engine(model, folder, threads=1):
    """The bare engine with a model, on input that is the same each time."""
    path = os.path.join(folder, "input")
    if not os.path.exists(path):
        # Small positive floats as pixels have them, by a fixed rule; more than any model here reads.
        import array
        values = array.array("f", (((index * 2654435761) % 4093) / 4093 for index in range(1 << 18)))
        with open(path, "wb") as file:
            file.write(values.tobytes())
    return Part("engine", model, "--threads", threads, "--input", path)


def request(description, folder):
    """Writes the body of a request with the input of `bare_engine`; gives its path and JSON size."""
    header = {"inputs": [], "parameters": {"binary_data_output": True}}
    for tensor in description["inputs"]:
        header["inputs"].append({
            "name": tensor["name"], "datatype": DATATYPES[tensor["type"]], "shape": tensor["shape"],
            "parameters": {"binary_data_size": tensor["byteCount"]}})
    size = sum(tensor["byteCount"] for tensor in description["inputs"])
    with open(os.path.join(folder, "input"), "rb") as file:
        data = file.read(size)
    text = json.dumps(header).encode()
    path = os.path.join(folder, "request")
    with open(path, "wb") as file:
        file.write(text + data)
    return path, len(text)


def client(agents, model, body):
    """A client of agents."""
    return Part("client", *[f"{agent.host}:{agent.port}" for agent in agents], "--path",
                f"/v2/models/{model}/infer", "--body", body[0], "--header-length", body[1])


def pin(process, core):
    """Keeps a process, with all its threads, on one core: as a device that has but one."""
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(thread), {core})


def median(values):
    """The middle value."""
    return statistics.median(values)


def quantile(values, fraction):
    """The value that so large a part is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def spread(values, digits=2):
    """Median with the quartiles in brackets, as text."""
    return (f"{median(values):.{digits}f} "
            f"[{quantile(values, 0.25):.{digits}f}, {quantile(values, 0.75):.{digits}f}]")


def rate(ends, skipped_seconds):
    """Runs per second after the start of a stream has been skipped."""
    times = [end / 1e9 for end in ends if end / 1e9 >= skipped_seconds]
    if len(times) < 3:
        raise mesh.Failed("too few answers in a block; use longer blocks")
    return (len(times) - 1) / (times[-1] - times[0])


def machine():
    """What figures depend on."""
    name = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        pass
    return {"processor": name, "cores": os.cpu_count(), "kernel": platform.release()}


class Idle:
    """The processor time that other programs took during a measurement, in cores."""

    def __init__(self):
        self.begin = self._read()

    @staticmethod
    def _read():
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
        return {"all": sum(fields), "idle": fields[3] + fields[4], "stolen": fields[7]}

    def figures(self):
        """Parts of all processor time: idle, and taken by the host; and the load now."""
        now = self._read()
        span = max(1, now["all"] - self.begin["all"])
        return {"idlePart": round((now["idle"] - self.begin["idle"]) / span, 3),
                "stolenPart": round((now["stolen"] - self.begin["stolen"]) / span, 3),
                "loadAverages": os.getloadavg()}


def table(rows):
    """Prints rows as a Markdown table; the first is the head."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        print("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    sys.stdout.flush()


def note(text):
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def folder():
    """A temporary folder; use it with `with`."""
    return tempfile.TemporaryDirectory(prefix="tessera-benchmark-")
