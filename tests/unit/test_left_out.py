"""Left-out votes, against loops over single votes, an aggregation of another package, and simulated truth."""

import math
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from crowdkit.aggregation import MajorityVote
from scipy.special import rel_entr

from softlabels.contracts import read_reference, write_reference
from softlabels.datasets import contract
from softlabels.evaluation import left_out as module
from softlabels.evaluation import references
from softlabels.evaluation.left_out import Panels, left_out, ratio, read_panels, score_of_votes, strata_of_votes
from softlabels.provenance import recompute_votes

CLASSES = ["cat", "dog", "owl", "yak"]


def votes(n=40, seed=0):
    """A vote a row: item, annotator (null: unknown) and label; some people vote twice on an item, some items once."""
    draws = np.random.default_rng(seed)
    rows = []
    for item in range(n):
        p = draws.dirichlet([0.3, 0.4, 0.5, 0.6])
        rows += [(item, f"a{draws.integers(5)}", int(draws.choice(4, p=p))) for _ in range(draws.integers(1, 9))]
        rows += [(item, None, int(draws.choice(4, p=p))) for _ in range(draws.integers(0, 8))]
    return rows


def persons(rows):
    """The votes of each person on each item: by item, a list of lists of labels."""
    found = defaultdict(lambda: defaultdict(list))
    for k, (item, annotator, label) in enumerate(rows):
        found[item][annotator or k].append(label)
    return {item: list(people.values()) for item, people in found.items()}


def panels_of(folder, rows, order=None):
    """Votes written and read; ``order`` is that of the items in the reference."""
    item, annotator, label = zip(*rows, strict=True)
    given = contract.Votes(np.array(item), np.array(label), pa.array(annotator, pa.string()).dictionary_encode())
    contract.write_annotations(folder / "annotations.parquet", given, CLASSES)
    counts = given.counts(max(item) + 1, 4)
    total = counts.sum(axis=1)
    write_reference(folder / "reference.parquet", counts / total[:, None], total, CLASSES)
    return read_panels(folder / "annotations.parquet", read_reference(folder / "reference.parquet"))


def one_by_one(people):
    """(item, votes left out, counts of the rest, weight) of every person, by a loop."""
    for item, of_item in people.items():
        total = sum(map(len, of_item))
        for k, left in enumerate(of_item):
            rest = [label for j, other in enumerate(of_item) if j != k for label in other]
            if len(of_item) >= 2:
                yield item, left, np.bincount(rest, minlength=4), len(left) / total


