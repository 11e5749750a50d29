"""What options of metrics choose: the truth, one class, the order of classes; and which items are tied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts import Options
from ..errors import UserError
from .aligned import Aligned

DIGITS = 12  # logarithms of probabilities that agree in so many decimals are equal: beyond is rounding


def scores(log_prediction: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities as they are compared: items that differ by rounding alone are tied."""
    return np.round(log_prediction, DIGITS)


def truth(aligned: Aligned, options: Options) -> np.ndarray:
    """What is right, float64 ``[n, C]``: the reference (``votes``), or 1 at its most probable class (``majority``)."""
    if options["truth"] == "votes":
        return aligned.reference
    return np.eye(aligned.reference.shape[1])[aligned.reference.argmax(axis=1)]


def positive(options: Options, classes: Sequence[str]) -> list[int]:
    """The class that ``positive`` names, or where that is null every class, by index; another name is an error."""
    named = options["positive"]
    if named is None:
        return [*range(len(classes))]
    if named not in classes:
        raise UserError(
            f"metric {options['kind']}: positive: found '{named}', expected one of {', '.join(classes)}. Name a class."
        )
    return [classes.index(named)]


def order(options: Options, classes: Sequence[str]) -> list[int]:
    """The indices of the classes from the lowest to the highest; an ``order`` without each class once is an error."""
    named = options["order"] or classes
    if sorted(named) != sorted(classes):
        odd = next(name for name in (*named, *classes) if name not in classes or [*named].count(name) != 1)
        raise UserError(
            f"metric {options['kind']}: order: found '{odd}' {[*named].count(odd)} times, expected each of "
            f"{', '.join(classes)} once, from the lowest to the highest. Correct the list."
        )
    return [classes.index(name) for name in named]


def require(options: Options, classes: Sequence[str]) -> None:
    """Refuse a metric that names other classes than those of the data set."""
    for key, read in (("positive", positive), ("order", order)):
        if key in options:
            read(options, classes)
