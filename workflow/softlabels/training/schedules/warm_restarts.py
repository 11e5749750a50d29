"""Cosine annealing with warm restarts (SGDR, Loshchilov and Hutter 2016)."""

import math

ENTRY = {
    "about": "Cosine annealing with warm restarts (SGDR, Loshchilov and Hutter 2016).",
    "options": {
        "first_cycle": {
            "type": "number", "exclusiveMinimum": 0, "default": 4, "description": "Epochs of the first cycle."},
        "cycle_factor": {
            "type": "number", "minimum": 1, "default": 2, "description": "How much longer each further cycle is."},
    },
}  # fmt: skip


def cycle(epoch: float, options: dict) -> tuple[float, float]:
    """Start and length, in epochs, of the cycle that holds ``epoch``; each is ``cycle_factor`` times the last."""
    start, length = 0.0, float(options["first_cycle"])
    while epoch >= start + length:
        start, length = start + length, length * options["cycle_factor"]
    return start, length


def factor(epoch: float, epochs: float, options: dict) -> float:
    """``(1 + cos(pi t / T)) / 2`` with t epochs since the last restart and T the length of the current cycle."""
    start, length = cycle(epoch, options)
    return (1 + math.cos(math.pi * (epoch - start) / length)) / 2


def ends_mid_cycle(epochs: float, options: dict) -> bool:
    """Whether the last epoch is not the end of a cycle: training would stop at a high rate."""
    start, length = cycle(epochs, options)
    return not (math.isclose(start, epochs) or math.isclose(start + length, epochs))  # sums of lengths are rounded
