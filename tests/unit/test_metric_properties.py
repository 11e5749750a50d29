"""What holds for every metric: invariances, bounds, direction, and one value an item."""

import math

import numpy as np
import pytest
from metric_cases import NAMES, log, score, smooth, values, voted
from scipy.special import log_softmax

from softlabels import registry
from softlabels.evaluation.metrics import soft_ece_calibrated

BETTER = {name: registry.entry("metric", name)["better"] for name in NAMES}
# Lowest and highest value of a metric, given the number of classes.
BOUNDS = {
    **dict.fromkeys(("acc", "cosine", "ece", "macro_acc", "macro_f1", "second_best_acc", "soft_ece",
                     "soft_ece_calibrated", "soft_macro_f1", "top2_set", "tvd", "chebyshev", "vote_acc"),
                    lambda n_classes: (0, 1)),
    **dict.fromkeys(("ce", "kl"), lambda n_classes: (0, math.inf)),
    "kl_dcic": lambda n_classes: (-1e-4 * n_classes, 2 * math.log(1e5)),  # clipped values do not sum to 1
    "brier": lambda n_classes: (0, 2),
    "brier_unbiased": lambda n_classes: (-1, 2),  # at least -p², as where two votes differ
    "js": lambda n_classes: (0, math.log(2)),
    "clark": lambda n_classes: (0, math.sqrt(n_classes)),
    "canberra": lambda n_classes: (0, n_classes),
    "entropy_difference": lambda n_classes: (-math.log(n_classes), math.log(n_classes)),
    "entropy_correlation": lambda n_classes: (-1, 1),
}  # fmt: skip
# A right distribution scores badly (test_metrics), and of two no value is the best one.
NOT_BEST_AT_IDENTITY = {"ece", "entropy_difference", "soft_ece_calibrated"}
# These do not see every step towards the reference, or compare groups of items.
STEPS = {"acc", "macro_acc", "macro_f1", "second_best_acc", "top2_set", "vote_acc", "soft_ece", "entropy_correlation"}
SIZES = pytest.mark.parametrize("n_classes", [2, 5, 12])
ALL = pytest.mark.parametrize("name", NAMES)


@ALL
@SIZES
def test_there_is_one_value_an_item(name, n_classes):
    found = values(name, *smooth(n_classes=n_classes))
    assert found.shape == (60,) and found.dtype == np.float64


@ALL
@SIZES
def test_the_numbers_of_classes_do_not_matter(name, n_classes):
    p, log_q, counts = smooth(n_classes=n_classes)
    turned = np.random.default_rng(1).permutation(n_classes)
    again = values(name, p[:, turned], log_q[:, turned], counts[:, turned])
    assert again == pytest.approx(values(name, p, log_q, counts), rel=1e-9, abs=1e-12)


@ALL
@SIZES
def test_the_order_of_items_does_not_matter(name, n_classes, monkeypatch):
    case = smooth(n_classes=n_classes)
    order = np.random.default_rng(2).permutation(60)
    found = values(name, *(each[order] for each in case))
    if name == "soft_ece_calibrated":  # other votes are drawn
        monkeypatch.setattr(soft_ece_calibrated, "DRAWS", 1000)
        assert score(name, *(each[order] for each in case)) == pytest.approx(score(name, *case), rel=0.1)
    else:
        assert found == pytest.approx(values(name, *case)[order], rel=1e-9, abs=1e-12)


@ALL
@SIZES
def test_values_lie_within_the_bounds(name, n_classes):
    low, high = BOUNDS[name](n_classes)
    p, log_q, counts = voted(n_classes=n_classes)
    cases = [(p, log_q, counts), (p, log(p), counts), (p, log(np.roll(p, 1, axis=1)), counts), smooth(60, n_classes)]
    for case in cases:
        found = score(name, *case)
        assert low - 1e-12 <= found <= high + 1e-12


@ALL
@pytest.mark.parametrize("scale", [1e-3, 1, 30, 1000])
def test_what_a_softmax_gives_has_a_finite_score(name, scale):
    p, _, counts = voted()
    log_q = log_softmax(np.random.default_rng(3).normal(size=p.shape) * scale, axis=1)
    assert np.isfinite(values(name, p, log_q, counts)).all()


def test_every_metric_has_a_best_value_but_those_that_say_so():
    assert {name for name in NAMES if BETTER[name] is None} <= NOT_BEST_AT_IDENTITY
    assert set(BETTER.values()) == {"higher", "lower", None}


@pytest.mark.parametrize("name", sorted({*NAMES} - NOT_BEST_AT_IDENTITY))
@SIZES
def test_nothing_beats_the_reference_itself(name, n_classes):
    p, _, counts = voted(60, n_classes)
    sign = {"higher": 1, "lower": -1}[BETTER[name]]
    best = score(name, p, log(p), counts)
    rng, better_ones, worse_ones = np.random.default_rng(4), 0, 0
    for scale in np.geomspace(0.01, 3, 40):
        other = score(name, p, log_softmax(log(p + 1e-6) + rng.normal(size=p.shape) * scale, axis=1), counts)
        better_ones += sign * (other - best) > 1e-12
        worse_ones += sign * (other - best) < -1e-12
    assert better_ones == 0
    assert worse_ones > 5 or (name, n_classes) == ("top2_set", 2)  # of two classes the set is always right


def test_the_reference_itself_scores_0_or_1():
    p, _, _ = voted(60)
    # not kl_dcic: a divergence of numbers that are not normalised, and 0 all the same
    zero = {"kl", "kl_dcic", "tvd", "js", "brier", "chebyshev", "clark", "canberra", "soft_ece", "entropy_difference"}
    one = {"acc", "macro_acc", "macro_f1", "soft_macro_f1", "second_best_acc", "top2_set", "cosine"}
    for name in zero:
        assert score(name, p, log(p)) == pytest.approx(0, abs=1e-12), name
    for name in one | {"entropy_correlation"}:
        assert score(name, p, log(p)) == pytest.approx(1, abs=1e-12), name


@pytest.mark.parametrize("name", sorted({*NAMES} - NOT_BEST_AT_IDENTITY - STEPS))
@SIZES
def test_each_step_towards_the_reference_is_for_the_better(name, n_classes):
    p, log_q, counts = voted(60, n_classes)
    q, sign = np.exp(log_q), {"higher": 1, "lower": -1}[BETTER[name]]
    path = np.array([score(name, p, log((1 - t) * q + t * p), counts) for t in np.linspace(0, 1, 30)])
    assert (np.diff(sign * path) > -1e-12).all()
    assert sign * (path[-1] - path[0]) > 0.01


@pytest.mark.parametrize("name", sorted(STEPS))
def test_the_last_step_towards_the_reference_is_for_the_better(name):
    p, log_q, counts = voted()
    sign = {"higher": 1, "lower": -1}[BETTER[name]]
    assert sign * (score(name, p, log(p), counts) - score(name, p, log_q, counts)) > 0.01
