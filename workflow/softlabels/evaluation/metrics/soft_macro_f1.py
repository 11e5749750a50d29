"""F1 of soft labels, averaged over classes."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio

ENTRY = {
    "about": "F1 of the classes' masses in prediction and reference, averaged over classes.",
    "heading": "soft macro F1", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": "Kurniawan et al. (2025)",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean over classes of ``2 sum_i min(p_ic, q_ic) / sum_i (p_ic + q_ic)``, in [0, 1], as one value an item.

    A class without any mass in both is left out (the authors' code has NaN there).
    """
    p, q = aligned.reference, np.exp(aligned.log_prediction)
    return mean_ratio(2 * np.minimum(p, q), p + q)
