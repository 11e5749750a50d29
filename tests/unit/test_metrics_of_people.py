"""Metrics of confidence, of one class and of ordered classes: against scikit-learn, scipy and brute force."""

import itertools
import math

import numpy as np
import pytest
from metric_cases import DEFAULTS, classes, log, score, smooth, values, voted
from scipy.stats import wasserstein_distance
from sklearn.metrics import cohen_kappa_score, roc_auc_score, roc_curve

from softlabels.errors import UserError
from softlabels.evaluation import risk
from softlabels.evaluation.aligned import Aligned
from softlabels.provenance.recompute_metrics import METRICS

TRUTHS = ("votes", "majority")
ORDER = ["c2", "c0", "c1"]


def tied():
    """Predictions that are shares of votes, so that confidences tie."""
    (p, _, counts), (q, _, _) = voted(40, 3, votes=4), voted(40, 3, seed=1, votes=5)
    return p, log(q), counts


def one_class():
    """The truth of every item is one class, and so is every prediction."""
    return np.eye(3)[[0, 0, 0]], log(np.eye(3)[[0, 0, 0]]), np.eye(3, dtype=int)[[0, 0, 0]]


def absent():
    """No vote is for the last class, which some items are predicted to be."""
    _, log_q, counts = voted(50, 3)
    counts[:, 2] = 0
    kept = counts.sum(axis=1) > 0
    return counts[kept] / counts[kept].sum(axis=1, keepdims=True), log_q[kept], counts[kept]


CASES = {
    "without ties": lambda: smooth(50, 3),
    "of votes": lambda: voted(50, 3),
    "tied": tied,
    "absent class": absent,
    "one class": one_class,
    "one item": lambda: voted(1, 3),
}
CHOSEN = [
    *(("aurc", {"truth": truth}) for truth in TRUTHS),
    *(("e_aurc", {"truth": truth}) for truth in TRUTHS),
    *(("auroc", {"truth": truth, "positive": of}) for truth in TRUTHS for of in (None, "c1")),
    *(("quadratic_kappa", {"truth": truth, "order": order}) for truth in TRUTHS for order in (None, ORDER)),
    *(("sensitivity_at_specificity", {"truth": truth, "positive": "c0", "specificity": 0.8}) for truth in TRUTHS),
    *(("wasserstein", {"order": order}) for order in (None, ORDER)),
]
EACH = pytest.mark.parametrize(("name", "options"), CHOSEN, ids=str)


@EACH
@pytest.mark.parametrize("case", CASES)
def test_the_second_implementation_gives_the_same_number(name, options, case):
    p, log_q, counts = CASES[case]()
    found = METRICS[name](p, log_q, {**DEFAULTS[name], **options, "classes": classes(p)}, counts)
    number = math.nan if found is None else found
    assert number == pytest.approx(score(name, p, log_q, **options), rel=1e-9, abs=1e-12, nan_ok=True)


@EACH
def test_the_mean_of_the_values_is_the_metric_and_votes_are_not_needed(name, options):
    p, log_q, _ = smooth(50, 3)
    assert np.shape(values(name, p, log_q, **options)) == (() if name.startswith("sensitivity") else (50,))


# -- confidence --------------------------------------------------------------------------------------------------------


def brute(loss, confidence):
    """The area, over all orders in which tied items can stand."""
    areas = []
    for order in itertools.permutations(range(len(loss))):
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order)):
            areas.append(np.mean([np.mean([loss[i] for i in order[: k + 1]]) for k in range(len(order))]))
    return np.mean(areas)


def test_the_area_is_the_mean_over_the_orders_of_tied_items():
    loss, confidence = np.array([0.2, 1, 0, 0.5, 0.9, 0.1]), np.array([0.9, 0.5, 0.5, 0.7, 0.5, 0.7])
    assert risk.area(loss, confidence).mean() == pytest.approx(brute(loss, confidence), rel=1e-12)
    assert risk.curve(loss, confidence).mean() == pytest.approx(brute(loss, confidence), rel=1e-12)


def test_a_case_computed_by_hand():
    p, log_q = np.eye(2)[[0, 1, 0]], log(np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]))  # right, wrong, right
    assert score("aurc", p, log_q) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert score("e_aurc", p, log_q) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3 - (0 + 0 + 1 / 3) / 3)


def test_the_right_order_has_no_excess():
    p, _, _ = smooth(30, 3)
    assert values("e_aurc", p, np.log(p)) == pytest.approx(np.zeros(30), abs=1e-12)
    assert score("e_aurc", p, np.log(p), truth="majority") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["aurc", "e_aurc"])
@pytest.mark.parametrize("truth", TRUTHS)
def test_the_values_tell_what_an_item_more_or_less_does(name, truth):
    """Infinitesimal and ordinary jackknife, which agree but nearly: sums stand in the place of integrals."""
    p, log_q, _ = smooth(400, 3)
    n, whole = len(p), score(name, p, log_q, truth=truth)
    without = np.array(
        [score(name, *(np.delete(each, k, axis=0) for each in (p, log_q)), truth=truth) for k in range(n)]
    )
    jackknife, found = whole + (n - 1) * (without.mean() - without), values(name, p, log_q, truth=truth)
    assert np.corrcoef(jackknife, found)[0, 1] > 0.999
    assert np.std(found) == pytest.approx(np.std(jackknife), rel=0.05)


# -- one class ---------------------------------------------------------------------------------------------------------


def twice(p, k, truth):
    """Each item as a positive and as a negative one, with weights."""
    right = p[:, k] if truth == "votes" else (p.argmax(axis=1) == k).astype(float)
    return np.repeat([1, 0], len(p)), np.concatenate([right, 1 - right])