def test_votes_are_read_with_who_gave_them(tmp_path):
    rows = votes()
    panels, people = panels_of(tmp_path, rows), persons(rows)
    assert panels.people.tolist() == [len(people[item]) for item in range(40)]
    several = sorted((i, tuple(sorted(v))) for i, of_item in people.items() for v in of_item if len(v) > 1)
    found = defaultdict(list)
    for row, label, person in zip(panels.row, panels.label, panels.person, strict=True):
        found[row, person].append(label)
    assert sorted((row, tuple(sorted(labels))) for (row, _), labels in found.items()) == several
    assert several


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_every_person_is_left_out_once(tmp_path, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    rows = votes()
    expected, found = Counter(), Counter()
    for item, left, rest, weight in one_by_one(persons(rows)):
        expected[item, tuple(np.bincount(left, minlength=4)), tuple(rest)] += weight
    for unit in left_out(panels_of(tmp_path, rows)):
        for row, left, rest, weight in zip(*unit, strict=True):
            found[row, tuple(left), tuple(rest)] += weight
    assert found.keys() == expected.keys()
    assert [found[key] for key in expected] == pytest.approx(list(expected.values()))


def test_a_block_holds_few_numbers_whatever_the_classes(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 5000)
    counts = np.random.default_rng(0).multinomial(9, np.full(1000, 1e-3), 50)
    sizes = [unit.left.size for unit in left_out(Panels.anonymous(counts))]
    assert len(sizes) > 50 and max(sizes) <= 5000


def test_the_panels_of_some_items_are_theirs(tmp_path):
    rows = votes()
    some = np.array([31, 4, 17, 5, 39])
    part = panels_of(tmp_path, rows).of(some)
    place = {item: k for k, item in enumerate(some.tolist())}
    kept = panels_of(tmp_path, [(place[item], who, label) for item, who, label in rows if item in place])
    assert np.array_equal(part.counts, kept.counts) and np.array_equal(part.people, kept.people)
    log_q = np.log(np.random.default_rng(0).dirichlet(np.ones(4), 5))
    a, b = (score_of_votes(strata_of_votes(each), log_q) for each in (part, kept))
    assert a.keys() == b.keys()
    assert all(np.allclose(a[stratum]["ce"], b[stratum]["ce"]) for stratum in a)


def test_strata_and_scores_are_those_of_a_loop_over_people(tmp_path):
    rows = votes(seed=2)
    log_q = np.log(np.random.default_rng(1).dirichlet(np.ones(4), 40))
    found = score_of_votes(strata_of_votes(panels_of(tmp_path, rows)), log_q)
    people, terms = persons(rows), defaultdict(list)
    for item, left, rest, weight in one_by_one(people):
        ce = -np.mean([log_q[item, label] for label in left])
        met = np.mean([label == log_q[item].argmax() for label in left])
        strata = ["panel"]
        if len(people[item]) >= 3:
            strata.append("unanimous" if rest.max() == rest.sum() else "disputed")
            second, first = (Fraction(int(n), int(rest.sum())) for n in np.sort(rest)[-2:])
            if sum(map(len, people[item])) >= 10 and first - second < Fraction(1, 10):
                strata.append("closest")
        for stratum in strata:
            terms[stratum].append((item, weight, ce, met))
    assert found.keys() == terms.keys() == {"panel", "unanimous", "disputed", "closest"}
    for stratum, of_stratum in terms.items():
        item, weight, ce, met = map(np.array, zip(*of_stratum, strict=True))
        values = found[stratum]
        assert values["ce"].mean() == pytest.approx(np.average(ce, weights=weight))
        assert values["vote_acc"].mean() == pytest.approx(np.average(met, weights=weight))
        assert values["n"] == len(set(item)) and values["weight"] == pytest.approx(weight.sum())
        assert values["ce"].shape == values["vote_acc"].shape == (40,)
    assert found["panel"]["n"] == found["panel"]["weight"] == sum(len(of_item) > 1 for of_item in people.values())


def test_the_panel_stratum_is_the_cross_entropy_from_the_shares_of_the_same_items(tmp_path):
    rows = votes()
    panels = panels_of(tmp_path, rows)
    log_q = np.log(np.random.default_rng(1).dirichlet(np.ones(4), 40))
    several = panels.repeated
    p = panels.counts[several] / panels.counts[several].sum(axis=1, keepdims=True)
    found = score_of_votes(strata_of_votes(panels), log_q)["panel"]
    assert found["ce"].mean() == pytest.approx(-(p * log_q[several]).sum(axis=1).mean())
    assert found["vote_acc"].mean() == pytest.approx(p[np.arange(len(p)), log_q[several].argmax(axis=1)].mean())


def test_a_difference_of_cross_entropies_is_one_of_divergences():
    counts = np.random.default_rng(0).multinomial(12, [0.5, 0.3, 0.2], 30)
    p = counts / 12
    q = np.random.default_rng(1).dirichlet(np.ones(3), (2, 30))
    strata = strata_of_votes(Panels.anonymous(counts))
    a, b = (score_of_votes(strata, np.log(each))["panel"]["ce"].mean() for each in q)
    assert a - b == pytest.approx((rel_entr(p, q[0]) - rel_entr(p, q[1])).sum(axis=1).mean())


def test_the_values_of_a_ratio_are_its_derivatives():
    draws = np.random.default_rng(0)
    part, whole, step = draws.random(20), draws.random(20) * (draws.random(20) < 0.6), 1e-6
    values, theta = ratio(part * (whole > 0), whole), (part * (whole > 0)).sum() / whole.sum()
    assert values.mean() == pytest.approx(theta)
    for i in range(20):
        weight = np.ones(20)
        weight[i] += step
        moved = (weight * part * (whole > 0)).sum() / (weight * whole).sum()
        assert values[i] - theta == pytest.approx(20 * (moved - theta) / step, abs=1e-4)


def test_an_impossible_vote_makes_only_its_strata_infinite():
    counts = np.array([[5, 0, 0], [4, 1, 0], [5, 0, 0]])
    log_q = np.log(np.tile([1.0, 0.0, 0.0], (3, 1)), where=[True, False, False], out=np.full((3, 3), -np.inf))
    found = score_of_votes(strata_of_votes(Panels.anonymous(counts)), log_q)
    # the vote for the second class is left out where the others agree
    assert (found["unanimous"]["ce"] == math.inf).all() and (found["panel"]["ce"] == math.inf).all()
    assert (found["disputed"]["ce"] == 0).all()
    assert np.isfinite(found["unanimous"]["vote_acc"]).all()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[1, 0], [0, 1]], set()),
        ([[2, 0], [1, 1]], {"panel"}),  # one other vote cannot disagree with itself
        ([[3, 0], [0, 3]], {"panel", "unanimous"}),
        ([[2, 1], [0, 3]], {"panel", "unanimous", "disputed"}),
        ([[5, 4], [4, 5]], {"panel", "disputed"}),
        ([[5, 5], [6, 5]], {"panel", "disputed", "closest"}),
    ],
)
def test_which_strata_there_are(counts, expected):
    assert set(strata_of_votes(Panels.anonymous(np.array(counts))).inside) == expected


