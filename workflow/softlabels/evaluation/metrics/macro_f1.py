"""F1, averaged over classes."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio

ENTRY = {
    "about": "F1 of the most probable classes, averaged over the classes that are predicted or the truth of an item.",
    "heading": "macro F1", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean F1 of the most probable classes (ties: the lowest), in [0, 1], as one value an item.

    As scikit-learn's ``f1_score(average="macro")``: over the classes that occur in truth or predictions.
    """
    classes = np.arange(aligned.reference.shape[1])
    truth, predicted = (p.argmax(axis=1)[:, None] == classes for p in (aligned.reference, aligned.log_prediction))
    return mean_ratio(2.0 * (truth & predicted), truth.astype(float) + predicted)
