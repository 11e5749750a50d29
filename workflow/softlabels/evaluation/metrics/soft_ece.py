"""Calibration error of the predicted class against the whole reference distribution."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Expected calibration error, where the reference's mass of the predicted class stands for being right.",
    "heading": "soft ECE", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Guo et al. (2017)",
    "note": "Soft ECE is the calibration error (15 bins) against the reference's mass of the predicted class.",
}  # fmt: skip


# 15 bins [a, b) of equal width; a confidence of 1 is a bin of its own (torchmetrics 1.9, MulticlassCalibrationError). A
# share such as 1/5 lies in the bin that it opens, though its logarithm was rounded.
EDGES = np.linspace(0, 1, 16) - 1e-12


def binned_gaps(confidence: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Calibration error ``sum_b |sum_{i in b} (accuracy_i - confidence_i)| / n`` as one value an item, float64 ``[n]``.

    The derivative of a bin's absolute gap is its sign times the item's own gap; the error being that of a share of all
    items, value plus influence is just this product. An item in a bin without a gap has 0.
    """
    of_bin = np.searchsorted(EDGES, confidence, side="right")
    gap = accuracy - confidence
    return np.sign(np.bincount(of_bin, gap))[of_bin] * gap


def top(aligned: Aligned) -> tuple[np.ndarray, np.ndarray]:
    """The predicted class, int ``[n]`` (ties: the lowest), and its probability, float64 ``[n]``."""
    return aligned.log_prediction.argmax(axis=1), np.exp(aligned.log_prediction.max(axis=1)).clip(max=1)


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Soft ECE (L1, bins weighted by their share of items), in [0, 1], as one value an item.

    With the reference in place of one observed class, a bin's accuracy is the mean mass of the predicted classes. A
    right distribution scores 0.
    """
    predicted, confidence = top(aligned)
    return binned_gaps(confidence, aligned.reference[np.arange(len(predicted)), predicted])
