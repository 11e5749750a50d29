"""Whether the number of votes an image has depends on how much people disagree about it.

Where extra readers are called for disputed cases, votes are no simple sample of what people would say. If the number
of votes n says nothing of the image, two votes drawn from it differ as often whatever n is: with c_k votes for class k
with the probability ``d = 1 - sum_k c_k (c_k - 1) / (n (n - 1))``, an unbiased estimate of what two people would do
(Simpson, Measurement of diversity, Nature 163, 1949). So one pair is drawn from each image, and the numbers of votes
of images whose pair differs are compared with those of the others: Wilcoxon's rank sum with mean ranks, and its exact
permutation distribution, drawn from. Pairs are as exchangeable as images are; shares of all votes would not be, as
their scatter falls with n.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import keyed

DRAWS = 9_999  # of the permutation distribution: the smallest p is 0.0001
NOTABLE = 0.01  # a p below says that the number of votes depends on disagreement


def pairwise_disagreement(counts: np.ndarray) -> np.ndarray:
    """How probably two different votes of an item differ, float64 ``[N]``, of counts ``[N, C]`` with two or more."""
    n = counts.sum(axis=1)
    return 1 - (counts * (counts - 1)).sum(axis=1) / (n * (n - 1))


def test(counts: np.ndarray, seed: int) -> dict[str, Any]:
    """What the card says, of the votes int ``[N, C]``; ``seed`` of the pairs and the permutations.

    ``p`` is two-sided, null where all items with two votes or more have the same number. ``fewer`` and ``more`` are the
    items with at most ``up_to`` (the lower median) votes, and the others: how many, and their mean disagreement of two
    votes. ``direction`` is ``more`` where disputed items have more votes.
    """
    counts = counts[counts.sum(axis=1) > 1]
    n = counts.sum(axis=1)
    values, which, sizes = np.unique(n, return_inverse=True, return_counts=True)
    if len(values) < 2:
        return {"p": None, "items": len(n), "votes": int(values[0]) if len(values) else None}
    d = pairwise_disagreement(counts)
    differ = keyed.rng("pairs of votes", seed).random(len(n)) < d
    ranks = np.cumsum(sizes) - (sizes - 1) / 2  # mean rank of each number of votes, from 1
    expected = differ.sum() * (len(n) + 1) / 2
    found = ranks[which[differ]].sum() - expected
    drawn = keyed.rng("permutations of votes", seed).multivariate_hypergeometric(sizes, int(differ.sum()), DRAWS)
    at_least = np.abs(drawn @ ranks - expected) >= np.abs(found) - 1e-9 * max(1, expected)
    up_to = int(np.sort(n)[(len(n) - 1) // 2])
    few = n <= (up_to if up_to < values[-1] else values[-2])

    def of(members: np.ndarray) -> dict[str, Any]:
        return {"items": int(members.sum()), "disagreement": float(d[members].mean())}

    return {
        "p": float((1 + at_least.sum()) / (1 + DRAWS)),
        "items": len(n),
        "up_to": int(n[few].max()),
        "fewer": of(few),
        "more": of(~few),
        "direction": "more" if found > 0 else "fewer",
    }
