"""CROWDLAB: votes and out-of-fold predictions, weighted by how far each can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import crowd
from .evidence import Evidence, LabelTable

if TYPE_CHECKING:
    import pandas as pd

ENTRY = {
    "about": "Out-of-fold probabilities of networks and votes, weighted by how far network and annotators can be "
    "trusted (CROWDLAB, Goh et al. 2022), by cleanlab.",
    "options": {},
    "needs": ["annotators"],
    "shared": ["folds", "trained_on", "recipe"],
    "memory": 110, "bytes": 100, "seconds": 2e-5,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``(w q_k + sum over votes of w_a (P if the vote is k, else (1 - P) / (C - 1))) / (w + sum of w_a)``.

    q are the network's probabilities; the weights w and w_a, and the agreement P with the consensus, are cleanlab's, of
    the training items. H. W. Goh et al., CROWDLAB (2022), arXiv 2210.06812.
    """
    import pandas as pd
    from cleanlab.multiannotator import get_label_quality_multiannotator

    n_classes, everyone, votes = len(evidence.classes), evidence.votes, require(evidence, options)
    items, row = np.unique(votes["task"], return_inverse=True)
    people, column = np.unique(votes["worker"], return_inverse=True)
    table = np.full((len(items), len(people)), np.nan)
    table[row, column] = votes["label"]
    with crowd.working(None, 0):
        found = get_label_quality_multiannotator(
            table, evidence.out_of_fold[items], return_detailed_quality=False, return_annotator_stats=False,
            return_weights=True, verbose=False,
        )  # fmt: skip
    quality, several = found["label_quality"], (~np.isnan(table)).sum(axis=1) != 1
    agreement = quality["annotator_agreement"].to_numpy()[several].mean()
    weight = crowd.of_annotators(votes, pd.Series(found["annotator_weight"], people), len(everyone.people))
    p = crowd.weighted(evidence, weight)
    total = p.sum(axis=1, keepdims=True)
    p = agreement * p + (1 - agreement) / (n_classes - 1) * (total - p) + found["model_weight"] * evidence.out_of_fold
    facts = {"network_weight": float(found["model_weight"])}
    return crowd.labels(evidence, p / (total + found["model_weight"]), options, facts)


def require(evidence: Evidence, options: dict[str, Any]) -> pd.DataFrame:
    """The votes that cleanlab learns from, see :func:`crowd.training`; what it cannot learn from is refused."""
    each = ENTRY["bytes"] * len(evidence.classes)
    wide = 20 * len(evidence.votes.people) * evidence.n_items  # it has a cell for each item and annotator
    return crowd.training(evidence, options["kind"], each, wide, once=True)
