"""How regular the feature space of each label's networks is."""

from __future__ import annotations

from ...documents import Table
from ..ledger_view import Ledger, by_label

ENTRY = {"about": "Numbers of the feature space of each label's networks.", "options": {}, "needs": []}
NOTE = (
    "Of the pooled features of the test items. Silhouette is over the reference's largest class; label smoothness is "
    "the mean Jensen-Shannon divergence between an item's reference and its neighbours'; distance Spearman correlates "
    "distances of features with distances of references; position R² is that of a cross-validated ridge regression of "
    "colour and shape position, where the data set has them."
)


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block and label, one column a number."""
    return by_label(ledger, "Structure of the feature space", ledger.facts["structure"], [NOTE])
