"""How far people agree about the items, from their votes alone.

``counts`` are the votes per item and class, int64 ``[N, C]``. An item with one vote has nothing to agree with and is
left out everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Annotators(NamedTuple):
    """A annotators, sorted by name."""

    names: list[str]
    votes: np.ndarray  # how many each gave, int64 [A]
    compared: np.ndarray  # how many of these are on items with votes of others, int64 [A]
    agreement: np.ndarray  # mean share of the other votes on an item that are the same, float64 [A] (nan without any)
    confusion: np.ndarray  # int64 [K, 4]: annotator, majority of the others, own label, votes (never 0), sorted


def observed_agreement(counts: np.ndarray) -> float:
    """The share of an item's pairs of votes that are equal, in [0, 1], as a mean over items; nan without any pair.

    ``sum_k n_k (n_k - 1) / (n (n - 1))`` of an item: Fleiss, Measuring nominal scale agreement among many raters,
    Psychological Bulletin 76 (1971).
    """
    votes = counts.sum(axis=1)
    pairs = votes * (votes - 1)
    equal = (counts * (counts - 1)).sum(axis=1)
    several = votes > 1
    return float((equal[several] / pairs[several]).mean()) if several.any() else np.nan


def krippendorff_alpha(counts: np.ndarray) -> float:
    """Krippendorff's alpha for nominal labels: 1 is full agreement, 0 that of labels dealt out at random.

    ``1 - D_o / D_e`` with the observed disagreement ``D_o = 1/n sum_i (n_i^2 - sum_k n_ik^2) / (n_i - 1)`` and the
    expected ``D_e = (n^2 - sum_k n_k^2) / (n (n - 1))``, n being all votes on items with two or more. Krippendorff,
    Computing Krippendorff's alpha-reliability (2011). nan where all votes are for one class, or no item has two.
    """
    votes = counts.sum(axis=1)
    counts, votes = counts[votes > 1], votes[votes > 1]
    of_class, total = counts.sum(axis=0), votes.sum()
    unequal = total**2 - (of_class**2).sum()
    if unequal == 0:
        return np.nan
    observed = ((votes**2 - (counts**2).sum(axis=1)) / (votes - 1)).sum() / total
    return float(1 - observed * total * (total - 1) / unequal)


def majority_of_others(counts: np.ndarray) -> np.ndarray:
    """The class that wins when one vote for class k is taken away (ties: lowest index), int64 ``[N, C]``.

    Only a vote for the winner can change the winner. Entries of classes without a vote mean nothing.
    """
    rows = np.arange(len(counts))
    winner = counts.argmax(axis=1)
    rest = counts.copy()
    rest[rows, winner] -= 1
    majority = np.repeat(winner[:, None], counts.shape[1], axis=1)
    majority[rows, winner] = rest.argmax(axis=1)
    return majority


def confusion(counts: np.ndarray) -> np.ndarray:
    """Votes by [majority of the others, own label], int64 ``[C, C]``: needs no names of annotators."""
    n_classes = counts.shape[1]
    counts = counts[counts.sum(axis=1) > 1]
    cell = majority_of_others(counts) * n_classes + np.arange(n_classes)
    votes = np.bincount(cell.reshape(-1), counts.reshape(-1), n_classes**2)  # float64: exact below 2^53
    return votes.astype(np.int64).reshape(n_classes, n_classes)


def of_annotators(
    names: list[str], annotator: np.ndarray, item: np.ndarray, label: np.ndarray, counts: np.ndarray
) -> Annotators:
    """How each of the annotators ``names`` votes beside the others.

    ``annotator``, ``item`` and ``label`` of each vote are int ``[V]``; an annotator of -1 is unknown: such votes count
    as votes of others. ``counts`` are those of all these votes.
    """
    n_classes = counts.shape[1]
    votes = counts.sum(axis=1)
    cell = item.astype(np.int64) * n_classes + label
    known = annotator >= 0
    given = np.bincount(annotator[known], minlength=len(names))
    known &= votes[item] > 1
    annotator, cell = annotator[known].astype(np.int64), cell[known]
    compared = np.bincount(annotator, minlength=len(names))
    with np.errstate(divide="ignore", invalid="ignore"):
        same = (counts - 1) / (votes[:, None] - 1)
        agreement = np.bincount(annotator, same.reshape(-1)[cell], len(names)) / compared
    key = annotator * n_classes + majority_of_others(counts).reshape(-1)[cell]
    key, times = np.unique(key * n_classes + cell % n_classes, return_counts=True)
    who, pair = np.divmod(key, n_classes**2)
    return Annotators(names, given, compared, agreement, np.column_stack([who, *np.divmod(pair, n_classes), times]))
