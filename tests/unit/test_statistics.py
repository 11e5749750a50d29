"""Means, spreads and paired intervals over seeds."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from softlabels.evaluation.statistics import paired_difference, summary

A, B = [0.91, 0.88, 0.95, 0.90], [0.82, 0.86, 0.79, 0.85]


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_summary_agrees_with_numpy(ddof):
    assert summary(A, ddof) == pytest.approx((np.mean(A), np.std(A, ddof=ddof)))


def test_the_mean_does_not_depend_on_the_order_of_seeds():
    values = [1e16, 1.0, -1e16, 3.0]
    assert summary(values, 1)[0] == summary(sorted(values), 1)[0] == 1.0


def test_one_seed_has_a_mean_but_no_spread_and_no_interval():
    assert summary([0.5], ddof=1) == summary([0.5], ddof=0) == (0.5, None)
    assert paired_difference([0.5], [0.25], 0.95) == (0.25, None, None)


def test_an_infinite_value_makes_the_mean_infinite_and_leaves_no_spread():
    assert summary([0.5, math.inf], ddof=1) == (math.inf, None)
    assert math.isnan(paired_difference([math.inf, 1.0], [math.inf, 1.0], 0.95)[0])


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_paired_interval_agrees_with_scipy(level):
    mean, std, interval = paired_difference(A, B, level)
    assert mean == pytest.approx(np.mean(A) - np.mean(B))
    assert std == pytest.approx(np.std(np.subtract(A, B), ddof=1))
    assert interval == pytest.approx(tuple(ttest_rel(A, B).confidence_interval(level)))


def test_pairs_of_different_length_are_refused():
    with pytest.raises(ValueError):
        paired_difference(A, B[:3], 0.95)
