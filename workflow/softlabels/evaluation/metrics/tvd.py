"""Total variation distance."""

from ..aligned import Aligned
from ..divergence import tvd_items

ENTRY = {
    "about": "Total variation distance: half the sum of absolute differences.",
    "options": {},
    "needs": [],
    "heading": "TVD",
    "better": "lower",
    "unit": None,
    "decimals": 4,
    "source": None,
}


def metric(aligned: Aligned, options: dict) -> float:
    """Mean total variation distance in [0, 1]: half the sum of absolute differences."""
    return float(tvd_items(aligned.reference, aligned.log_prediction).mean())
