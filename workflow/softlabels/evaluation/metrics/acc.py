"""Plain accuracy."""

from ..aligned import Aligned

ENTRY = {
    "about": "Share of items whose most probable class is the reference's.",
    "options": {},
    "needs": [],
    "heading": "plain ACC",
    "better": "higher",
    "unit": None,
    "decimals": 4,
    "source": None,
}


def metric(aligned: Aligned, options: dict) -> float:
    """Share of items whose most probable class is the reference's; ties go to the lowest class index in both."""
    return float((aligned.reference.argmax(axis=1) == aligned.log_prediction.argmax(axis=1)).mean())
