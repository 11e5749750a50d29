"""Accuracy against votes."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Reference's mass of the predicted class: accuracy against a vote drawn at random.",
    "heading": "vote ACC", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
    "note": "Vote ACC is the reference's mass of the predicted class: accuracy against a vote drawn at random.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Reference's mass of the most probable class of the prediction (ties: the lowest), in [0, 1]."""
    predicted = aligned.log_prediction.argmax(axis=1)
    return aligned.reference[np.arange(len(predicted)), predicted]
