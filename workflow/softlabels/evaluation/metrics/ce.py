"""Cross-entropy against the whole reference distribution (Peterson et al. 2019)."""

from ..aligned import Aligned
from ..divergence import ce_items

ENTRY = {
    "about": "Cross-entropy against the whole reference distribution.",
    "options": {},
    "needs": [],
    "heading": "CE",
    "better": "lower",
    "unit": "nats",
    "decimals": 4,
    "source": "Peterson et al. (2019)",
}


def metric(aligned: Aligned, options: dict) -> float:
    """Mean cross-entropy in nats: ``kl`` plus the mean entropy of the reference."""
    return float(ce_items(aligned.reference, aligned.log_prediction).mean())
