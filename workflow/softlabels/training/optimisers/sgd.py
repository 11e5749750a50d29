"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

ENTRY = {
    "about": "Stochastic gradient descent with momentum, as torch's SGD.",
    "options": {
        "momentum": {
            "type": "number",
            "minimum": 0,
            "exclusiveMaximum": 1,
            "default": 0.9,
            "description": "Momentum.",
        },
        "weight_decay": {
            "type": "number",
            "minimum": 0,
            "default": 0.0005,
            "description": "L2 penalty, coupled with the rate as in torch's SGD.",
        },
    },
    "needs": [],
}


def optimiser(parameters: Iterable[torch.nn.Parameter], rate: float, options: dict[str, Any]) -> torch.optim.Optimizer:
    """torch's SGD; the penalty is added to the gradient before the momentum."""
    return torch.optim.SGD(parameters, lr=rate, momentum=options["momentum"], weight_decay=options["weight_decay"])
