"""Sets of classes that should have an item's next vote with a chosen probability: split conformal prediction.

A set has every class whose probability is at least a threshold, which comes from items that nothing else saw: of n of
them, each with one of its votes drawn at random, the ceil((n + 1) coverage)-th largest probability of that vote
(Sadinle, Lei and Wasserman 2019; a vote drawn for each item: Stutz et al. 2023, arXiv 2307.09302). If such items and
test items are exchangeable, a vote on a test item is in its set with that probability at least, on average over draws
of both, whatever the network. It need not be so for each class, or where people disagree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from .. import keyed
from .aligned import Aligned
from .chosen import scores
from .left_out import Panels, strata_of_votes
from .strata import of_exact

EXACT = {"unanimous": "clear", "disputed": "ambiguous"}  # what an exact reference has in the place of others' votes


def fewest(coverage: float) -> int:
    """The least number of calibration items for which a set need not have all classes."""
    covered = Fraction(str(coverage))
    return math.ceil(covered / (1 - covered))


def drawn_votes(calibration: Aligned, seed: int) -> np.ndarray:
    """A class drawn from each item's reference, int ``[n]``: the same for every network."""
    sums = calibration.reference.cumsum(axis=1)
    points = [keyed.rng("label set vote", seed, item).random() for item in calibration.item.tolist()]
    return (sums <= (np.array(points) * sums[:, -1])[:, None]).sum(axis=1)


def sets(aligned: Aligned, options: Mapping[str, Any]) -> np.ndarray:
    """The set of each item, bool ``[n, C]``; it may be empty, or have all classes."""
    calibration = aligned.calibration
    vote = drawn_votes(calibration, options["seed"])
    probable = np.sort(scores(calibration.log_prediction)[np.arange(len(vote)), vote])[::-1]
    number = math.ceil((len(vote) + 1) * Fraction(str(options["coverage"])))
    threshold = probable[number - 1] if number <= len(vote) else -np.inf
    return scores(aligned.log_prediction) >= threshold


def mass(aligned: Aligned, agreement: str) -> np.ndarray:
    """The share of an item's votes that are for a class and in a stratum, float64 ``[n, C]``.

    Each vote is placed by the item's other votes, as all strata are (:mod:`.left_out`), here taken to be of a person
    each; an item of an exact reference by whether one class has all mass.
    """
    if agreement == "all":
        return aligned.reference
    if aligned.counts is None:
        members = dict(of_exact(aligned)).get(EXACT[agreement], np.zeros(len(aligned.item), bool))
        return aligned.reference * members[:, None]
    votes, found = strata_of_votes(Panels.anonymous(aligned.counts)), np.zeros(aligned.reference.shape)
    inside = votes.inside.get(agreement, np.zeros(len(votes.row), bool))
    np.add.at(found, (votes.row[inside], votes.label[inside]), votes.weight[inside])
    return found
