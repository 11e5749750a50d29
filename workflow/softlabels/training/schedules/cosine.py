"""Cosine annealing to zero (Loshchilov and Hutter 2016, without restarts)."""

import math

ENTRY = {
    "about": "Cosine annealing to zero (Loshchilov and Hutter 2016).",
    "options": {},
}  # fmt: skip


def factor(epoch: float, epochs: float, options: dict) -> float:
    """``(1 + cos(pi epoch / epochs)) / 2``."""
    return (1 + math.cos(math.pi * epoch / epochs)) / 2
