"""MACE: annotators who know the class, or guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import keyed
from ..errors import UserError
from . import crowd
from .evidence import Evidence, LabelTable, Votes

if TYPE_CHECKING:
    import pandas as pd

ENTRY = {
    "about": "Posterior of one true class an item, with annotators who know it or guess (MACE, Hovy et al. 2013), by "
    "crowd-kit; with many votes nearly one-hot.",
    "options": {
        "restarts": {"type": "integer", "minimum": 1, "default": 10,
            "description": "How often it starts anew, at random by the label's seed; the likeliest result is kept."},
        "iterations": {"type": "integer", "minimum": 1, "default": 50, "description": "Variational steps a start."},
        "tolerance": {"type": "number", "exclusiveMinimum": 0, "default": 1e-5,
            "description": "Last change of the log-likelihood a vote (nats) below which it counts as converged."},
    },
    "needs": ["annotators"],
    "shared": ["fit_on"],
    "memory": 110, "bytes": 60, "seconds": 2e-4,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``p_k ~ product over votes of (g t[vote] + (1 - g) [vote is k])``: g, t how often and what one guesses.

    Estimated with the priors of Hovy et al. (NAACL 2013). crowd-kit's own restarts begin alike, and take the
    numbers of annotators and classes in the order of the votes for that of their values; neither is so here.
    """
    import pandas as pd

    votes = crowd.training(evidence, options["kind"], ENTRY["bytes"] * len(evidence.classes))
    (workers, people), (labels, classes) = (pd.factorize(votes[name]) for name in ("worker", "label"))
    numbered = votes.assign(worker=workers, label=labels)
    best, likelihoods = None, [-np.inf]
    for restart in range(options["restarts"]):
        random = keyed.rng("mace", options["seed"], *evidence.seed, restart)
        model = crowd.crowd_kit().MACE(n_restarts=1, n_iter=options["iterations"], random_state=random)
        found: list[float] = []
        with crowd.working(model, options["iterations"] + 2, lambda of, to=found: to.append(_likelihood(of[1]))):
            model.fit(numbered)
        if not np.isfinite(found).all():
            raise UserError(
                f"label: {options['kind']} found items with so many votes that their probability is 0 to the computer. "
                f"Draw fewer votes (votes of the label), or take another aggregate."
            )
        if found[-1] > likelihoods[-1]:
            best, likelihoods = model, found
    losses = [total / len(votes) for total in likelihoods[1:-1]]  # the first is of the start, the last one's again
    facts = crowd.convergence(options["kind"], losses, options["iterations"], options["tolerance"])

    everyone = evidence.votes
    guessing, knowing = (_of(votes, best.spamming_[:, k], people, everyone) for k in (0, 1))
    guess = np.zeros(len(everyone.item))
    for j, k in enumerate(classes):
        guess[everyone.label == k] = _of(votes, best.thetas_[:, j], people, everyone)[everyone.label == k]
    prior = np.full(len(evidence.classes), -np.inf)
    prior[classes] = 0
    p = crowd.posterior(evidence, prior, lambda k: np.log(guessing * guess + knowing * (everyone.label == k)))
    return crowd.labels(evidence, p, options, facts)


def _likelihood(marginals: pd.DataFrame) -> float:
    """The log-likelihood of the votes, of their joint probabilities with each class, ``[items, C]``."""
    return float(np.log(marginals.to_numpy().sum(axis=1)).sum())


def _of(votes: pd.DataFrame, found: np.ndarray, people: Any, everyone: Votes) -> np.ndarray:
    """What was found of ``people``, for the annotator of each vote, float64 ``[V]``."""
    import pandas as pd

    return crowd.of_annotators(votes, pd.Series(found, people), len(everyone.people))[everyone.annotator]
