"""Stochastic gradient descent with momentum, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

ENTRY = {
    "about": "Stochastic gradient descent with momentum.",
    "options": {
        "momentum": {
            "type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.9, "description": "Momentum."},
        "weight_decay": {
            "type": "number", "minimum": 0, "default": 0.0005,
            "description": "L2 penalty, coupled with the rate as in torch's SGD."},
    },
}  # fmt: skip


def optimiser(parameters: Iterable[torch.nn.Parameter], rate: float, options: dict[str, Any]) -> torch.optim.Optimizer:
    """SGD whose L2 penalty is coupled with the rate."""
    return torch.optim.SGD(parameters, lr=rate, momentum=options["momentum"], weight_decay=options["weight_decay"])
