"""The network in a reader's place."""

import numpy as np

from .. import readers
from ..aligned import Aligned

ENTRY = {
    "about": "Agreement with an item's other readers, of the network minus that of the reader who is left out; the "
             "table `readers` shows it for each reader.",
    "options": {
        "minimum": {"type": "integer", "minimum": 2, "default": 30,
            "description": "Test items that a reader needs, with votes of others, to be compared alone. Below 30 the "
                           "alternative annotator test finds too many wins: equal differences, be they of two items, "
                           "pass for certain (its authors take Wilcoxon's test there)."},
        "listed": {"type": "integer", "minimum": 0, "default": 20,
            "description": "How many readers, those with the most items, have numbers of their own; all with `minimum` "
                           "items are tested."},
        "epsilon": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.1,
            "description": "Of the alternative annotator test: what the network's advantage may lack (its authors: "
                           "0.1 for crowds, 0.15 for skilled people, 0.2 for experts)."},
        "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.05,
            "description": "Of the alternative annotator test: the false discovery rate over the readers."},
    },
    "heading": "network − reader", "better": "higher", "unit": None, "decimals": 4, "needs": ["annotators"],
    "source": "Calderon et al. (2025)",
    "note": "Network − reader: on each item that a reader voted on, the share of the other people's votes for the "
            "network's class minus that for the reader's; the mean over readers and items.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean over readers and items of the network's agreement with the others minus the reader's, in [-1, 1].

    As one value an item, whose spread knows that readers share items; NaN where no reader has an item with others. See
    :mod:`..readers`, which has every reader's own numbers.
    """
    found = readers.compared(aligned.said, aligned.log_prediction.argmax(axis=1), aligned.reference.shape[1])
    return readers.pooled(found, found.network["agreement"] - found.reader["agreement"], len(aligned.item))
