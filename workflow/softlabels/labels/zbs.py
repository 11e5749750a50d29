"""Zero-based skill: votes weighted by skills that follow from the weighted votes."""

from __future__ import annotations

from typing import Any

from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Votes weighted by how often their annotator agrees with the weighted votes, repeated (zero-based skill, "
    "as in Ustalov et al. 2024), by crowd-kit.",
    "options": {
        "iterations": {"type": "integer", "minimum": 1, "default": 100, "description": "How often skills are revised."},
        "tolerance": {"type": "number", "exclusiveMinimum": 0, "default": 1e-5,
            "description": "Largest change of a skill that another revision may make for it to count as converged."},
    },
    "needs": ["annotators"],
    "shared": ["fit_on"],
    "memory": 110, "bytes": 45, "seconds": 2e-5,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Shares of the weights ``s_a``, each a step nearer to a's agreement with the classes that these weights choose.

    Steps are 1, and half of the last ones after every 20 revisions; crowd-kit takes all of ``iterations``.
    """
    theirs = crowd.crowd_kit()
    votes = crowd.training(evidence, options["kind"], ENTRY["bytes"] * len(evidence.classes))
    with crowd.working(theirs.ZeroBasedSkill(n_iter=options["iterations"]), 0) as model:
        model.fit(votes)
        chosen = theirs.MajorityVote().fit(votes, skills=model.skills_).labels_
        residual = float((theirs.utils.get_accuracy(votes, chosen, by="worker") - model.skills_).abs().max())
    steps = options["iterations"]
    facts = crowd.ended(options["kind"], steps, steps, residual, options["tolerance"])
    p, more = crowd.shares(evidence, crowd.of_annotators(votes, model.skills_, len(evidence.votes.people)))
    return crowd.labels(evidence, p, options, facts | more)
