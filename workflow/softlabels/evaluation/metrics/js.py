"""Jensen-Shannon divergence."""

import numpy as np

from ..aligned import Aligned
from ..divergence import jensen_shannon

ENTRY = {
    "about": "Jensen-Shannon divergence of prediction and reference: bounded, and finite for every prediction.",
    "heading": "JS", "better": "lower", "unit": "nats", "decimals": 4, "needs": [],
    "source": "Lin (1991)",
    "aliases": {"po_jsd": "1 − JS / ln 2"},
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Jensen-Shannon divergence in nats, in [0, ln 2]."""
    return jensen_shannon(aligned.reference, np.exp(aligned.log_prediction))
