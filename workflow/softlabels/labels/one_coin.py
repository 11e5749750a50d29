"""One-coin Dawid-Skene: one accuracy an annotator."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Posterior of one true class an item, with one accuracy an annotator (one-coin Dawid-Skene, Zhang et al. "
    "2014), by crowd-kit; with many votes nearly one-hot.",
    "options": {},
    "needs": ["annotators"],
    "shared": ["iterations", "tolerance", "fit_on"],
    "memory": 110, "bytes": 50, "seconds": 1.5e-5,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``p_k ~ prior_k * product over votes of (s if the vote is k, else (1 - s) / (C - 1))``, with skills s.

    C are the classes that have votes. Y. Zhang et al., Spectral Methods Meet EM (NeurIPS 2014), arXiv 1406.3824.
    """
    votes = crowd.training(evidence, options["kind"], ENTRY["bytes"] * len(evidence.classes))
    limits = options["iterations"], options["tolerance"]
    with crowd.working(crowd.with_bound(crowd.crowd_kit().OneCoinDawidSkene(*limits)), options["iterations"]) as model:
        model.fit(votes)
    facts = crowd.convergence(options["kind"], model.loss_history_, *limits)

    everyone = evidence.votes
    skill = crowd.of_annotators(votes, model.skills_, len(everyone.people))[everyone.annotator]
    right = np.log(skill.clip(crowd.LEAST, 1 - crowd.LEAST))
    wrong = np.log(((1 - skill) / max(len(model.priors_) - 1, 1)).clip(crowd.LEAST, 1 - crowd.LEAST))
    with np.errstate(divide="ignore"):
        prior = np.log(model.priors_.reindex(range(len(evidence.classes)), fill_value=0).to_numpy())
    p = crowd.posterior(evidence, prior, lambda k: np.where(everyone.label == k, right, wrong))
    return crowd.labels(evidence, crowd.with_training(p, model.probas_), options, facts)
