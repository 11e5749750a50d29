"""Wasserstein distance of ordered classes."""

import numpy as np

from ..aligned import Aligned
from ..chosen import order

ENTRY = {
    "about": "Wasserstein distance of ordered classes: the mass that has to move, times by how many classes.",
    "heading": "Wasserstein", "better": "lower", "unit": "classes", "decimals": 4, "needs": [],
    "source": "Ramdas et al. (2017)",
    "options": {"order": {"$ref": "class_order"}},
    "note": "Wasserstein is the mass that has to move between prediction and reference, times by how many classes; "
    "neighbours are 1 apart, so that it takes classes to be ordered.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``sum_k |P_k - Q_k|`` of the cumulated distributions, in [0, C - 1] classes."""
    columns = order(options, aligned.classes)
    difference = aligned.reference[:, columns] - np.exp(aligned.log_prediction[:, columns])
    return np.abs(difference.cumsum(axis=1)[:, :-1]).sum(axis=1)
