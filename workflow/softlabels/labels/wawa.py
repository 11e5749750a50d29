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

    crowd-kit's ``Wawa`` lets whichever class comes first in its table win a tie, which may be any.
    """
    theirs = crowd.crowd_kit()
    votes = crowd.training(evidence, options["kind"], ENTRY["bytes"] * len(evidence.classes))
    with crowd.working(theirs.MajorityVote(), 0) as model:
        chosen = model.fit_predict_proba(votes).sort_index(axis="columns").idxmax(axis="columns")
        skills = theirs.utils.get_accuracy(votes, chosen, by="worker")
    p, facts = crowd.shares(evidence, crowd.of_annotators(votes, skills, len(evidence.votes.people)))
    return crowd.labels(evidence, p, options, facts)