def test_two_votes_of_one_person_are_no_panel(tmp_path):
    panels = panels_of(tmp_path, [(0, "a", 1), (0, "a", 1), (1, "a", 0), (1, "b", 0)])
    assert panels.repeated.tolist() == [False, True]
    assert score_of_votes(strata_of_votes(panels), np.log(np.full((2, 4), 0.25)))["panel"]["n"] == 1


# -- the panel --------------------------------------------------------------------------------------------------------


def slow_panel(people, others):
    """Cross-entropy and accuracy of the panel by a loop over people; the majority of the rest is crowd-kit's."""
    ce, met, items = 0.0, 0.0, set()
    for item, left, rest, weight in one_by_one(people):
        labels = np.repeat(np.arange(4), rest)
        table = pd.DataFrame({"task": 0, "worker": range(len(labels)), "label": labels})
        share = MajorityVote().fit_predict_proba(table).loc[0]
        best = share.index[share == share.max()]
        mean = others.of_class[best[0]] if len(best) == 1 else others.overall
        q = np.array([(rest[c] + others.k * mean[c]) / (len(labels) + others.k) for c in range(4)])
        top = np.flatnonzero(q == q.max())
        ce -= weight * np.mean(np.log(q[left]))
        met += weight * np.mean([(label in top) / len(top) for label in left])
        items.add(item)
    return ce / len(items), met / len(items), len(items)


def test_the_panel_is_that_of_a_loop_over_people(tmp_path):
    rows = votes()
    panels = panels_of(tmp_path, rows)
    others = references.Others.fit(panels.of(np.arange(20)))
    found = references.panel(others, panels.of(np.arange(32, 40)))
    expected = slow_panel({i: of_item for i, of_item in persons(rows).items() if i >= 32}, others)
    assert (found["ce"], found["vote_acc"], found["detail.n_items"]) == pytest.approx(expected)


def test_the_strength_has_the_least_cross_entropy_on_the_training_items(tmp_path):
    panels = panels_of(tmp_path, votes(200))
    others = references.Others.fit(panels)
    assert 0.1 < others.k < 100
    best = references.panel(others, panels)["ce"]
    for k in others.k * np.array([0.8, 0.95, 1.05, 1.2]):
        assert references.panel(references.Others(others.overall, others.of_class, k), panels)["ce"] > best


