"""Calibration error against the majority."""

import numpy as np

from ..aligned import Aligned
from .soft_ece import binned_gaps, top

ENTRY = {
    "about": "Expected calibration error against the reference's top class: a right distribution scores badly.",
    "heading": "ECE", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Guo et al. (2017)",
    "note": "ECE is against the reference's most probable class, against which a right distribution scores badly "
    "(default study: .017 for hard, .241 for soft labels).",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """ECE (15 bins, L1), in [0, 1], as one value an item; right is who predicts the reference's most probable class."""
    predicted, confidence = top(aligned)
    return binned_gaps(confidence, predicted == aligned.reference.argmax(axis=1))
