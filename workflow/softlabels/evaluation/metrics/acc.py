"""Plain accuracy."""

import numpy as np

ENTRY = {
    "about": "Share of items whose most probable class is the reference's.",
    "heading": "plain ACC", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
}  # fmt: skip


def metric(reference: np.ndarray, log_prediction: np.ndarray) -> float:
    """Share of items whose most probable class is the reference's; ties go to the lowest class index in both."""
    return float((reference.argmax(axis=1) == log_prediction.argmax(axis=1)).mean())
