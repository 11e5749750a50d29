"""Multinomial logistic regression on label distributions."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from softlabels.heads import logistic

N, F, C = 150, 8, 4


@pytest.fixture(scope="module")
def data():
    """Features of very different scale, one of them constant, and label distributions."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, F)) * rng.uniform(0.1, 30, F) + rng.normal(size=F) * 10
    features[:, 3] = 0.1
    logits = (features - features.mean(axis=0)) / 10 @ rng.normal(size=(F, C)) + rng.normal(size=(N, C))
    p = rng.dirichlet(np.ones(C), N) * 0.5 + 0.5 * np.eye(C)[logits.argmax(axis=1)]
    return features.astype(np.float32), p


def standardised(features):
    z = features.astype(float) - features.astype(float).mean(axis=0)
    std = z.std(axis=0)
    return z / np.where(std > 1e-6, std, 1)


def q(features, head):
    return np.exp(log_softmax(features @ head.weight.T + head.bias, axis=1))


@pytest.mark.parametrize("block", [512, logistic.BLOCK])
def test_heads_on_hard_labels_are_those_of_scikit_learn(data, block, monkeypatch):
    monkeypatch.setattr(logistic, "BLOCK", block)  # of a few items, the last of fewer
    features, p = data
    y, weight = p.argmax(axis=1), np.linspace(0.5, 1.5, N)
    penalties = [1, 0.1, 0.01]
    for head in logistic.heads(features, np.eye(C)[y], weight, penalties):
        theirs = LogisticRegression(C=1 / (N * head.penalty), solver="newton-cg", tol=1e-10, max_iter=1000)
        theirs.fit(standardised(features), y, weight)
        np.testing.assert_allclose(q(features, head), theirs.predict_proba(standardised(features)), atol=1e-5)
        assert head.converged


def test_heads_on_soft_labels_are_those_of_weighted_copies_of_each_item(data):
    features, p = data
    copies, classes = np.repeat(standardised(features), C, axis=0), np.tile(np.arange(C), N)
    (head,) = logistic.heads(features, p, np.ones(N), [0.05])
    theirs = LogisticRegression(C=1 / (N * 0.05), solver="newton-cg", tol=1e-10, max_iter=1000)
    theirs.fit(copies, classes, p.ravel())
    np.testing.assert_allclose(q(features, head), theirs.predict_proba(standardised(features)), atol=1e-5)
    own = -(p * np.log(q(features, head))).sum(axis=1)
    assert head.ce == pytest.approx(own.mean(), abs=1e-9)
    np.testing.assert_allclose(logistic.cross_entropies(p, features @ head.weight.T + head.bias), own, atol=1e-9)


def test_the_objective_is_at_its_least(data):
    """By an optimiser that is told no slope, of the formula as it is written."""
    features, p = (values[:40, :3] for values in data)
    p = p / p.sum(axis=1, keepdims=True)
    z, weight = standardised(features), np.linspace(0.5, 1.5, 40)

    def loss(flat):
        w, b = flat[:9].reshape(3, 3), flat[9:]
        return -(weight * (p * log_softmax(z @ w.T + b, axis=1)).sum(axis=1)).mean() + 0.1 / 2 * (w**2).sum()

    best = minimize(loss, np.zeros(12), tol=1e-10)
    (head,) = logistic.heads(features, p, weight, [0.1])
    q_best = np.exp(log_softmax(z @ best.x[:9].reshape(3, 3).T + best.x[9:], axis=1))
    np.testing.assert_allclose(q(features, head), q_best, atol=1e-4)


def test_more_features_than_items_change_nothing_but_the_way_to_the_minimum(data):
    rng = np.random.default_rng(1)
    features, p = rng.normal(size=(20, 50)), data[1][:20]
    (head,) = logistic.heads(features, p, np.ones(20), [0.1])
    wide = np.vstack([features, features])  # the same items twice: the same minimum, by the other way
    (twice,) = logistic.heads(np.vstack([wide, wide]), np.vstack([p] * 4), np.ones(80), [0.1])
    np.testing.assert_allclose(head.weight, twice.weight, atol=1e-5)
    np.testing.assert_allclose(head.bias, twice.bias, atol=1e-5)


def test_penalties_are_tried_from_the_largest_whatever_their_order_and_start_at_the_one_before(data):
    features, p = data
    several = list(logistic.heads(features, p, np.ones(N), [0.01, 1, 0.1]))
    assert [head.penalty for head in several] == [1, 0.1, 0.01]
    (alone,) = logistic.heads(features, p, np.ones(N), [0.01])
    np.testing.assert_allclose(q(features, several[-1]), q(features, alone), atol=1e-5)
    assert [head.ce for head in several] == sorted((head.ce for head in several), reverse=True)


def test_constant_features_have_no_weight(data):
    features, p = data
    (head,) = logistic.heads(features, p, np.ones(N), [0.1])
    np.testing.assert_allclose(head.weight[:, 3], 0, atol=1e-12)
    (nothing,) = logistic.heads(np.full((N, 2), 7.0), p, np.ones(N), [0.1])
    np.testing.assert_allclose(q(features[:, :2] * 0 + 7, nothing), np.tile(p.mean(axis=0), (N, 1)), atol=1e-6)


def test_what_did_not_converge_says_so(data, monkeypatch):
    monkeypatch.setattr(logistic, "MOST_STEPS", 1)
    assert [head.converged for head in logistic.heads(*data, np.ones(N), [0.001])] == [False]
