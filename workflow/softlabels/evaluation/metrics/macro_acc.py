"""Macro accuracy: recall averaged over classes."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio

ENTRY = {
    "about": "Recall, averaged over the classes that are the truth of at least one item.",
    "heading": "ACC", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
    "aliases": {"balanced_accuracy": "ACC"},
    "note": "ACC is macro accuracy.",
}  # fmt: skip


def recall(reference: np.ndarray, log_prediction: np.ndarray) -> np.ndarray:
    """Recall of each class, float64 ``[C]``; NaN where no item's truth is that class.

    The truth is the most probable class of the reference; ties go to the lowest class index.
    """
    truth = reference.argmax(axis=1)
    right = truth == log_prediction.argmax(axis=1)
    n_classes = reference.shape[1]
    present = np.bincount(truth, minlength=n_classes).astype(float)
    hits = np.bincount(truth[right], minlength=n_classes)
    return np.divide(hits, present, where=present > 0, out=np.full(n_classes, np.nan))


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean recall over the classes that are the truth of at least one item, as one value an item."""
    truth = aligned.reference.argmax(axis=1)
    right = truth == aligned.log_prediction.argmax(axis=1)
    of_class = truth[:, None] == np.arange(aligned.reference.shape[1])
    return mean_ratio(of_class & right[:, None], of_class)
