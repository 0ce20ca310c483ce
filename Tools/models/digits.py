#!/usr/bin/env python3
"""Trains the four committed digit models and writes all of `digits/` but the card.

The data are scikit-learn's bundled handwritten digits: 1797 scans of 8x8 pixels. Each scan is drawn
bilinearly onto a 64x64 canvas at a random place, size and angle, so that the networks have spatial
extent to be cut along. A quarter of the scans is held back from training; each held-back scan is
drawn once, and the models are judged on those drawings.

Run it through the `train` script beside it. Everything is seeded; on other hardware or with other
library versions the weights may still differ in their last bits, and so may the accuracy, slightly.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from check import infer
from exporting import OPSET, export

SEED = 20260
CANVAS = 64
CLASSES = 10
HELD_BACK_SHARE = 0.25
COMMITTED_IMAGES = 256
OUTPUT = Path(__file__).resolve().parent / "digits"


@dataclass(frozen=True)
class Split:
    """Scans in [0, 1] of shape [N, 1, 8, 8] with their labels, divided once and for all."""

    train_scans: Tensor
    train_labels: Tensor
    test_scans: Tensor
    test_labels: Tensor


@dataclass(frozen=True)
class Recipe:
    """How long and how hard one model is trained."""

    epochs: int
    batch: int
    peak_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Threshold:
    """What a threshold for the largest probability of every exit does."""

    threshold: float
    accuracy: float
    shares: list[float]
    operations: float


@dataclass(frozen=True)
class Result:
    """What the card says of one trained model."""

    parameters: int
    held_back_accuracy: float
    committed_accuracy: float
    recipe: Recipe
    outputs: dict[str, float] | None = None
    thresholds: list[Threshold] | None = None


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity, or a 1x1 projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Adds the block's correction to its input."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class DigitsCNN(nn.Module):
    """A residual network: a two-convolution stem, a max pool and three stages of blocks."""

    WIDTHS = (48, 80, 128)
    BLOCKS = (4, 3, 2)

    def __init__(self) -> None:
        super().__init__()
        first = self.WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 3, 1, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, first, 3, 1, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        stages: list[nn.Module] = []
        inputs = first
        for index, (width, blocks) in enumerate(zip(self.WIDTHS, self.BLOCKS, strict=True)):
            strides = [1 if index == 0 else 2] + [1] * (blocks - 1)
            for stride in strides:
                stages.append(ResidualBlock(inputs, width, stride))
                inputs = width
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(inputs, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [N, 1, 64, 64] to logits [N, 10]."""
        return self.head(self.pool(self.stages(self.stem(image))).flatten(1))


class DigitsExits(nn.Module):
    """A residual network with a classifier behind each of its three stages.

    An easy drawing is read by the first; each stage works on a quarter of the pixels of the one
    before it with twice the channels, and has more blocks, so that leaving early saves most.
    """

    OUTPUTS = ("exit1", "exit2", "logits")
    WIDTHS = (24, 48, 96)
    BLOCKS = (1, 2, 4)

    def __init__(self) -> None:
        super().__init__()
        first = self.WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        stages: list[nn.Module] = []
        inputs = first
        for index, (width, blocks) in enumerate(zip(self.WIDTHS, self.BLOCKS, strict=True)):
            strides = [1 if index == 0 else 2] + [1] * (blocks - 1)
            stage: list[nn.Module] = []
            for stride in strides:
                stage.append(ResidualBlock(inputs, width, stride))
                inputs = width
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, CLASSES)
            )
            for width in self.WIDTHS
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Maps images [N, 1, 64, 64] to the logits of each classifier, [N, 10]."""
        x = self.stem(image)
        logits = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            logits.append(head(x))
        return tuple(logits)


class DigitsBranches(nn.Module):
    """Four narrow residual networks on the same image, whose features only the last layer joins.

    Each could run on a device of its own: the image goes out, 64 numbers come back.
    """

    BRANCHES = 4
    WIDTHS = (24, 40, 64)
    BLOCKS = (3, 2, 2)

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(self.branch() for _ in range(self.BRANCHES))
        self.head = nn.Linear(self.BRANCHES * self.WIDTHS[-1], CLASSES)

    @classmethod
    def branch(cls) -> nn.Sequential:
        """A stem of stride 2, three stages of blocks and the average over the image."""
        inputs = cls.WIDTHS[0]
        layers: list[nn.Module] = [
            nn.Conv2d(1, inputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
        ]
        for index, (width, blocks) in enumerate(zip(cls.WIDTHS, cls.BLOCKS, strict=True)):
            for block in range(blocks):
                stride = 2 if index > 0 and block == 0 else 1
                layers.append(ResidualBlock(inputs, width, stride))
                inputs = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [N, 1, 64, 64] to logits [N, 10]."""
        return self.head(torch.cat([branch(image) for branch in self.branches], 1))


