"""The metrics, against independent implementations and cases computed by hand."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_cases import NAMES, log, score, smooth, values, voted
from scipy import stats
from scipy.spatial import distance
from scipy.special import log_softmax, rel_entr
from sklearn.metrics import accuracy_score, balanced_accuracy_score, brier_score_loss, f1_score, log_loss

from softlabels import registry
from softlabels.evaluation.divergence import jensen_shannon
from softlabels.evaluation.metrics import soft_ece_calibrated
from softlabels.evaluation.metrics.macro_acc import recall

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


@pytest.fixture
def case():
    """Distributions with exact zeros and ties [200, 5] and log-softmax predictions."""
    p, log_q, _ = voted()
    assert (p == 0).any() and ((p == p.max(axis=1, keepdims=True)).sum(axis=1) > 1).any()
    return p, log_q


# -- divergences -------------------------------------------------------------------------------------------------------


def test_kl_agrees_with_scipy_and_torch(case):
    p, log_q = case
    assert values("kl", p, log_q) == pytest.approx(rel_entr(p, np.exp(log_q)).sum(axis=1), rel=1e-12)
    torchs = torch.nn.functional.kl_div(torch.tensor(log_q), torch.tensor(p), reduction="batchmean")
    assert score("kl", p, log_q) == pytest.approx(float(torchs), rel=1e-12)


def test_kl_of_a_case_computed_by_hand():
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    log_q = log(np.array([[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]]))
    assert values("kl", p, log_q) == pytest.approx([0.5 * math.log(2), math.log(2)])
    assert values("ce", p, log_q) == pytest.approx([0.5 * math.log(8), math.log(2)])
    assert values("tvd", p, log_q) == pytest.approx([0.25, 0.5])


def test_kl_is_infinite_where_a_prediction_excludes_a_class_that_has_mass():
    assert score("kl", np.array([[0.9, 0.1], [1, 0]]), np.array([[0.0, -np.inf]] * 2)) == math.inf


def test_kl_of_logits_far_apart_stays_finite():
    log_q = log_softmax(np.array([[2000.0, 0.0]]), axis=1)
    assert score("kl", np.array([[0.0, 1.0]]), log_q) == pytest.approx(2000)


def test_kl_dcic_clips_both_and_does_not_renormalise(case):
    p, log_q = case
    clipped = rel_entr(p.clip(1e-5, 1 - 1e-5), np.exp(log_q).clip(1e-5, 1 - 1e-5))
    assert score("kl_dcic", p, log_q) == pytest.approx(clipped.sum(axis=1).mean(), rel=1e-9)


def test_kl_dcic_of_a_wrong_one_hot_prediction_is_set_by_epsilon():
    one_wrong = score("kl_dcic", np.array([[1.0, 0.0]]), np.array([[-np.inf, 0.0]]))
    assert one_wrong == pytest.approx((1 - 2e-5) * math.log((1 - 1e-5) / 1e-5))
    assert score("kl_dcic", np.array([[1.0, 0.0]]), np.array([[0.0, -np.inf]])) == pytest.approx(0, abs=1e-15)


def test_cross_entropy_is_sklearns_log_loss_on_one_hot_labels(case):
    p, log_q = case
    truth = p.argmax(axis=1)
    assert score("ce", np.eye(5)[truth], log_q) == pytest.approx(log_loss(truth, np.exp(log_q), labels=range(5)))


def test_jensen_shannon_is_the_square_of_scipys_distance(case):
    p, log_q = case
    expected = distance.jensenshannon(p, np.exp(log_q), axis=1) ** 2
    assert jensen_shannon(p, np.exp(log_q)) == pytest.approx(expected)
    assert values("js", p, log_q) == pytest.approx(expected)
    assert score("js", np.array([[1.0, 0.0]]), np.array([[-np.inf, 0.0]])) == pytest.approx(math.log(2))


# -- distances and similarities ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scipys"),
    [("chebyshev", distance.chebyshev), ("canberra", distance.canberra), ("brier", distance.sqeuclidean),
     ("cosine", lambda p, q: 1 - distance.cosine(p, q))],
)  # fmt: skip
def test_distances_are_those_of_scipy(case, name, scipys):
    p, log_q = case
    expected = [scipys(*pair) for pair in zip(p, np.exp(log_q), strict=True)]
    assert values(name, p, log_q) == pytest.approx(expected, rel=1e-12)


def test_relative_differences_of_a_class_without_mass_in_both_are_0():
    p, q = np.array([[0.5, 0.5, 0, 0]]), np.array([[0.25, 0.5, 0.25, 0]])
    assert score("canberra", p, log(q)) == pytest.approx(1 / 3 + 1) == distance.canberra(p[0], q[0])
    assert score("clark", p, log(q)) == pytest.approx(math.sqrt(1 / 9 + 1))


def test_the_brier_score_is_sklearns_against_one_class(case):
    p, log_q = case
    truth = p.argmax(axis=1)
    sklearns = brier_score_loss(truth, np.exp(log_q), labels=range(5), scale_by_half=False)
    assert score("brier", np.eye(5)[truth], log_q) == pytest.approx(sklearns)


def test_the_unbiased_brier_score_estimates_the_distance_from_the_distribution_behind_two_votes():
    rng = np.random.default_rng(0)
    p, q = np.array([0.6, 0.3, 0.1]), np.array([0.4, 0.4, 0.2])
    votes = np.array([2, 3])
    counts = np.concatenate([rng.multinomial(n, p, 100_000) for n in votes])
    shares, log_q = counts / counts.sum(axis=1, keepdims=True), np.tile(log(q), (len(counts), 1))
    unbiased = values("brier_unbiased", shares, log_q, counts)
    error = unbiased.std() / math.sqrt(len(counts))
    truth = ((p - q) ** 2).sum()  # 0.06
    assert unbiased.mean() == pytest.approx(truth, abs=4 * error)
    plug_in = truth + (p * (1 - p)).sum() * (1 / votes).mean()
    assert score("brier", shares, log_q) == pytest.approx(plug_in, abs=4 * error)
    assert plug_in > truth + 40 * error


def test_the_unbiased_brier_score_of_a_case_computed_by_hand_leaves_out_single_votes():
    counts = np.array([[2, 1, 0], [0, 1, 0], [1, 1, 0]])
    log_q = log(np.full((3, 3), 1 / 3))
    first = 1 / 3 - 2 / 3 + 2 / 6  # one of three pairs agrees
    third = 1 / 3 - 2 / 3 + 0
    assert score("brier_unbiased", counts, log_q, counts) == pytest.approx((first + third) / 2)
    assert math.isnan(score("brier_unbiased", counts[1:2], log_q[1:2], counts[1:2]))


# -- classes -----------------------------------------------------------------------------------------------------------


def test_macro_accuracy_agrees_with_sklearn_and_ties_go_to_the_lowest_class(case):
    p, log_q = case
    truth, predicted = p.argmax(axis=1), log_q.argmax(axis=1)
    assert score("macro_acc", p, log_q) == pytest.approx(balanced_accuracy_score(truth, predicted), abs=1e-15)
    assert score("acc", p, log_q) == accuracy_score(truth, predicted)
    tie = np.array([[0.5, 0.5]])
    assert score("acc", tie, np.log(tie)) == 1
    assert score("acc", tie, np.log([[0.4, 0.6]])) == 0


def test_a_class_without_test_items_does_not_count_in_macro_accuracy():
    p = np.eye(3)[[0, 0, 0, 1]]
    log_q = np.log(np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]))
    np.testing.assert_array_equal(recall(p, log_q), [2 / 3, 1, np.nan])
    assert score("macro_acc", p, log_q) == pytest.approx(5 / 6)
    # n / (classes · items of the class) times the item's own difference from the recall
    third = np.array([1, 1, -2]) / 3 * 4 / (2 * 3)
    assert values("macro_acc", p, log_q) == pytest.approx([*(5 / 6 + third), 5 / 6])


def test_macro_f1_is_sklearns_over_the_classes_that_occur(case):
    p, log_q = case
    p, log_q = np.hstack([p, np.zeros((200, 2))]), np.hstack([log_q, np.full((200, 2), -50)])
    log_q[0, 6] = 1  # predicted once, and never right
    truth, predicted = p.argmax(axis=1), log_q.argmax(axis=1)
    sklearns = f1_score(truth, predicted, average="macro", zero_division=0)
    assert score("macro_f1", p, log_q) == pytest.approx(sklearns)
    assert sklearns < f1_score(truth, predicted, average="macro", labels=range(5))


def test_soft_macro_f1_of_the_authors_test_case_and_without_a_class_that_nobody_names():
    p, q = np.array([0.2, 0.3, 0.3, 0.9]), np.array([0.4, 0.1, 0.7, 0.8])  # of kmkurn/train-eval-hlv
    pair = [np.stack([each, 1 - each], axis=1) for each in (p, q)]
    expected = (2 * 1.4 / 3.7 + 2 * 1.7 / 4.3) / 2
    assert score("soft_macro_f1", pair[0], log(pair[1])) == pytest.approx(expected)
    padded = [np.hstack([each, np.zeros((4, 1))]) for each in pair]
    assert score("soft_macro_f1", padded[0], log(padded[1])) == pytest.approx(expected)


def test_soft_macro_f1_of_one_hot_distributions_is_macro_f1(case):
    p, log_q = (np.eye(5)[each.argmax(axis=1)] for each in case)
    assert score("soft_macro_f1", p, log(log_q)) == pytest.approx(score("macro_f1", p, log(log_q)))


def test_accuracy_against_votes_is_that_over_single_votes():
    p, log_q, counts = voted()
    votes = [np.repeat(np.arange(5), row) for row in counts]
    right = [(row.argmax() == given).mean() for row, given in zip(log_q, votes, strict=True)]
    assert values("vote_acc", p, log_q) == pytest.approx(right)


# Reference, prediction, whether the second class is right, overlap of the first two; None: the item is left out.
RANKS = [
    ([0.6, 0.3, 0.1], [0.1, 0.3, 0.6], 1, 0.5),
    ([0.6, 0.3, 0.1], [0.3, 0.6, 0.1], 0, 1),
    ([0.6, 0.4, 0.0], [0.9, 0.1, 0.0], 1, 1),
    ([0.4, 0.4, 0.2], [0.4, 0.2, 0.4], None, 0.5),  # first place shared: the set is known, the second class is not
    ([0.6, 0.2, 0.2], [0.6, 0.3, 0.1], None, None),  # second place shared
    ([1.0, 0.0, 0.0], [0.6, 0.3, 0.1], None, None),  # by classes without mass
]


def test_the_second_class_counts_where_the_reference_has_just_one():
    p, q, second, overlap = zip(*RANKS, strict=True)
    p, log_q = np.array(p), log(np.array(q))
    assert score("second_best_acc", p, log_q) == pytest.approx(np.mean([x for x in second if x is not None]))
    assert score("top2_set", p, log_q) == pytest.approx(np.mean([x for x in overlap if x is not None]))
    for name in ("second_best_acc", "top2_set"):
        assert np.isnan(values(name, p[-2:], log_q[-2:])).all()


def test_of_two_classes_the_second_is_the_other_one():
    p, log_q = np.array([[0.3, 0.7], [0.5, 0.5], [0, 1.0]]), log(np.array([[0.2, 0.8], [0.6, 0.4], [0.6, 0.4]]))
    assert score("second_best_acc", p, log_q) == 1
    assert score("second_best_acc", p, log_q[::-1]) == 0
    assert score("top2_set", p, log_q) == 1


def test_the_second_class_of_a_one_hot_prediction_is_another_one():
    p = np.array([[0.4, 0.6, 0.0]])
    assert score("second_best_acc", p, log(np.array([[0.0, 1.0, 0.0]]))) == 1
    assert score("second_best_acc", p[:, [1, 2, 0]], log(np.array([[1.0, 0.0, 0.0]]))) == 0


# -- confidence --------------------------------------------------------------------------------------------------------


def test_entropies_are_those_of_scipy(case):
    p, log_q = case
    ours, theirs = stats.entropy(p, axis=1), stats.entropy(np.exp(log_q), axis=1)
    assert values("entropy_difference", p, log_q) == pytest.approx(theirs - ours, abs=1e-14)
    assert score("entropy_correlation", p, log_q) == pytest.approx(stats.pearsonr(ours, theirs).statistic)


def test_the_correlation_of_constant_entropies_is_not_defined():
    p, log_q, _ = voted()
    turned = np.array([[0.2, 0.3, 0.5], [0.5, 0.2, 0.3], [0.3, 0.5, 0.2]])
    assert np.isnan(values("entropy_correlation", turned, log_q[:3, :3])).all()
    assert np.isnan(values("entropy_correlation", p, np.full_like(p, -math.log(5)))).all()
    assert np.isnan(values("entropy_correlation", p[:1], log_q[:1])).all()


def plain_ece(confidence, accuracy):
    """Calibration error over the bins [k/15, (k+1)/15), item by item; a confidence of 1 is a bin of its own."""
    bins = {}
    for c, a in zip(confidence, accuracy, strict=True):
        bins.setdefault(max(k for k in range(16) if k / 15 <= c), []).append((c, a))
    return sum(abs(sum(a - c for c, a in items)) for items in bins.values()) / len(confidence)


def test_calibration_errors_are_those_of_a_plain_loop(case):
    p, log_q = case
    log_q[:7] = log(np.eye(5)[[0, 1, 2, 3, 4, 0, 1]])
    predicted, confidence = log_q.argmax(axis=1), np.exp(log_q).max(axis=1)
    right = predicted == p.argmax(axis=1)
    assert score("ece", p, log_q) == pytest.approx(plain_ece(confidence, right))
    assert score("soft_ece", p, log_q) == pytest.approx(plain_ece(confidence, [*p[range(200), predicted]]))


def test_calibration_errors_of_a_case_computed_by_hand():
    p = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5], [0.0, 1.0]])
    log_q = log(np.array([[0.9, 0.1], [0.88, 0.12], [0.2, 0.8], [1.0, 0.0]]))
    # the first two lie in [13/15, 14/15), the third in [12/15, 13/15), the last alone
    soft = (abs(0.7 + 0.4 - 0.9 - 0.88) + abs(0.5 - 0.8) + abs(0 - 1)) / 4
    hard = (abs(1 + 0 - 0.9 - 0.88) + abs(0 - 0.8) + abs(0 - 1)) / 4
    assert score("soft_ece", p, log_q) == pytest.approx(soft)
    assert score("ece", p, log_q) == pytest.approx(hard)


@pytest.mark.parametrize("k", range(4, 15))
def test_a_confidence_at_the_lower_end_of_a_bin_lies_in_it_however_its_logarithm_is_rounded(k):
    p = np.array([[1.0, 0.0, 0, 0], [0.0, 1.0, 0, 0]])
    for share in (k / 15, math.nextafter(k / 15, 0)):
        q = np.array([[share] + [(1 - share) / 3] * 3, [k / 15 + 0.01] + [(1 - k / 15 - 0.01) / 3] * 3])
        assert score("soft_ece", p, log(q)) == pytest.approx(abs(1 - 2 * k / 15 - 0.01) / 2)


def test_a_right_distribution_is_calibrated_but_not_against_the_majority():
    p = smooth(2000)[0]
    assert score("soft_ece", p, log(p)) == pytest.approx(0, abs=1e-15)
    assert score("ece", p, log(p)) == pytest.approx(1 - p.max(axis=1).mean())


def test_a_calibrated_network_scores_the_mean_distance_of_binomial_shares(monkeypatch):
    monkeypatch.setattr(soft_ece_calibrated, "DRAWS", 100)
    n = 5000
    _, log_q, _ = smooth(n)
    confidence = np.exp(log_q).max(axis=1)
    of_bin = np.floor(confidence * 15).astype(int)
    for counts, votes in ((None, 1), (np.full((n, 5), 2), 10)):
        variance = np.bincount(of_bin, confidence * (1 - confidence) / votes)  # of a bin's gap, which is nearly normal
        expected = np.sqrt(2 / math.pi * variance).sum() / n
        found = score("soft_ece_calibrated", np.exp(log_q), log_q, counts)
        assert found == pytest.approx(expected, rel=0.08)


def test_the_calibrated_value_is_what_votes_from_the_predictions_score(monkeypatch):
    monkeypatch.setattr(soft_ece_calibrated, "DRAWS", 100)
    _, log_q, counts = smooth(2000)
    rng = np.random.default_rng(0)
    drawn = [rng.multinomial(counts.sum(axis=1), np.exp(log_q)) for _ in range(100)]
    scores = [score("soft_ece", each / each.sum(axis=1, keepdims=True), log_q) for each in drawn]
    found = score("soft_ece_calibrated", counts, log_q, counts)
    assert found == pytest.approx(np.mean(scores), abs=4 * np.std(scores) / math.sqrt(50))


def test_votes_of_a_calibrated_network_are_drawn_by_seed(monkeypatch):
    p, log_q, _ = smooth()
    first, again = (score("soft_ece_calibrated", p, log_q) for _ in range(2))
    monkeypatch.setattr(soft_ece_calibrated, "SEED", 1)
    assert first == again != score("soft_ece_calibrated", p, log_q)


# -- the same number under other names ---------------------------------------------------------------------------------


def events(p, q):
    """Total variation as defined: the largest difference of the probabilities of an event."""
    subsets = np.array(list(itertools.product((0, 1), repeat=p.shape[1])))
    return np.abs((p - q) @ subsets.T).max(axis=1).mean()


def vote_by_vote(p, q):
    """Log loss of single votes, each of the 10 of an item in turn."""
    return log_loss(np.tile(np.arange(5), len(p)), np.repeat(q, 5, axis=0), sample_weight=p.ravel())


# Alias: what the entry says, the same in Python, and an independent computation of references and predictions
ALIASES = {
    "intersection": ("1 − TVD", lambda x: 1 - x, lambda p, q: np.minimum(p, q).sum(axis=1).mean()),
    "soft_accuracy": ("1 − TVD", lambda x: 1 - x, lambda p, q: np.where(p < q, p, q).sum(axis=-1).mean()),
    "soft_micro_f1": ("1 − TVD", lambda x: 1 - x, lambda p, q: 2 * np.where(p < q, p, q).sum() / (p + q).sum()),
    "manhattan": ("2 TVD", lambda x: 2 * x, lambda p, q: np.mean([*map(distance.cityblock, p, q)])),
    "distce": ("TVD", lambda x: x, events),
    "po_jsd": ("1 − JS / ln 2", lambda x: 1 - x / math.log(2),
               lambda p, q: 1 - (distance.jensenshannon(p, q, base=2, axis=1) ** 2).mean()),
    "excess_cross_entropy": ("KL", lambda x: x, lambda p, q: -(p * np.log(q)).sum() / 200 - stats.entropy(p.T).mean()),
    "nll": ("CE", lambda x: x, vote_by_vote),
    "entce": ("entropy difference", lambda x: x, lambda p, q: (stats.entropy(q.T) - stats.entropy(p.T)).mean()),
    "vote_ce": ("CE", lambda x: x, lambda p, q: sum(
        log_loss(np.full(len(q), k), q, labels=range(p.shape[1]), sample_weight=p[:, k]) * p[:, k].mean()
        for k in range(p.shape[1]))),
    "hard_accuracy": ("plain ACC", lambda x: x, lambda p, q: accuracy_score(p.argmax(axis=1), q.argmax(axis=1))),
    "balanced_accuracy": ("ACC", lambda x: x, lambda p, q: balanced_accuracy_score(p.argmax(axis=1), q.argmax(axis=1))),
}  # fmt: skip
TOLD = {
    alias: (name, formula)
    for name in NAMES
    for alias, formula in registry.entry("metric", name).get("aliases", {}).items()
}


@pytest.mark.parametrize("alias", sorted(TOLD))
def test_what_goes_under_another_name_is_the_same_number(alias, case):
    name, formula = TOLD[alias]
    told, of_metric, independent = ALIASES[alias]
    p, log_q = case
    assert formula == told
    assert of_metric(score(name, p, log_q)) == pytest.approx(independent(p, np.exp(log_q)), rel=1e-12)
    assert alias not in NAMES


def test_po_jsd_of_the_authors_test_case():
    found = score("js", np.array([[0.2, 0.8]]), np.log([[0.6, 0.4]]))
    assert 1 - found / math.log(2) == pytest.approx(0.8754887502)


def test_the_documentation_names_every_metric_and_alias():
    rows = [line.split("|")[1:-1] for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    documented = {row[0].strip().strip("`"): row for row in rows}
    names = registry.names("metric")
    assert documented.keys() == {*names, *TOLD}
    arrows = {"higher": "↑", "lower": "↓", None: "–"}
    for name in names:
        entry = registry.entry("metric", name)
        assert [cell.strip() for cell in documented[name][1:2]] == [arrows[entry["better"]]], name
        assert documented[name][-1].strip() == (entry["source"] or "–"), name
    for alias, (name, formula) in TOLD.items():
        assert [cell.strip() for cell in documented[alias][1:3]] == [f"`{name}`", formula], alias
