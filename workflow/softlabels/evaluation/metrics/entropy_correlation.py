"""Correlation of the entropies of prediction and reference."""

import numpy as np

from ..aligned import Aligned
from ..divergence import entropy
from ..influence import correlation

ENTRY = {
    "about": "Pearson correlation, over items, of the entropies of prediction and reference.",
    "heading": "entropy corr.", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": "Kurniawan et al. (2025)",
    "note": "Entropy correlation is that of the entropies of prediction and reference: is a network unsure where "
    "people are?",
}  # fmt: skip


CONSTANT = 1e-12  # nats: equal entropies, of the same shares in another order, differ by less


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Pearson correlation of ``H(q)`` and ``H(p)``, as one value an item; NaN where one of them is constant."""
    return correlation(entropy(aligned.reference), entropy(np.exp(aligned.log_prediction)), CONSTANT)
