"""Excess area under the risk-coverage curve."""

import numpy as np

from ..aligned import Aligned
from ..risk import area, losses

ENTRY = {
    "about": "AURC above that of a network with these very errors whose confidence puts them in the right order.",
    "heading": "E-AURC", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Geifman et al. (2019)",
    "options": {"truth": {"$ref": "truth", "default": "votes"}},
    "note": "E-AURC is AURC less the AURC of the same errors in the best order: the order alone.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """AURC less that with the errors in ascending order, in [0, 1], as one value an item.

    Geifman et al. approximate the best area for errors of 0 and 1; here it is that of the items' own errors.
    """
    loss, confidence = losses(aligned, options)
    return area(loss, confidence) - area(loss, -loss.round(12))
