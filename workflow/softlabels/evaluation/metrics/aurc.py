"""Area under the risk-coverage curve."""

import numpy as np

from ..aligned import Aligned
from ..risk import area, losses

ENTRY = {
    "about": "Area under the risk-coverage curve: mean error of the most confident k items, over all k.",
    "heading": "AURC", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Geifman et al. (2019)",
    "options": {"truth": {"$ref": "truth", "default": "votes"}},
    "note": "AURC is the mean, over k, of the error of the k most confident items.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """AURC with max q as confidence, in [0, 1], as one value an item."""
    return area(*losses(aligned, options))
