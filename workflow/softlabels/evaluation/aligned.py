"""What is to be scored, put together once, and the metrics that score it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import registry
from ..contracts import Options, Reference
from ..errors import UserError
from .readers import Said


@dataclass(frozen=True)
class Aligned:
    """n items of one part; row k of every array belongs to ``item[k]``."""

    part: str  # val or test
    item: np.ndarray  # int [n]
    reference: np.ndarray  # float64 [n, C]; rows sum to 1
    log_prediction: np.ndarray  # logarithms of the predicted distributions, float64 [n, C]; -inf where one is 0
    classes: list[str]  # names of the C classes
    features: np.ndarray | None = None  # float64 [n, F]; None in the validation part and without a network
    counts: np.ndarray | None = None  # the votes that the reference is made of, int64 [n, C]; None where it is exact
    calibration: Aligned | None = None  # the items that are kept for calibration; None where no metric needs them
    said: Said | None = None  # the votes that judge and who gave them; None where nobody is known, or not asked for


# Metrics by name: float64 [n], a number an item, whose mean is the metric, or a float where it says nothing of items.
Values = dict[str, np.ndarray | float]
Score = Callable[[Aligned], Values]
# What a metric may need beside reference and prediction (``needs`` of its ENTRY), and where that is.
NEEDS: dict[str, Callable[[Aligned], Any]] = {
    "features": lambda aligned: aligned.features,
    "votes": lambda aligned: aligned.counts,
    "calibration": lambda aligned: aligned.calibration,
    "annotators": lambda aligned: aligned.said,
}


def of_part(
    part: str, item: np.ndarray, reference: Reference, log_prediction: np.ndarray, features: np.ndarray | None,
    said: Said | None = None,
) -> Aligned:  # fmt: skip
    """The items of a part of a run, with their references, and of ``said`` what is theirs."""
    rows = reference.rows(item)
    counts = None if reference.counts is None else reference.counts[rows]
    return Aligned(
        part, item, reference.p[rows], log_prediction, reference.classes, features, counts,
        said=said and said.of(rows),
    )  # fmt: skip


def scorer(metrics: Mapping[str, Options], needs: Mapping[str, list[str]]) -> Score:
    """A function that scores by some metrics (name to options), some of which have needs (name to keys of NEEDS).

    A metric is NaN where it is not defined: without items, or without what it needs.
    """
    functions = {name: registry.load("metric", options["kind"]) for name, options in metrics.items()}

    def score(aligned: Aligned) -> Values:
        return {
            name: _checked(name, function(aligned, metrics[name]), len(aligned.item))
            if len(aligned.item) and all(NEEDS[need](aligned) is not None for need in needs.get(name, ()))
            else np.nan
            for name, function in functions.items()
        }

    return score


def _checked(name: str, value: Any, n: int) -> np.ndarray | float:
    """What a metric returned, as float64 [n] or a float; an array of another shape is an error."""
    if np.asarray(value).dtype.kind not in "biuf":
        raise UserError(
            f"metric {name}: found {np.asarray(value).dtype} values, expected real numbers. Correct what it returns."
        )
    if np.ndim(value) == 0:
        return float(value)
    if np.shape(value) != (n,):
        raise UserError(
            f"metric {name}: found an array {list(np.shape(value))}, expected [{n}], one number an item whose "
            f"mean is the metric, or a single number. Correct it."
        )
    return np.asarray(value, np.float64)


def mean(value: np.ndarray | float) -> float:
    """The metric that a score is."""
    return float(np.mean(value))
