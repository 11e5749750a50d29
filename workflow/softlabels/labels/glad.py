"""GLAD: abilities of annotators and difficulties of items."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Posterior of one true class an item, with an ability an annotator and a difficulty an item (GLAD, "
    "Whitehill et al. 2009), by crowd-kit; slow.",
    "options": {
        "tolerance": {"type": "number", "exclusiveMinimum": 0, "default": 1e-5,
            "description": "Change of the objective a vote and class (nats) at which it ends."},
    },
    "needs": ["annotators"],
    "shared": ["iterations", "fit_on"],
    "memory": 110, "bytes": 320, "seconds": 5e-4,
}  # fmt: skip

MEAN = 1.0  # of the priors of abilities and of the logarithms of inverse difficulties, as crowd-kit has it


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``p_k ~ product over votes of (s if the vote is k, else (1 - s) / (C - 1))``, ``s = sigmoid(a exp(b))``.

    Ability a and log inverse difficulty b by EM; C are the classes that have votes. Items outside the training part,
    whose difficulty was not estimated, have that of the prior's mean. J. Whitehill et al. (NeurIPS 2009).
    """
    from scipy.special import entr

    votes = crowd.training(evidence, options["kind"], ENTRY["bytes"] * len(evidence.classes))
    model = crowd.crowd_kit().GLAD(n_iter=options["iterations"], tol=options["tolerance"])
    theirs = model._compute_Q  # the expected log-likelihood, which may fall; with the posteriors' entropy it cannot
    model._compute_Q = lambda data: theirs(data) + float(entr(model.probas_.to_numpy()).sum())
    with crowd.working(model, options["iterations"] + 1):
        model.fit(votes)
    facts = crowd.convergence(options["kind"], model.loss_history_, options["iterations"], options["tolerance"])

    everyone, labels = evidence.votes, np.sort(np.unique(votes["label"]))
    ability = crowd.of_annotators(votes, model.alphas_, len(everyone.people))
    odds = ability[everyone.annotator] * np.exp(MEAN)
    right, wrong = -np.logaddexp(0, -odds), -np.logaddexp(0, odds) - np.log(max(len(labels) - 1, 1))
    prior = np.full(len(evidence.classes), -np.inf)
    prior[labels] = 0
    p = crowd.posterior(evidence, prior, lambda k: np.where(everyone.label == k, right, wrong))
    return crowd.labels(evidence, crowd.with_training(p, model.probas_), options, facts)
