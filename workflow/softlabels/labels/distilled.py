"""What networks say of items that they did not learn from: the control of machine against people."""

from __future__ import annotations

from typing import Any

from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Mean probabilities of networks that did not learn from the item, without its own votes (teachers as in "
    "MEAL V2, Shen and Savvides 2020): the control of machine against people.",
    "options": {},
    "shared": ["folds", "trained_on", "recipe"],
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels :attr:`Evidence.out_of_fold`: of a training item by one network, of others the mean of all.

    The hard class is the networks'. An item without a vote has none here either, so that labels are of the same items.
    """
    return crowd.labels(evidence, evidence.out_of_fold.copy(), options, {})
