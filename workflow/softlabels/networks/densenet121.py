"""DenseNet121 (Huang et al. 2017): the paper's network for the synthetic data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .base import Body, of_timm

ENTRY = {
    "about": "DenseNet121 (Huang et al. 2017), the paper's network for the synthetic set; 1,024 features.",
    "options": {}, "weights": ["imagenet"],
    "parameters": 7037625, "features": 1024, "multiplications": 56464, "activations": 690,
}  # fmt: skip


def body(options: dict[str, Any], weights: str, weights_file: Path | None) -> Body:
    """1,024 pooled features; ``imagenet`` means torchvision's weights."""
    return of_timm("densenet121.tv_in1k", weights, weights_file)
