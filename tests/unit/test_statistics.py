"""Means and spreads over seeds."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from softlabels.evaluation.statistics import half_width, summary

A, B = [0.91, 0.88, 0.95, 0.90], [0.82, 0.86, 0.79, 0.85]


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_summary_agrees_with_numpy(ddof):
    assert summary(A, ddof) == pytest.approx((np.mean(A), np.std(A, ddof=ddof)))


def test_the_mean_does_not_depend_on_the_order_of_seeds():
    values = [1e16, 1.0, -1e16, 3.0]
    assert summary(values, 1)[0] == summary(sorted(values), 1)[0] == 1.0


def test_one_seed_has_a_mean_but_no_spread():
    assert summary([0.5], ddof=1) == summary([0.5], ddof=0) == (0.5, None)


def test_an_infinite_value_makes_the_mean_infinite_and_leaves_no_spread():
    assert summary([0.5, math.inf], ddof=1) == (math.inf, None)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_half_width_agrees_with_scipy(level):
    low, high = ttest_rel(A, B).confidence_interval(level)
    assert half_width(np.std(np.subtract(A, B), ddof=1), len(A), level) == pytest.approx((high - low) / 2)
