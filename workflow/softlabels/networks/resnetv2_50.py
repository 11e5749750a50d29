"""ResNet50v2 (He et al. 2016, pre-activation, batch normalisation): the paper's network for MiceBone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .base import Body, of_timm

ENTRY = {
    "about": "ResNet50v2 (He et al. 2016), the paper's network for MiceBone; 2,048 features.",
    "options": {}, "weights": ["imagenet"],
    "parameters": 23545841, "features": 2048, "multiplications": 81456, "activations": 392,
}  # fmt: skip


def body(options: dict[str, Any], weights: str, weights_file: Path | None) -> Body:
    """2,048 pooled features; ``imagenet`` means timm's a1h recipe."""
    return of_timm("resnetv2_50.a1h_in1k", weights, weights_file)
