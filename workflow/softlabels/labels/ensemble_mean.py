"""The mean of what several aggregates make of the same votes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import registry
from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Mean of the distributions of several aggregates (Wright and Augenstein 2022), each with its options.",
    "options": {
        "of": {"required": True, "type": "array", "items": {"registry": "aggregate"}, "minItems": 2,
            "uniqueItems": True, "description":
            "The aggregates (required): none of networks' predictions, and none without probabilities."},
    },
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``mean over aggregates of p``, of the items that each of them gives a label.

    The hard class is that of the mean. D. Wright and I. Augenstein (2022), arXiv
    2212.09409.
    """
    p, count = np.zeros((evidence.n_items, len(evidence.classes))), np.zeros(evidence.n_items)
    for part in options["of"]:
        found = registry.load("aggregate", part["kind"])(
            evidence, {**options, "ties": "lowest_index", **part}
        )  # ties are of the mean
        p[found.item] += found.p
        count[found.item] += 1
    known = count == len(options["of"])
    p[known] /= p[known].sum(axis=1, keepdims=True)
    p[~known] = 0
    return crowd.labels(evidence, p, options, {})
