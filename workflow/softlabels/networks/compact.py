"""A small residual network for small images on a CPU."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .base import Body, load_weights

ENTRY = {
    "about": "A small residual network for small images on a CPU; 64 features.",
    "options": {},
    "parameters": 76472, "features": 64, "multiplications": 2402, "activations": 30,
}  # fmt: skip

WIDTHS = (24, 32, 64)


class Block(nn.Module):
    """Two 3x3 convolutions that halve the resolution, with a projected shortcut (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)))


class Compact(nn.Module):
    """A 5x5 stem that halves the resolution, two blocks, global average pooling: 64 features."""

    def __init__(self) -> None:
        super().__init__()
        # Half the resolution from the first layer on: 2.5 to 3 times the images a second of a full-resolution stem on a
        # CPU, at the same accuracy on the synthetic set (docs/benchmarks.md).
        self.stem = nn.Conv2d(3, WIDTHS[0], 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise(WIDTHS)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(F.relu(self.norm(self.stem(x)))).mean(dim=(2, 3))


def body(options: dict[str, Any], weights: str, weights_file: Path | None) -> Body:
    """64 pooled features; there are no pre-trained weights of this network."""
    module = Compact()
    if weights == "file":
        load_weights(module, weights_file)
    return Body(module, WIDTHS[-1])
