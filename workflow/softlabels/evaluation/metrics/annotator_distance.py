"""Distance to each annotator's own votes, for classes that have an order."""

import numpy as np

from ..aligned import Aligned
from ..chosen import order
from .annotator_error import mean

ENTRY = {
    "about": "Distance in ranks from an annotator's votes to the predicted class, divided by the largest there is, for "
             "classes that have an order.",
    "options": {
        "over": {"enum": ["annotators", "items"], "default": "annotators",
            "description": "What counts alike: all annotators, however many votes they gave, or all items (the average "
                           "normalised distance of LeWiDi 2025)."},
        "order": {"$ref": "class_order", "neutral": None},
    },
    "heading": "annotator distance", "better": "lower", "unit": None, "decimals": 4, "needs": ["annotators"],
    "source": "LeWiDi (2025)",
    "note": "Annotator distance takes classes to be ordered: the ranks between an annotator's vote and the "
            "predicted class, divided by the number of classes − 1.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean over annotators (or items) of ``|predicted class - vote| / (C - 1)``, in [0, 1].

    As one value an item. Votes of unknown annotators are left out; NaN without any other.
    """
    rank, said = np.argsort(order(options, aligned.classes)), aligned.said
    predicted = rank[aligned.log_prediction.argmax(axis=1)]
    return mean(aligned, np.abs(predicted[said.row] - rank[said.label]) / (len(rank) - 1), options["over"])
