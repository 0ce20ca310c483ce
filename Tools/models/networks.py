"""Networks of the literature that timm does not have, in plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, batch normalisation and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Inception(nn.Module):
    """Four branches side by side, joined along the channels."""

    def __init__(
        self,
        inputs: int,
        direct: int,
        middle: tuple[int, int],
        wide: tuple[int, int],
        pooled: int,
    ) -> None:
        super().__init__()
        self.direct = unit(inputs, direct, 1)
        self.middle = nn.Sequential(unit(inputs, middle[0], 1), unit(middle[0], middle[1], 3))
        self.wide = nn.Sequential(unit(inputs, wide[0], 1), unit(wide[0], wide[1], 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(inputs, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Joins what the branches make of the same input."""
        return torch.cat([self.direct(x), self.middle(x), self.wide(x), self.pooled(x)], 1)


class GoogLeNet(nn.Module):
    """Szegedy et al. 2014, as it is used for inference: without the two auxiliary classifiers.

    As in all later implementations, batch normalisation takes the place of the local response
    normalisation.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            unit(3, 64, 7, 2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            unit(64, 64, 1),
            unit(64, 192, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.stage3 = nn.Sequential(
            Inception(192, 64, (96, 128), (16, 32), 32),
            Inception(256, 128, (128, 192), (32, 96), 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.stage4 = nn.Sequential(
            Inception(480, 192, (96, 208), (16, 48), 64),
            Inception(512, 160, (112, 224), (24, 64), 64),
            Inception(512, 128, (128, 256), (24, 64), 64),
            Inception(512, 112, (144, 288), (32, 64), 64),
            Inception(528, 256, (160, 320), (32, 128), 128),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.stage5 = nn.Sequential(
            Inception(832, 256, (160, 320), (32, 128), 128),
            Inception(832, 384, (192, 384), (48, 128), 128),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(1024, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [N, 3, 224, 224] to logits."""
        x = self.stage5(self.stage4(self.stage3(self.stem(image))))
        return self.head(self.pool(x).flatten(1))


class EncoderLayer(nn.Module):
    """Attention and a feed-forward layer, each normalised after its residual."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        """Multi-head self-attention with a bias added to the scores."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, bias)
        return self.project(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Maps tokens to tokens of the same shape."""
        x = self.norm1(x + self.attend(x, bias))
        return self.norm2(x + self.contract(F.gelu(self.expand(x))))


class Bert(nn.Module):
    """The BERT-Base encoder of Devlin et al. 2018 with its pooler."""

    WORDS = 30522
    POSITIONS = 512
    WIDTH = 768
    HEADS = 12
    HIDDEN = 3072
    DEPTH = 12
    MASKED = -10000.0

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(self.WORDS, self.WIDTH)
        self.positions = nn.Embedding(self.POSITIONS, self.WIDTH)
        self.types = nn.Embedding(2, self.WIDTH)
        self.norm = nn.LayerNorm(self.WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(
            EncoderLayer(self.WIDTH, self.HEADS, self.HIDDEN) for _ in range(self.DEPTH)
        )
        self.pooler = nn.Linear(self.WIDTH, self.WIDTH)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Maps int64 tensors [N, tokens] to the last hidden state and the pooled first token."""
        places = torch.arange(input_ids.shape[1])
        x = self.words(input_ids) + self.positions(places) + self.types(token_type_ids)
        x = self.norm(x)
        bias = (1.0 - attention_mask[:, None, None].float()) * self.MASKED
        for layer in self.layers:
            x = layer(x, bias)
        return x, torch.tanh(self.pooler(x[:, 0]))
