"""Cross-entropy against the whole reference distribution (Peterson et al. 2019)."""

import numpy as np

from ..aligned import Aligned
from ..divergence import ce_items

ENTRY = {
    "about": "Cross-entropy against the whole reference distribution.",
    "heading": "CE", "better": "lower", "unit": "nats", "decimals": 4, "needs": [],
    "source": "Peterson et al. (2019)",
    "aliases": {"nll": "CE", "vote_ce": "CE"},
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Cross-entropy in nats: ``kl`` plus the entropy of the reference."""
    return ce_items(aligned.reference, aligned.log_prediction)
