"""Plain accuracy."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Share of items whose most probable class is the reference's.",
    "heading": "plain ACC", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
    "aliases": {"hard_accuracy": "plain ACC"},
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """1 where the most probable class is the reference's, else 0; ties go to the lowest class index in both."""
    return (aligned.reference.argmax(axis=1) == aligned.log_prediction.argmax(axis=1)).astype(float)
