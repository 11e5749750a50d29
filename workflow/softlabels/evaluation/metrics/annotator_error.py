"""Error rate against each annotator's own votes."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio, ratios

ENTRY = {
    "about": "Share of an annotator's votes that are not for the predicted class: the mean over annotators, or items.",
    "options": {
        "over": {"enum": ["annotators", "items"], "default": "annotators",
            "description": "What counts alike: all annotators, however many votes they gave, or all items (the average "
                           "error rate of LeWiDi 2025)."},
    },
    "heading": "annotator error", "better": "lower", "unit": None, "decimals": 4, "needs": ["annotators"],
    "source": "LeWiDi (2025)",
    "note": "Annotator error is the share of each annotator's votes for another class than the predicted one.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean over annotators (or items) of the share of their votes that are not for the prediction's class, in [0, 1].

    As one value an item. Votes of unknown annotators are left out; NaN without any other.
    """
    predicted = aligned.log_prediction.argmax(axis=1)
    return mean(aligned, predicted[aligned.said.row] != aligned.said.label, options["over"])


def mean(aligned: Aligned, values: np.ndarray, over: str) -> np.ndarray:
    """The mean of ``values`` ``[V]``, one a vote, over annotators or items that count alike, as one value an item."""
    known = aligned.said.person >= 0
    row, values, n = aligned.said.row[known], values[known].astype(float), len(aligned.item)
    if over == "annotators":
        return ratios(values, row, aligned.said.person[known], n)
    votes = np.bincount(row, minlength=n)
    return mean_ratio(np.bincount(row, values, n) / np.maximum(votes, 1), votes > 0)
