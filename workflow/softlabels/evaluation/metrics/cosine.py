"""Cosine similarity."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Cosine of the angle between prediction and reference.",
    "heading": "cosine", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": "Geng (2016)",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``p·q / (|p| |q|)``, in [0, 1]."""
    p, q = aligned.reference, np.exp(aligned.log_prediction)
    return (p * q).sum(axis=1) / np.sqrt((p**2).sum(axis=1) * (q**2).sum(axis=1))
