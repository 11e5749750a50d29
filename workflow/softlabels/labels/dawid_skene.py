"""Dawid-Skene: a confusion matrix an annotator."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Posterior of one true class an item, with a confusion matrix an annotator (Dawid and Skene 1979), by "
    "crowd-kit; with many votes nearly one-hot.",
    "options": {},
    "needs": ["annotators"],
    "shared": ["iterations", "tolerance", "fit_on"],
    "memory": 110, "bytes": 50, "seconds": 2e-5,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``p_k ~ prior_k * product over votes of e[annotator][vote, k]``; prior and errors e by EM.

    A class that an annotator never chose in training is as likely as from all annotators taken together. A. P. Dawid
    and A. M. Skene, Applied Statistics 28 (1979), 20-28.
    """
    votes = crowd.training(evidence, options["kind"], ENTRY["bytes"] * len(evidence.classes))
    limits = options["iterations"], options["tolerance"]
    with crowd.working(crowd.with_bound(crowd.crowd_kit().DawidSkene(*limits)), options["iterations"]) as model:
        model.fit(votes)
    facts = crowd.convergence(options["kind"], model.loss_history_, *limits)

    everyone, n_classes = evidence.votes, len(evidence.classes)
    found = model.probas_.reindex(columns=range(n_classes), fill_value=0)
    pooled = np.zeros((n_classes, n_classes))  # vote, true class
    np.add.at(pooled, votes["label"].to_numpy(), found.loc[votes["task"]].to_numpy())
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = np.log(pooled / pooled.sum(axis=0))
        errors = np.log(model.errors_.reindex(columns=range(n_classes)).to_numpy())
        prior = np.log(model.priors_.reindex(range(n_classes), fill_value=0).to_numpy())
    pooled = np.maximum(pooled, np.log(crowd.LEAST))
    row = np.full((len(everyone.people), n_classes), -1)  # of ``errors``; -1: the annotator never chose the class
    row[tuple(zip(*model.errors_.index, strict=True))] = np.arange(len(errors))
    row = row[everyone.annotator, everyone.label]
    p = crowd.posterior(evidence, prior, lambda k: np.where(row < 0, pooled[everyone.label, k], errors[row, k]))
    return crowd.labels(evidence, crowd.with_training(p, model.probas_), options, facts)
