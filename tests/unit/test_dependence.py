"""The data card's test whether the number of votes depends on disagreement."""

import itertools

import numpy as np
import pytest

from softlabels.cards import dependence


def voted(p, n, rng):
    """Counts of n votes (a number an item) on items with the distributions p."""
    return np.array([rng.multinomial(times, each) for times, each in zip(n, p, strict=True)])


def test_pairwise_disagreement_counts_pairs_of_votes():
    counts = np.array([[2, 1, 0], [4, 0, 0], [1, 1, 2]])
    expected = []
    for row in counts:
        votes = np.repeat(np.arange(3), row)
        expected.append(np.mean([a != b for a, b in itertools.combinations(votes, 2)]))
    np.testing.assert_allclose(dependence.pairwise_disagreement(counts), expected)


def test_extra_readers_for_disputed_images_are_found():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5, 0.5], 300)
    counts = voted(p, np.full(300, 2), rng)
    disputed = counts.max(axis=1) == 1
    counts[disputed] += voted(p[disputed], np.full(disputed.sum(), 1), rng)
    found = dependence.test(counts, 0)
    assert found["p"] == 0.0001 and found["direction"] == "more"
    assert found["fewer"] == {"items": int((~disputed).sum()), "disagreement": 0} and found["up_to"] == 2
    assert found["more"] == {"items": int(disputed.sum()), "disagreement": pytest.approx(2 / 3)}


def test_fewer_votes_for_disputed_images_are_found_too():
    rng = np.random.default_rng(1)
    p = np.repeat([[1.0, 0.0], [0.5, 0.5]], 100, axis=0)
    found = dependence.test(voted(p, np.repeat([9, 3], 100), rng), 0)
    assert found["p"] < 0.001 and found["direction"] == "fewer"


def test_numbers_of_votes_that_say_nothing_are_seldom_called_dependent():
    """Also where the images differ much and the numbers of votes, too: p is below 0.05 in about 5 of 100 cases."""
    low = 0
    for case in range(400):
        rng = np.random.default_rng(case)
        p = rng.dirichlet([0.3, 0.3, 0.3], 60)
        found = dependence.test(voted(p, rng.choice([2, 3, 12], 60, p=[0.5, 0.3, 0.2]), rng), case)
        low += found["p"] < 0.05
    assert 8 <= low <= 32  # 20 are expected; standard deviation 4.4


def test_p_is_that_of_all_permutations():
    counts = np.array([[2, 0], [1, 1], [2, 1], [5, 1], [0, 3], [4, 4], [2, 0], [6, 0]])
    found = dependence.test(counts, 3)
    n = counts.sum(axis=1)
    differ = dependence.keyed.rng("pairs of votes", 3).random(8) < dependence.pairwise_disagreement(counts)
    ranks = np.array([np.mean([1 + (n < each).sum(), (n <= each).sum()]) for each in n])
    middle = differ.sum() * 9 / 2
    sums = [ranks[list(chosen)].sum() for chosen in itertools.combinations(range(8), differ.sum())]
    exact = np.mean(np.abs(np.array(sums) - middle) >= abs(ranks[differ].sum() - middle) - 1e-9)
    assert 0 < differ.sum() < 8 and found["p"] == pytest.approx(exact, abs=0.02)


def test_equal_numbers_and_single_votes_need_no_test():
    assert dependence.test(np.array([[2, 1], [0, 3]]), 0) == {"p": None, "items": 2, "votes": 3}
    assert dependence.test(np.array([[1, 0], [0, 1]]), 0) == {"p": None, "items": 0, "votes": None}
    found = dependence.test(np.array([[1, 1], [0, 3], [2, 1], [2, 2]]), 0)
    assert found["fewer"]["items"] + found["more"]["items"] == 4 and found["p"] <= 1
