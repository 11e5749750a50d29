"""Sensitivity at a fixed specificity."""

import numpy as np

from ..aligned import Aligned
from ..chosen import positive, scores, truth

ENTRY = {
    "about": "Sensitivity for one class at the threshold on its probability that leaves a fixed specificity.",
    "heading": "sensitivity", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
    "options": {
        "positive": {"type": "string", "required": True, "description": "The class that is looked for (required)."},
        "specificity": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.9,
            "description": "The least share of other items that are told to be others."},
        "truth": {"$ref": "truth", "default": "majority"},
    },
    "note": "Sensitivity is at the threshold that leaves the fixed specificity on the very items that are scored: in "
    "use, a threshold is chosen elsewhere, and keeps neither number exactly. Over seeds only: no value an item.",
}  # fmt: skip
ROUNDING = 1e-12


def metric(aligned: Aligned, options: dict) -> float:
    """The largest share of positive items at or above a threshold that at least such a share of the others is below.

    In [0, 1]; NaN where nothing is positive, or nothing negative. Neither scores nor the curve are interpolated. The
    threshold is a quantile, whose influence would need densities of scores: the metric is a number without terms.
    """
    (k,) = positive(options, aligned.classes)
    of, tied = truth(aligned, options)[:, k], np.unique(-scores(aligned.log_prediction[:, k]), return_inverse=True)[1]
    if not 0 < of.sum() < len(of):
        return np.nan
    caught, alarms = (np.bincount(tied, weight).cumsum() / weight.sum() for weight in (of, 1 - of))  # descending scores
    return float(caught[alarms <= 1 - options["specificity"] + ROUNDING].max(initial=0))
