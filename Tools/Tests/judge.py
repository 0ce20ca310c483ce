"""Runs ONNX files on ONNX Runtime and compares what another engine made of the same inputs.

    python judge.py FOLDER

Each folder inside FOLDER holds `model.onnx`, `input.f32`, and for each output of the model a file
of its name that ends in `.f32`. Prints each difference above the limit, then how many outputs were
compared; exits with 1 if one differed.
"""

import pathlib
import sys

import numpy
import onnxruntime

RELATIVE_MAX = 1e-4


def compare(folder):
    """Yields for each output of one model the difference as a share of the output's range."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    [feed] = session.get_inputs()
    image = numpy.fromfile(folder / "input.f32", "<f4").reshape(feed.shape)
    for output, expected in zip(session.get_outputs(), session.run(None, {feed.name: image})):
        found = numpy.fromfile(folder / f"{output.name}.f32", "<f4").reshape(expected.shape)
        extent = max(numpy.ptp(expected), numpy.abs(expected).max(), numpy.finfo("f4").tiny)
        yield output.name, numpy.abs(found - expected).max() / extent


def main():
    """Judges every folder."""
    count = wrong = 0
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        for name, difference in compare(folder):
            count += 1
            if not difference <= RELATIVE_MAX:
                wrong += 1
                print(f"{folder.name} {name}: {difference:.2e}")
    print(f"{count} outputs compared, {wrong} differ")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()
