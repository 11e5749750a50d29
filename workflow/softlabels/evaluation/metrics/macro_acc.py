"""Macro accuracy: recall averaged over classes."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Recall, averaged over the classes that are the truth of at least one item.",
    "options": {},
    "needs": [],
    "heading": "ACC",
    "better": "higher",
    "unit": None,
    "decimals": 4,
    "source": None,
}


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


def metric(aligned: Aligned, options: dict) -> float:
    """Mean recall over the classes that are the truth of at least one item."""
    return float(np.nanmean(recall(aligned.reference, aligned.log_prediction)))