class TransformerBlock(nn.Module):
    """A pre-normalised attention layer and feed-forward layer, each with its residual."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def attend(self, x: Tensor) -> Tensor:
        """Multi-head self-attention over [N, tokens, width]."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, scale=self.head_width**-0.5)
        return self.project(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens to tokens of the same shape."""
        x = x + self.attend(self.norm1(x))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


def embedding_stage(inputs: int, outputs: int) -> nn.Sequential:
    """A convolution that halves height and width, batch normalisation and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class DigitsViT(nn.Module):
    """A vision transformer: 64 overlapping patches, six blocks, the mean of the tokens classified.

    Three strided convolutions and a 1x1 one embed the patches, one token for every 8x8 pixels: with
    as few scans as these, that learns far faster than one linear map of each patch.
    """

    PATCH = 8
    STEM = (24, 48, 96)
    WIDTH = 128
    HEADS = 4
    HIDDEN = 384
    DEPTH = 6

    def __init__(self) -> None:
        super().__init__()
        tokens = (CANVAS // self.PATCH) ** 2
        widths = (1, *self.STEM)
        self.embed = nn.Sequential(
            *(embedding_stage(*pair) for pair in itertools.pairwise(widths)),
            nn.Conv2d(widths[-1], self.WIDTH, 1),
        )
        self.position = nn.Parameter(torch.randn(1, tokens, self.WIDTH) * 0.02)
        self.blocks = nn.Sequential(
            *(TransformerBlock(self.WIDTH, self.HEADS, self.HIDDEN) for _ in range(self.DEPTH))
        )
        self.norm = nn.LayerNorm(self.WIDTH)
        self.head = nn.Linear(self.WIDTH, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [N, 1, 64, 64] to logits [N, 10]."""
        tokens = self.embed(image).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(tokens)).mean(1))


MODELS: dict[str, tuple[type[nn.Module], Recipe]] = {
    "branches": (
        DigitsBranches,
        Recipe(epochs=10, batch=32, peak_rate=2e-3, weight_decay=0.02),
    ),
    "cnn": (DigitsCNN, Recipe(epochs=10, batch=32, peak_rate=2e-3, weight_decay=0.02)),
    "exits": (DigitsExits, Recipe(epochs=16, batch=32, peak_rate=2e-3, weight_decay=0.02)),
    "vit": (DigitsViT, Recipe(epochs=45, batch=16, peak_rate=1e-3, weight_decay=0.05)),
}


def load_split() -> Split:
    """The data, divided by class-balanced draw with the fixed seed."""
    digits = load_digits()
    scans = (digits.images / 16.0).astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    train_scans, test_scans, train_labels, test_labels = train_test_split(
        scans, labels, test_size=HELD_BACK_SHARE, random_state=SEED, stratify=labels
    )
    return Split(*map(torch.from_numpy, (train_scans, train_labels, test_scans, test_labels)))


def place(scans: Tensor, generator: torch.Generator) -> Tensor:
    """Draws scans [N, 1, 8, 8] onto canvases [N, 1, 64, 64] at random places, sizes and angles.

    A digit covers 65 to 95 % of the canvas, lies wholly on it before it is turned, and is turned by
    at most 10 degrees.
    """
    count = len(scans)

    def uniform(low: float, high: float, columns: int = 1) -> Tensor:
        """Even draws from [low, high) of shape [N, columns]."""
        return low + (high - low) * torch.rand(count, columns, generator=generator)

    size = uniform(0.65, 0.95)
    angle = uniform(-math.pi / 18, math.pi / 18)
    shift = uniform(-1, 1, 2) * (1 - size)
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], -1).view(-1, 2, 2)
    linear = turn / size[:, :, None]
    offset = -linear @ shift[:, :, None]
    grid = F.affine_grid(torch.cat([linear, offset], 2), [count, 1, CANVAS, CANVAS], False)
    return F.grid_sample(scans, grid, "bilinear", "zeros", False)


def rate_at(progress: float, peak: float) -> float:
    """The learning rate after a share of the training: a short linear rise, then half a cosine."""
    warm = 0.08
    if progress < warm:
        return peak * progress / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


def train(model: nn.Module, split: Split, recipe: Recipe) -> None:
    """Trains in place, on the training scans alone."""
    generator = torch.Generator().manual_seed(SEED)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=recipe.weight_decay)
    model.train()
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(split.train_scans), generator=generator)
        batches = order.split(recipe.batch)
        total = 0.0
        for step, batch in enumerate(batches):
            progress = (epoch + step / len(batches)) / recipe.epochs
            for group in optimiser.param_groups:
                group["lr"] = rate_at(progress, recipe.peak_rate)
            logits = model(place(split.train_scans[batch], generator))
            outputs = logits if isinstance(logits, tuple) else (logits,)
            labels = split.train_labels[batch]
            loss = sum(
                F.cross_entropy(output, labels, label_smoothing=0.05) for output in outputs
            ) / len(outputs)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            total += loss.item() * len(batch)
        print(f"  epoch {epoch + 1:3d}: loss {total / len(order):.4f}", flush=True)


def operations(model: nn.Module) -> list[float]:
    """Multiply-adds of one image up to each output of a model with exits, in millions."""
    counts: dict[nn.Module, float] = {}

    def note(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        weight = module.weight
        counts[module] = weight.numel() * output[0, 0].numel() / 1e6

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, CANVAS, CANVAS))
    for hook in hooks:
        hook.remove()

    def of(module: nn.Module) -> float:
        return sum(counts.get(part, 0) for part in module.modules())

    sums, total = [], of(model.stem)
    for stage, head in zip(model.stages, model.heads, strict=True):
        total += of(stage) + of(head)
        sums.append(total)
    return sums


def thresholds(
    outputs: list[np.ndarray], labels: np.ndarray, costs: list[float]
) -> list[Threshold]:
    """What each threshold for the largest probability does: the first sure output answers."""
    rows = []
    powers = [np.exp(o - o.max(1, keepdims=True)) for o in outputs]
    sure = np.stack([(p / p.sum(1, keepdims=True)).max(1) for p in powers])
    right = np.stack([o.argmax(1) == labels for o in outputs])
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0):
        leaves = sure >= threshold
        leaves[-1] = True
        taken = leaves.argmax(0)
        shares = [float((taken == index).mean()) for index in range(len(outputs))]
        rows.append(
            Threshold(
                threshold=threshold,
                accuracy=float(right[taken, np.arange(len(labels))].mean()),
                shares=shares,
                operations=sum(s * c for s, c in zip(shares, costs, strict=True)),
            )
        )
    return rows


def make_exits(model: nn.Module, path: Path, split: Split, images: np.ndarray) -> dict:
    """Exports and judges the model with exits, and writes what each of its outputs should be."""
    names = DigitsExits.OUTPUTS
    export(model, {"image": torch.zeros(1, 1, CANVAS, CANVAS)}, names, path)
    outputs = [infer(path, images, name) for name in names]
    labels = split.test_labels.numpy()
    np.save(OUTPUT / "expected-exits.npy", np.stack(outputs, 1)[:COMMITTED_IMAGES])
    return {
        "outputs": {
            name: float((o.argmax(1) == labels).mean())
            for name, o in zip(names, outputs, strict=True)
        },
        "thresholds": thresholds(outputs, labels, operations(model)),
        "logits": outputs[-1],
    }


def make_model(name: str, split: Split, images: np.ndarray) -> Result:
    """Trains, exports and judges one model, and writes the logits it is expected to give."""
    kind, recipe = MODELS[name]
    torch.manual_seed(SEED)
    model = kind()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {parameters} parameters", flush=True)
    train(model, split, recipe)
    path = OUTPUT / f"digits-{name}.onnx"
    more = {}
    if name == "exits":
        more = make_exits(model, path, split, images)
        logits = more.pop("logits")
    else:
        export(model, {"image": torch.zeros(1, 1, CANVAS, CANVAS)}, ["logits"], path)
        logits = infer(path, images)
        np.save(OUTPUT / f"expected-{name}.npy", logits[:COMMITTED_IMAGES])
    right = logits.argmax(1) == split.test_labels.numpy()
    return Result(
        parameters=parameters,
        held_back_accuracy=float(right.mean()),
        committed_accuracy=float(right[:COMMITTED_IMAGES].mean()),
        recipe=recipe,
        **more,
    )


def write_facts(results: dict[str, Result], split: Split) -> None:
    """Adds this run's figures to `digits/facts.json`, which the card quotes."""
    path = OUTPUT / "facts.json"
    facts = json.loads(path.read_text()) if path.exists() else {"models": {}}
    packages = ("torch", "onnx", "onnxruntime", "onnxscript", "scikit-learn", "numpy")
    facts["seed"] = SEED
    facts["opset"] = OPSET
    facts["scans"] = {
        "training": len(split.train_labels),
        "held back": len(split.test_labels),
        "committed": COMMITTED_IMAGES,
    }
    facts["versions"] = {"python": platform.python_version()}
    facts["versions"] |= {package: version(package) for package in packages}
    facts["models"] |= {name: asdict(result) for name, result in results.items()}
    path.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def main() -> None:
    """Makes all models, or the one named on the command line."""
    parser = argparse.ArgumentParser(description="Train the committed digit models.")
    parser.add_argument("--only", choices=MODELS, help="make just this one of them")
    only = parser.parse_args().only
    names = [only] if only else list(MODELS)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    OUTPUT.mkdir(exist_ok=True)
    split = load_split()
    held_back = place(split.test_scans, torch.Generator().manual_seed(SEED + 1)).numpy()
    np.save(OUTPUT / "images.npy", held_back[:COMMITTED_IMAGES])
    np.save(OUTPUT / "labels.npy", split.test_labels.numpy()[:COMMITTED_IMAGES])
    results = {name: make_model(name, split, held_back) for name in names}
    write_facts(results, split)
    for name, result in results.items():
        print(f"{name}: {result.held_back_accuracy:.4f} of the held-back scans right")


if __name__ == "__main__":
    main()
