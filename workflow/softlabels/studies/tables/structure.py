"""How regular the feature space of each label's networks is."""

from __future__ import annotations

from ...documents import Table
from ..ledger_view import Ledger, by_label

ENTRY = {"about": "Numbers of the feature space of each label's networks.", "options": {}, "needs": []}
NOTE = (
    "Of the pooled features of the test items. Silhouette is over the reference's largest class; label smoothness is "
    "the mean Jensen-Shannon divergence between an item's reference and its neighbours'; distance Spearman correlates "
    "distances of features with distances of references."
)
POSITIONS = (
    "Position R² is that of a cross-validated ridge regression of colour and shape position, colour R² and shape R² "
    "are its two parts; 10-NN R² is of the items between classes alone, each predicted by the mean position of the 10 "
    "test items nearest to it."
)


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block and label, one column a number that any of them has."""
    metrics = [
        metric for metric in ledger.facts["structure"]
        if any(ledger.get(block, label, metric) for block in ledger.blocks for label in ledger.labels)
    ]  # fmt: skip
    notes = [NOTE, *([POSITIONS] if "structure.position_r2" in metrics else [])]
    return by_label(ledger, "Structure of the feature space", metrics, notes)
