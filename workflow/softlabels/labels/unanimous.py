"""Learn from images alone that people agree on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from .evidence import Evidence, LabelTable, shares

ENTRY = {
    "about": "The average of the votes, of training items whose largest share is at least `min_agreement`; the other "
        "training items have no label. Validation items keep theirs.",
    "options": {
        "min_agreement": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 1,
            "description": "Least share of the votes for the largest class (1: all)."},
    },
    "of_split": True,
}  # fmt: skip
ROUNDING = 1e-9  # of a share: 0.7 of ten votes is 0.7


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels of the items whose largest share is large enough, or that are not learned from.

    The metadata say how many training items are ``left_out``, and which classes are then ``absent`` among these.

    Raises:
        UserError: no training item is left.
    """
    table, p = shares(evidence, options)
    fit, least = evidence.fit[table.item], options["min_agreement"]
    agreed = p.max(axis=1) >= least - ROUNDING
    left = np.bincount(table.hard[fit & agreed], minlength=p.shape[1])
    if not left.any():
        most = p[fit].max() if fit.any() else 0
        raise UserError(
            f"label: no training item has a class with a share of {least:g} or more of its votes (the most is "
            f"{most:.3g}), so that nothing is left to learn from. Lower min_agreement."
        )
    absent = [evidence.classes[c] for c in np.flatnonzero(left == 0)]
    kept = table.rows(agreed | ~fit)
    return kept.changed(kept.p, left_out=int((fit & ~agreed).sum()), absent=absent)
