#!/usr/bin/env python3
"""Makes full-size models with true architectures and seeded random weights, as ONNX files.

Load and latency do not depend on what a network has learnt, so these stand in for trained ones
where work is measured. Run it through the `make` script beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from exporting import export
from networks import Bert, GoogLeNet

SEED = 20260
TOKENS = 128
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / ".build-models"


@dataclass(frozen=True)
class Model:
    """A network with example inputs and the names that the file gives inputs and outputs."""

    network: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]


def declare_vision_operators() -> torch.library.Library | None:
    """Declares operators that torchvision's import looks up, where its compiled ones don't load.

    timm imports torchvision, but the classifiers made here use none of its operators. The
    declarations last as long as the library that is returned.
    """
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("timm needs torchvision: install requirements.txt")
    try:
        for library in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(library)
        return None
    except OSError:
        declared = torch.library.Library("torchvision", "DEF")
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        declared.define("nms" + signature)
        declared.define("qnms" + signature)
        return declared


def classifier(network: nn.Module) -> Model:
    """A model of one image 224 by 224 to a thousand logits."""
    return Model(network, {"image": torch.randn(1, 3, 224, 224)}, ("logits",))


def from_timm(name: str, **options: bool) -> Model:
    """A classifier of timm's, with timm's own random weights."""
    declared = declare_vision_operators()
    import timm

    model = classifier(timm.create_model(name, num_classes=1000, **options))
    del declared
    return model


class OfBytes(nn.Module):
    """A classifier of images as cameras give them: bytes, normalised in the graph."""

    MEAN = (0.485, 0.456, 0.406)
    DEVIATION = (0.229, 0.224, 0.225)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        scale = [1 / (255 * one) for one in self.DEVIATION]
        shift = [-mean / one for mean, one in zip(self.MEAN, self.DEVIATION)]
        self.register_buffer("scale", torch.tensor(scale).reshape(1, 3, 1, 1))
        self.register_buffer("shift", torch.tensor(shift).reshape(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits of bytes [1, 3, height, width]."""
        return self.network(image.float() * self.scale + self.shift)


def of_bytes(name: str) -> Model:
    """A classifier by its name, whose image is of bytes."""
    model = MODELS[name]()
    image = torch.randint(256, model.inputs["image"].shape, dtype=torch.uint8)
    return Model(OfBytes(model.network), {"image": image}, model.outputs)


def bert() -> Model:
    """BERT-Base over one full sequence."""
    inputs = {
        "input_ids": torch.randint(Bert.WORDS, (1, TOKENS)),
        "attention_mask": torch.ones(1, TOKENS, dtype=torch.int64),
        "token_type_ids": torch.zeros(1, TOKENS, dtype=torch.int64),
    }
    return Model(Bert(), inputs, ("last_hidden_state", "pooler_output"))


MODELS: dict[str, Callable[[], Model]] = {
    "resnet50": lambda: from_timm("resnet50", zero_init_last=False),
    "vgg16": lambda: from_timm("vgg16"),
    "mobilenetv2": lambda: from_timm("mobilenetv2_100"),
    "efficientnet-b0": lambda: from_timm("efficientnet_b0"),
    "googlenet": lambda: classifier(GoogLeNet()),
    "densenet121": lambda: from_timm("densenet121"),
    "vit-base": lambda: from_timm("vit_base_patch16_224"),
    "vit-large": lambda: from_timm("vit_large_patch16_224"),
    "vit-huge": lambda: from_timm("vit_huge_patch14_224"),
    "bert-base": bert,
    "vit-base-uint8": lambda: of_bytes("vit-base"),
}


@torch.no_grad()
def roughen(network: nn.Module) -> None:
    """Moves biases and norms off their exact zeros and ones, as training would.

    Left so, the exporter drops them, and the graph is not the one of a trained network.
    """
    for parameter in network.parameters():
        if parameter.dim() == 1:
            parameter.add_(torch.randn_like(parameter), alpha=0.02)


@torch.no_grad()
def settle(network: nn.Module) -> None:
    """Gives batch normalisations the statistics of random images, so that activations stay sane."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    network(torch.randn(4, 3, 224, 224))


def make(name: str, path: Path) -> None:
    """Makes one model; the same name gives the same weights every time."""
    torch.manual_seed(SEED)
    model = MODELS[name]()
    roughen(model.network)
    settle(model.network)
    path.parent.mkdir(parents=True, exist_ok=True)
    export(model.network, model.inputs, model.outputs, path)
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    print(f"{name}: {parameters} parameters in {path}")


def main() -> None:
    """Makes the model named on the command line."""
    parser = argparse.ArgumentParser(description="Make a model with seeded random weights.")
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("--output", type=Path, help="default: .build-models/NAME.onnx")
    arguments = parser.parse_args()
    make(arguments.name, arguments.output or DEFAULT_FOLDER / f"{arguments.name}.onnx")


if __name__ == "__main__":
    main()