def test_exactly_tied_classes_share_credit():
    others = references.Others(np.full(2, 0.5), np.array([[0.9, 0.1], [0.1, 0.9]]), 1.0)
    found = references.panel(others, Panels.anonymous(np.array([[2, 1]])))
    # left out: a vote for 0 (twice: 1 against 1 stay, a tie), and the vote for 1 (two for 0 stay)
    assert found["vote_acc"] == pytest.approx(2 / 3 * 0.5 + 1 / 3 * 0)
    assert found["ce"] == pytest.approx(-2 / 3 * math.log(0.5) - 1 / 3 * math.log((0 + 0.1) / 3))


def test_no_vote_is_impossible_for_the_panel():
    train = Panels.anonymous(np.tile([4, 1, 0, 0], (10, 1)))
    others = references.Others.fit(train)
    assert (others.of_class > 0).all() and others.of_class.sum(axis=1) == pytest.approx(1)
    assert math.isfinite(references.panel(others, Panels.anonymous(np.array([[2, 0, 0, 2]])))["ce"])
    assert others.of_class[3] == pytest.approx(others.overall)  # of a class that no training item has


def test_a_training_item_with_several_top_classes_counts_in_each():
    others = references.Others.fit(Panels.anonymous(np.array([[1, 1, 0], [2, 0, 0], [0, 0, 2]])))
    overall = (np.array([1.5, 0.5, 1]) + 1 / 3) / 4
    np.testing.assert_allclose(others.overall, overall)
    np.testing.assert_allclose(others.of_class[0], (0.5 * np.array([0.5, 0.5, 0]) + [1, 0, 0] + overall) / 2.5)
    np.testing.assert_allclose(others.of_class[1], (0.5 * np.array([0.5, 0.5, 0]) + overall) / 1.5)


@pytest.mark.parametrize("n_votes", [2, 3, 10])
def test_the_panel_is_unbiased_for_fewer_people_who_predict_a_fresh_one(n_votes):
    draws = np.random.default_rng(n_votes)
    truth = draws.dirichlet([0.3, 0.5, 0.7], 400)
    others = references.Others.fit(Panels.anonymous(draws.multinomial(n_votes, truth)))
    found, fresh = [], []
    for _ in range(150):
        row = references.panel(others, Panels.anonymous(draws.multinomial(n_votes, truth)))
        found.append((row["ce"], row["vote_acc"]))
        q = others.predict(draws.multinomial(n_votes - 1, truth))
        another = references.top_shares(q)
        fresh.append((-(truth * np.log(q)).sum(axis=1).mean(), (truth * another).sum(axis=1).mean()))
    gap = np.mean(found, axis=0) - np.mean(fresh, axis=0)
    error = np.hypot(np.std(found, axis=0), np.std(fresh, axis=0)) / math.sqrt(150)
    assert (abs(gap) < 3.5 * error).all()
    assert (error < 0.005).all()  # so that a bias of a hundredth would show


# -- what is unbiased, and what is not --------------------------------------------------------------------------------


def brier(p, q):
    return ((p - q) ** 2).sum(axis=1)


def tvd(p, q):
    return abs(p - q).sum(axis=1) / 2


