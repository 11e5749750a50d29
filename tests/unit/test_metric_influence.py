"""The values of metrics that are no mean over items, against derivatives of the metrics of weighted items."""

import numpy as np
import pytest
from metric_cases import NAMES, score, smooth, values, voted

from softlabels import keyed

# Metrics of items with weights w [n], written plainly: (w, p, q, counts) -> number


def macro_acc(w, p, q, counts):
    truth, right = p.argmax(axis=1), p.argmax(axis=1) == q.argmax(axis=1)
    return np.mean([w[(truth == k) & right].sum() / w[truth == k].sum() for k in np.unique(truth)])


def macro_f1(w, p, q, counts):
    truth, predicted = p.argmax(axis=1), q.argmax(axis=1)
    scores = []
    for k in np.union1d(truth, predicted):
        both = w[(truth == k) & (predicted == k)].sum()
        scores.append(2 * both / (w[truth == k].sum() + w[predicted == k].sum()))
    return np.mean(scores)


def soft_macro_f1(w, p, q, counts):
    return (2 * w @ np.minimum(p, q) / (w @ p + w @ q)).mean()


def weighted_ece(w, confidence, accuracy):
    error = 0
    for low in np.arange(16) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        error += abs((w * (accuracy - confidence))[inside].sum())
    return error / w.sum()


def ece(w, p, q, counts):
    return weighted_ece(w, q.max(axis=1), p.argmax(axis=1) == q.argmax(axis=1))


def soft_ece(w, p, q, counts):
    return weighted_ece(w, q.max(axis=1), np.take_along_axis(p, q.argmax(axis=1)[:, None], axis=1)[:, 0])


def soft_ece_calibrated(w, p, q, counts):
    votes, rng = counts.sum(axis=1), keyed.rng("calibrated votes", 0)
    draws = [rng.binomial(votes, q.max(axis=1)) / votes for _ in range(20)]
    return np.mean([weighted_ece(w, q.max(axis=1), shares) for shares in draws])


def entropy_correlation(w, p, q, counts):
    x, y = (-(each * np.log(np.where(each > 0, each, 1))).sum(axis=1) for each in (p, q))
    covariance = np.cov(x, y, aweights=w, ddof=0)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def ranked(p):
    order = np.argsort(-p, axis=1, kind="stable")
    return order, np.hstack([np.take_along_axis(p, order, axis=1), np.zeros((len(p), 1))])


def second_best_acc(w, p, q, counts):
    (order, sorted_p), (predicted, _) = ranked(p), ranked(q)
    told = (sorted_p[:, 0] > sorted_p[:, 1]) & (sorted_p[:, 1] > sorted_p[:, 2])
    return np.average(order[told, 1] == predicted[told, 1], weights=w[told])


def top2_set(w, p, q, counts):
    (order, sorted_p), (predicted, _) = ranked(p), ranked(q)
    told = sorted_p[:, 1] > sorted_p[:, 2]
    shared = [len({*a[:2]} & {*b[:2]}) / 2 for a, b in zip(order[told], predicted[told], strict=True)]
    return np.average(shared, weights=w[told])


def brier_unbiased(w, p, q, counts):
    told = counts.sum(axis=1) > 1
    scores = []
    for votes, row in zip(counts[told], q[told], strict=True):
        each = row - np.repeat(np.eye(len(row)), votes, axis=0)
        products = each @ each.T  # of two votes each, that are independent where they are not the same one
        scores.append(products[~np.eye(len(each), dtype=bool)].mean())
    return np.average(scores, weights=w[told])


WEIGHTED = {
    function.__name__: function
    for function in (
        brier_unbiased, ece, entropy_correlation, macro_acc, macro_f1, second_best_acc, soft_ece, soft_ece_calibrated,
        soft_macro_f1, top2_set,
    )
}  # fmt: skip


def without_ties():
    p, log_q, counts = smooth(40)
    counts[:8] = np.eye(5, dtype=int)[0]  # of one vote
    return p, log_q, counts


CASES = {"without ties": without_ties, "of votes": lambda: voted(40, 4), "two classes": lambda: voted(40, 2)}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", WEIGHTED)
def test_values_are_the_metric_and_its_derivative_by_the_weight_of_an_item(name, case):
    p, log_q, counts = CASES[case]()
    q, n, step, equal = np.exp(log_q), len(p), 1e-5, np.ones(len(p))
    metric = WEIGHTED[name]
    whole = metric(equal, p, q, counts)
    assert score(name, p, log_q, counts) == pytest.approx(whole, rel=1e-12, abs=1e-14)
    moved = [
        metric(equal + step * item, p, q, counts) - metric(equal - step * item, p, q, counts) for item in np.eye(n)
    ]
    assert values(name, p, log_q, counts) == pytest.approx(whole + n * np.array(moved) / (2 * step), abs=1e-7)
    if case == "without ties":
        assert np.ptp(moved) > 0


@pytest.mark.parametrize("name", sorted({*NAMES} - {*WEIGHTED}))
def test_other_metrics_are_means_of_terms_that_know_of_no_other_item(name):
    p, log_q, counts = voted()
    alone = [score(name, p[[k]], log_q[[k]], counts[[k]]) for k in range(50)]
    assert values(name, p, log_q, counts)[:50] == pytest.approx(alone, rel=1e-12, abs=1e-15)