@pytest.mark.parametrize("case", ["without ties", "of votes", "tied"])
@pytest.mark.parametrize("truth", TRUTHS)
def test_auroc_agrees_with_scikit_learn(case, truth):
    p, log_q, _ = CASES[case]()
    theirs = []
    for k in range(3):
        told, weight = twice(p, k, truth)
        theirs.append(roc_auc_score(told, np.tile(np.exp(log_q[:, k]), 2), sample_weight=weight))
        assert score("auroc", p, log_q, truth=truth, positive=f"c{k}") == pytest.approx(theirs[-1], rel=1e-10)
    assert score("auroc", p, log_q, truth=truth) == pytest.approx(np.mean(theirs), rel=1e-10)


@pytest.mark.parametrize("case", ["without ties", "of votes", "tied"])
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("specificity", [0.5, 0.9, 1])
def test_sensitivity_is_the_best_of_the_thresholds_of_scikit_learn(case, truth, specificity):
    p, log_q, _ = CASES[case]()
    told, weight = twice(p, 1, truth)
    alarms, hits, _ = roc_curve(told, np.tile(np.exp(log_q[:, 1]), 2), sample_weight=weight, drop_intermediate=False)
    options = {"positive": "c1", "specificity": specificity, "truth": truth}
    best = hits[1 - alarms >= specificity - 1e-12].max()
    assert values("sensitivity_at_specificity", p, log_q, **options) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("name", ["auroc", "sensitivity_at_specificity"])
def test_a_class_that_every_item_or_no_item_has_is_told_from_nothing(name):
    p, log_q, _ = one_class()
    for positive in ("c0", "c1"):
        assert np.isnan(score(name, p, log_q, positive=positive))
    if name == "auroc":
        assert np.isnan(score(name, p, log_q))


@pytest.mark.parametrize("truth", TRUTHS)
def test_values_of_auroc_are_its_derivative_by_the_weight_of_an_item(truth):
    p, log_q, _ = tied()

    def weighted(w):
        areas = []
        for k in range(3):
            told, weight = twice(p, k, truth)
            areas.append(roc_auc_score(told, np.tile(np.exp(log_q[:, k]), 2), sample_weight=weight * np.tile(w, 2)))
        return np.mean(areas)

    check_derivative(weighted, values("auroc", p, log_q, truth=truth))


def check_derivative(weighted, found):
    n, step = len(found), 1e-5
    equal = np.ones(n)
    moved = [weighted(equal + step * item) - weighted(equal - step * item) for item in np.eye(n)]
    assert found == pytest.approx(weighted(equal) + n * np.array(moved) / (2 * step), abs=1e-7)


# -- ordered classes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["without ties", "of votes", "tied", "absent class"])
@pytest.mark.parametrize("order", [None, ORDER])
@pytest.mark.parametrize("truth", TRUTHS)
def test_kappa_agrees_with_scikit_learn_and_its_values_with_derivatives(case, order, truth):
    p, log_q, _ = CASES[case]()
    place = [(order or classes(p)).index(name) for name in classes(p)]
    right = p if truth == "votes" else np.eye(3)[p.argmax(axis=1)]
    told, chosen = np.repeat(place, len(p)), np.tile(np.take(place, log_q.argmax(axis=1)), 3)

    def weighted(w):
        weight = (w[:, None] * right).T.ravel()
        return cohen_kappa_score(told, chosen, weights="quadratic", sample_weight=weight, labels=[0, 1, 2])

    found = values("quadratic_kappa", p, log_q, truth=truth, order=order)
    assert found.mean() == pytest.approx(weighted(np.ones(len(p))), rel=1e-10)
    check_derivative(weighted, found)


def test_kappa_is_not_defined_where_nothing_varies():
    p, log_q, _ = one_class()
    assert np.isnan(score("quadratic_kappa", p, log_q))
    assert score("quadratic_kappa", p, log_q[:, [1, 0, 2]]) == pytest.approx(0)  # always wrong: no better than chance


@pytest.mark.parametrize("order", [None, ORDER])
def test_wasserstein_agrees_with_scipy(order):
    p, log_q, _ = voted(50, 3)
    place = [(order or classes(p)).index(name) for name in classes(p)]
    theirs = [wasserstein_distance(place, place, a, b) for a, b in zip(p, np.exp(log_q), strict=True)]
    assert values("wasserstein", p, log_q, order=order) == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("auroc", {"positive": "dog"}, "positive: found 'dog', expected one of c0, c1"),
        ("quadratic_kappa", {"order": ["c0", "c0"]}, "order: found 'c0' 2 times"),
        ("quadratic_kappa", {"order": ["c0"]}, "order: found 'c1' 0 times"),
        ("wasserstein", {"order": ["c0", "c1", "dog"]}, "order: found 'dog' 1 times"),
    ],
)
def test_classes_that_there_are_not_are_refused(name, options, told):
    with pytest.raises(UserError, match=told):
        values(name, np.eye(2), log(np.eye(2)), **options)


def test_cross_entropy_and_accuracy_against_a_vote_are_these():
    p, log_q, counts = voted(20, 3)
    label = [np.repeat(np.arange(3), of_item) for of_item in counts]
    one_by_one = [np.mean([-row[k] for k in of_item]) for row, of_item in zip(log_q, label, strict=True)]
    assert values("ce", p, log_q) == pytest.approx(one_by_one)
    hit = [np.mean(of_item == row.argmax()) for row, of_item in zip(log_q, label, strict=True)]
    assert values("vote_acc", p, log_q) == pytest.approx(hit)
    assert Aligned("test", np.arange(20), p, log_q, classes(p)).calibration is None
