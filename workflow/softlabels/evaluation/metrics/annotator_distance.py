"""Distance to each annotator's own votes, for classes that have an order."""

import numpy as np

from ..aligned import Aligned
from .annotator_error import mean

ENTRY = {
    "about": "Distance in ranks from an annotator's votes to the predicted class, divided by the largest there is, for "
             "classes that are listed in their order.",
    "options": {
        "over": {"enum": ["annotators", "items"], "default": "annotators",
            "description": "What counts alike: all annotators, however many votes they gave, or all items (the average "
                           "normalised distance of LeWiDi 2025)."},
    },
    "heading": "annotator distance", "better": "lower", "unit": None, "decimals": 4, "needs": ["annotators"],
    "source": "LeWiDi (2025)",
    "note": "Annotator distance takes the classes to be in their order: the ranks between an annotator's vote and the "
            "predicted class, divided by the number of classes − 1.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean over annotators (or items) of ``|predicted class - vote| / (C - 1)``, in [0, 1].

    As one value an item. Votes of unknown annotators are left out; NaN without any other.
    """
    predicted, said = aligned.log_prediction.argmax(axis=1), aligned.said
    return mean(aligned, np.abs(predicted[said.row] - said.label) / (aligned.reference.shape[1] - 1), options["over"])
