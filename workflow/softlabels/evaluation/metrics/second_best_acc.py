"""Accuracy of the second most probable class."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio
from .top2_set import ranking

ENTRY = {
    "about": "Share of items whose second most probable class is the reference's, where that has just one.",
    "heading": "2nd-best ACC", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Accuracy of the second class, as one value an item; NaN where no item counts.

    An item counts where its reference says which class is second: ``p_(1) > p_(2) > p_(3)`` in descending order (0 with
    two classes). So at least two classes have mass, and neither first nor second place is shared. Ties of the
    prediction go to the lowest class index.
    """
    (own, values), (predicted, _) = ranking(aligned.reference), ranking(aligned.log_prediction)
    counts = (np.diff(values, axis=1) < 0).all(axis=1)
    return mean_ratio(counts & (own[:, 1] == predicted[:, 1]), counts)
