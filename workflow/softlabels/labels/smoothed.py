"""Label smoothing: the hard label, mixed with the uniform distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from .evidence import Evidence, LabelTable, learned, one_hot, shares

ENTRY = {
    "about": "`(1 - alpha) · hard + alpha / C` (Müller, Kornblith and Hinton 2019): every image alike, whatever its "
        "votes say. `matched` is the alpha that is nearest (KL) to the votes' averages of the training items.",
    "options": {
        "alpha": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"enum": ["matched"]}], "default": 0.1,
            "description": "Share of the uniform distribution."},
    },
    "of_split": {"alpha": "matched"},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``(1 - alpha) one_hot(hard) + alpha / C``; the metadata say the ``alpha``."""
    table, p = shares(evidence, options)
    alpha = options["alpha"]
    if alpha == "matched":
        alpha = matched(p, table.hard, learned(evidence, table))
    smoothed = (1 - alpha) * one_hot(table.hard, p.shape[1]).astype(np.float64) + alpha / p.shape[1]
    return table.changed(smoothed, alpha=alpha)


def matched(p: np.ndarray, hard: np.ndarray, fit: np.ndarray) -> float:
    """The alpha with the least mean KL from the distributions ``p``, float64 ``[K, C]``, of the items ``fit``.

    It gives the hard class the mean probability that it has in these.
    """
    mean, n_classes = p[fit, hard[fit]].mean(), p.shape[1]
    return float((1 - mean) * n_classes / (n_classes - 1))
