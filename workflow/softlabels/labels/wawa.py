"""Wawa: votes weighted by how often their annotator agrees with the majority."""

from __future__ import annotations

from typing import Any

from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Votes weighted by how often their annotator agrees with the majority (Wawa, as in Ustalov et "
    "al. 2024), by crowd-kit.",
    "options": {},
    "needs": ["annotators"],
    "shared": ["fit_on"],
    "memory": 110, "bytes": 45, "seconds": 1e-6,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Shares of the weights ``s_a``: how much of a's votes is for the class with the most votes (lowest index first).

    The class that crowd-kit's ``Wawa`` predicts is the one with the largest share.
    """
    votes = crowd.training(evidence, options["kind"], ENTRY["bytes"] * len(evidence.classes))
    with crowd.working(crowd.crowd_kit().Wawa(), 0) as model:
        model.fit(votes)
    p, facts = crowd.shares(evidence, crowd.of_annotators(votes, model.skills_, len(evidence.votes.people)))
    return crowd.labels(evidence, p, options, facts)