def js(p, q):
    return (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum(axis=1) / 2


def acc(p, q):
    return p.argmax(axis=1) == q.argmax(axis=1)


def calibration_error(credit, q):
    """Of 15 bins of confidence: the mean difference from the credit that the predicted class gets, over items."""
    confidence = q.max(axis=1)
    bins = np.minimum((confidence * 15).astype(int), 14)
    return abs(np.bincount(bins, credit[np.arange(len(q)), q.argmax(axis=1)] - confidence)).sum() / len(q)


def ece(p, q):
    return calibration_error(np.eye(p.shape[1])[p.argmax(axis=1)], q)


def entropy_correlation(p, q):
    return np.corrcoef(rel_entr(p, 1).sum(axis=1), rel_entr(q, 1).sum(axis=1))[0, 1]


def difference(metric, p, predictions):
    return np.subtract(*(np.mean(metric(p, q)) for q in predictions))


@pytest.mark.parametrize(
    ("metric", "unbiased"),
    [
        (lambda p, q: rel_entr(p, q).sum(axis=1), True),
        (lambda p, q: -(p * np.log(q)).sum(axis=1), True),
        (brier, True),
        (tvd, False),
        (js, False),
        (acc, False),
        (ece, False),
        (calibration_error, False),
        (entropy_correlation, False),
    ],
    ids=["kl", "ce", "brier", "tvd", "js", "acc", "ece", "soft_ece", "entropy_correlation"],
)
def test_which_differences_votes_estimate_without_bias(metric, unbiased):
    draws = np.random.default_rng(0)
    truth = draws.dirichlet([0.5, 0.7, 0.9], 1000)
    seen = np.eye(3)[(truth + draws.normal(0, 0.2, truth.shape)).argmax(axis=1)]
    predictions = 0.95 * truth + 0.05 / 3, 0.9 * seen + 0.1 / 3  # a soft network, and a confident one that errs
    found = [difference(metric, draws.multinomial(5, truth) / 5, predictions) for _ in range(200)]
    bias = np.mean(found) - difference(metric, truth, predictions)
    error = np.std(found) / math.sqrt(len(found))
    assert abs(bias) < 3.5 * error if unbiased else abs(bias) > 8 * error


def test_a_stratum_from_all_votes_is_biased_and_one_from_the_others_is_not():
    draws = np.random.default_rng(1)
    truth = draws.dirichlet([0.5, 0.7], 3000)
    counts = draws.multinomial(4, truth)
    log_q = np.log(truth)  # the true distributions
    rest = draws.multinomial(3, truth)  # others who agree, and a fresh vote
    agreed = rest.max(axis=1) == 3
    expected = -(truth[agreed] * log_q[agreed]).sum(axis=1).mean()
    found = score_of_votes(strata_of_votes(Panels.anonymous(counts)), log_q)["unanimous"]["ce"].mean()
    assert found == pytest.approx(expected, abs=0.03)
    unanimous = counts.max(axis=1) == 4
    naive = -(counts[unanimous] / 4 * log_q[unanimous]).sum(axis=1).mean()
    assert naive < expected - 0.1


# -- the second implementation ----------------------------------------------------------------------------------------


def test_the_second_implementation_finds_the_same(tmp_path):
    rows = votes(80, seed=4)
    panels = panels_of(tmp_path, rows)
    train, test = panels.of(np.arange(40)), panels.of(np.arange(40, 80))
    others = references.Others.fit(train)
    learned, scored = (recompute_votes.left_out(*zip(*rows, strict=True), part) for part in (range(40), range(40, 80)))
    towards = recompute_votes.smoothing(train.counts / train.counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(towards.overall, others.overall)
    np.testing.assert_allclose(towards.of_class, others.of_class)
    assert recompute_votes.is_best_strength(learned, towards, others.k)
    assert not any(recompute_votes.is_best_strength(learned, towards, k) for k in (others.k / 1.1, others.k * 1.1))
    for again, found in (
        (recompute_votes.panel, references.panel(others, test)),
        (recompute_votes.sampling_floor, references.sampling_floor(others, test)),
    ):
        expected = again(scored, towards, others.k)
        assert {name: found[name] for name in expected} == pytest.approx(expected)
    log_q = np.log(np.random.default_rng(1).dirichlet(np.ones(4), 40))
    found = score_of_votes(strata_of_votes(test), log_q)
    expected = recompute_votes.strata(scored, dict(enumerate(log_q, start=40)))
    assert found.keys() == expected.keys() == {"panel", "unanimous", "disputed", "closest"}
    for name, values in found.items():
        numbers = values["ce"].mean(), values["vote_acc"].mean(), values["n"], values["weight"]
        assert numbers == pytest.approx(expected[name]), name
