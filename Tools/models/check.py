#!/usr/bin/env python3
"""Checks the committed digit models against the committed images, labels and expected logits.

ONNX Runtime runs them. Exits with 1 if a model is right on fewer than 97 % of the images, or gives
logits other than the committed ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(__file__).resolve().parent / "digits"
LEAST_ACCURACY = 0.97
TOLERANCE = 1e-3


def infer(path: Path, images: np.ndarray, output: str = "logits") -> np.ndarray:
    """An output [N, 10] for images [N, 1, 64, 64], one at a time as the model's static shape asks."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run([output], {"image": image[None]})[0] for image in images])


def check(name: str, images: np.ndarray, labels: np.ndarray) -> bool:
    """Judges one model, and says how it did."""
    logits = infer(FOLDER / f"digits-{name}.onnx", images)
    accuracy = float((logits.argmax(1) == labels).mean())
    expected = np.load(FOLDER / f"expected-{name}.npy")
    # A model with exits has an expected output for each of them, the last one's behind the others.
    difference = float(np.abs(logits - (expected[:, -1] if expected.ndim == 3 else expected)).max())
    good = accuracy >= LEAST_ACCURACY and difference <= TOLERANCE
    verdict = "ok" if good else "FAILED"
    print(f"{name}: accuracy {accuracy:.4f}, largest difference {difference:.2e}: {verdict}")
    return good


def main() -> int:
    """Checks every model, also after one has failed."""
    images = np.load(FOLDER / "images.npy")
    labels = np.load(FOLDER / "labels.npy")
    verdicts = [check(name, images, labels) for name in ("branches", "cnn", "exits", "vit")]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
