"""The metrics, against independent implementations and cases computed by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from softlabels import registry
from softlabels.evaluation.aligned import Aligned
from softlabels.evaluation.divergence import jensen_shannon
from softlabels.evaluation.metrics.macro_acc import recall


def scored_by(name):
    """A metric as a function of references and logarithms of predictions, both [N, C]."""
    metric = registry.load("metric", name)
    return lambda p, log_q: metric(Aligned("test", np.arange(len(p)), p, log_q, []), {"kind": name})


METRICS = {name: scored_by(name) for name in ("kl", "kl_dcic", "macro_acc", "acc", "ce", "tvd")}


@pytest.fixture
def case():
    """Distributions with exact zeros [200, 5] and log-softmax predictions."""
    draws = np.random.default_rng(1)
    p = draws.multinomial(10, draws.dirichlet(np.full(5, 0.4), 200)) / 10
    assert (p == 0).any() and ((p == p.max(axis=1, keepdims=True)).sum(axis=1) > 1).any()  # with ties
    return p, log_softmax(draws.normal(size=(200, 5)) * 3, axis=1)


def test_kl_agrees_with_scipy_and_torch(case):
    p, log_q = case
    assert METRICS["kl"](p, log_q) == pytest.approx(rel_entr(p, np.exp(log_q)).sum(axis=1).mean(), rel=1e-12)
    torchs = torch.nn.functional.kl_div(torch.tensor(log_q), torch.tensor(p), reduction="batchmean")
    assert METRICS["kl"](p, log_q) == pytest.approx(float(torchs), rel=1e-12)


def test_kl_of_a_case_computed_by_hand():
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    q = np.array([[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]])
    with np.errstate(divide="ignore"):
        log_q = np.log(q)
    assert METRICS["kl"](p, log_q) == pytest.approx(0.75 * math.log(2))
    assert METRICS["ce"](p, log_q) == pytest.approx((0.5 * math.log(8) + math.log(2)) / 2)
    assert METRICS["tvd"](p, log_q) == pytest.approx((0.25 + 0.5) / 2)


def test_kl_is_infinite_where_a_prediction_excludes_a_class_that_has_mass():
    assert METRICS["kl"](np.array([[0.9, 0.1]]), np.array([[0.0, -np.inf]])) == math.inf


def test_kl_of_logits_far_apart_stays_finite():
    log_q = log_softmax(np.array([[2000.0, 0.0]]), axis=1)
    assert METRICS["kl"](np.array([[0.0, 1.0]]), log_q) == pytest.approx(2000)


def test_kl_dcic_clips_both_and_does_not_renormalise(case):
    p, log_q = case
    clipped = rel_entr(p.clip(1e-5, 1 - 1e-5), np.exp(log_q).clip(1e-5, 1 - 1e-5))
    assert METRICS["kl_dcic"](p, log_q) == pytest.approx(clipped.sum(axis=1).mean(), rel=1e-9)


def test_kl_dcic_of_a_wrong_one_hot_prediction_is_set_by_epsilon():
    one_wrong = METRICS["kl_dcic"](np.array([[1.0, 0.0]]), np.array([[-np.inf, 0.0]]))
    assert one_wrong == pytest.approx((1 - 2e-5) * math.log((1 - 1e-5) / 1e-5))
    assert METRICS["kl_dcic"](np.array([[1.0, 0.0]]), np.array([[0.0, -np.inf]])) == pytest.approx(0, abs=1e-15)


def test_macro_accuracy_agrees_with_sklearn_and_ties_go_to_the_lowest_class(case):
    p, log_q = case
    truth, predicted = p.argmax(axis=1), log_q.argmax(axis=1)
    assert METRICS["macro_acc"](p, log_q) == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert METRICS["acc"](p, log_q) == accuracy_score(truth, predicted)
    tie = np.array([[0.5, 0.5]])
    assert METRICS["acc"](tie, np.log(tie)) == 1
    assert METRICS["acc"](tie, np.log([[0.4, 0.6]])) == 0


def test_a_class_without_test_items_does_not_count_in_macro_accuracy():
    p = np.eye(3)[[0, 0, 0, 1]]
    log_q = np.log(np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]))
    np.testing.assert_array_equal(recall(p, log_q), [2 / 3, 1, np.nan])
    assert METRICS["macro_acc"](p, log_q) == pytest.approx(5 / 6)


def test_cross_entropy_is_sklearns_log_loss_on_one_hot_labels_and_kl_plus_entropy_otherwise(case):
    p, log_q = case
    truth = p.argmax(axis=1)
    assert METRICS["ce"](np.eye(5)[truth], log_q) == pytest.approx(log_loss(truth, np.exp(log_q), labels=range(5)))
    entropy = -rel_entr(p, 1).sum(axis=1).mean()
    assert METRICS["ce"](p, log_q) == pytest.approx(METRICS["kl"](p, log_q) + entropy)


def test_jensen_shannon_is_the_square_of_scipys_distance(case):
    p, log_q = case
    q = np.exp(log_q)
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, axis=1) ** 2)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(math.log(2))
