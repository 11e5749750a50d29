"""The audit's second implementation of every metric."""

import math

import numpy as np
import pytest
from metric_cases import DEFAULTS, NAMES, log, score, smooth, voted

from softlabels import registry
from softlabels.provenance import recompute_votes
from softlabels.provenance.checks_metrics import _groups
from softlabels.provenance.recompute_metrics import METRICS, log_softmax


def sparse():
    """Votes with zeros and ties, two classes absent in all, one only predicted; single votes; one-hot predictions."""
    _, log_q, counts = voted(300, 6)
    counts[:90] = np.eye(6, dtype=int)[np.arange(90) % 4]
    counts[:, 4:] = 0
    counts = counts[counts.sum(axis=1) > 0]
    log_q = log_q[: len(counts)]
    log_q[:, 5] = -np.inf
    log_q -= np.log(np.exp(log_q).sum(axis=1, keepdims=True))
    log_q[50:60] = log(np.eye(6)[np.arange(10) % 4])
    return counts / counts.sum(axis=1, keepdims=True), log_q, counts


def tied():
    """Predictions that are shares of votes, too: ties and confidences at the ends of bins."""
    (p, _, counts), (q, _, _) = voted(300, 3, votes=5), voted(300, 3, seed=1, votes=15)
    return p, log(q), counts


CASES = {
    "without ties": lambda: smooth(300),
    "of votes": lambda: voted(300),
    "two classes": lambda: voted(300, 2),
    "absent classes": sparse,
    "tied predictions": tied,
    "one item": lambda: voted(1),
    "exact": lambda: (*smooth(300)[:2], None),
}
PAIRS = [(name, case) for name in NAMES for case in CASES if (name, case) != ("brier_unbiased", "exact")]  # needs votes


def test_there_is_one_of_every_metric():
    assert sorted([*METRICS, *recompute_votes.METRICS]) == sorted(registry.names("metric"))


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_it_gives_the_same_number(name, case):
    p, log_q, counts = CASES[case]()
    found = METRICS[name](p, log_q, DEFAULTS[name], counts)
    assert (math.nan if found is None else found) == pytest.approx(
        score(name, p, log_q, counts), rel=1e-9, abs=1e-12, nan_ok=True
    )
    assert type(found) in (float, type(None))


def test_predictions_are_the_softmax_of_logits():
    logits = np.array([[1000.0, 0.0], [0.0, math.log(3)]])
    assert np.exp(log_softmax(logits)) == pytest.approx(np.array([[1, 0], [0.25, 0.75]]))


def test_a_prediction_of_zero_where_there_is_mass_is_infinitely_far():
    p, log_q = np.array([[0.5, 0.5]]), log(np.array([[1.0, 0.0]]))
    assert METRICS["kl"](p, log_q, {}) == METRICS["ce"](p, log_q, {}) == math.inf
    assert math.isfinite(METRICS["kl_dcic"](p, log_q, {}))


def test_merged_classes_of_tiny_probabilities_keep_their_logarithms():
    log_q = np.array([[0.0, -800, -801]])
    (_, p, merged), *_ = _groups({"two": {"a": ["x"], "b": ["y", "z"]}}, ["x", "y", "z"], np.eye(3)[:1], log_q, False)
    assert p.tolist() == [[1, 0]]
    np.testing.assert_allclose(merged, [[0, -800 + np.log1p(np.exp(-1))]], rtol=1e-15)
