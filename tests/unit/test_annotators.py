"""Models of annotators: who votes, what each makes of an image, and that the noted parameters are the true ones."""

from __future__ import annotations

import data_files
import numpy as np
import pytest
from scipy.stats import beta, chisquare, dirichlet, kstest

from softlabels.datasets import annotators
from softlabels.errors import Problems

DEFAULT = data_files.options({"kind": "synthetic", "votes": 6})["source"]


def options(**changes):
    return {**DEFAULT, **changes}


def stream(item):
    return np.random.default_rng([7, item])


def certain(n_items, n_classes=3, only=None):
    """Items of one class each: all of ``only``, or the classes in turn."""
    return np.eye(n_classes)[np.full(n_items, only) if only is not None else np.arange(n_items) % n_classes]


def vote(p, **changes):
    """Annotator, label and time of each vote ``[N, votes]``, and the true parameters."""
    source = options(**changes)
    votes, truths = annotators.vote(p, source, stream)
    shape = len(p), source["votes"]
    np.testing.assert_array_equal(votes.item.reshape(shape), np.arange(len(p))[:, None] + np.zeros(shape))
    who = np.full(shape, -1)
    if votes.annotator is not None:
        assert votes.annotator.dictionary.to_pylist() == [f"a{k:03d}" for k in range(source["annotators"])]
        who = votes.annotator.indices.to_numpy().reshape(shape)
    time = None if votes.time is None else votes.time.reshape(shape)
    return who, votes.label.reshape(shape), time, truths


def shares(label, n_classes=3):
    return np.bincount(label.ravel(), minlength=n_classes) / label.size


# --- everybody alike ---------------------------------------------------------------------------------------------


def test_votes_of_annotators_who_are_alike_are_numpys_choices():
    p = np.random.default_rng(0).dirichlet([0.3] * 6, 200)
    seen = p @ (0.7 * np.eye(6) + 0.3 / 6)
    who, label, _, truths = vote(p, annotators=11, annotator_accuracy=0.7)
    for i in range(200):
        rng = stream(i)
        np.testing.assert_array_equal(label[i], rng.choice(6, 6, p=seen[i]))
        np.testing.assert_array_equal(who[i], rng.choice(11, 6, replace=False))
    assert truths == {}


def test_votes_are_multinomial():
    p = np.tile([0.0, 0.0, 0.1875, 0.0625, 0.5625, 0.1875], (8_000, 1))
    _, label, _, _ = vote(p, votes=50)
    counts = np.stack([(label == c).sum(axis=1) for c in range(6)], axis=1)
    assert (counts[:, :2] == 0).all()
    assert chisquare(counts[:, 2:].sum(axis=0), 400_000 * p[0, 2:]).pvalue > 0.001
    expected = 50 * (np.diag(p[0]) - np.outer(p[0], p[0]))  # the multinomial's covariance
    np.testing.assert_allclose(np.cov(counts.T), expected, atol=0.6)  # 3 standard errors of the largest


@pytest.mark.parametrize("votes, agreement", [(1, 0.739), (10, 0.857), (100, 0.948)])
def test_majorities_agree_with_the_truth_as_often_as_expected(votes, agreement):
    # Positions of the paper's set: 40 % at a corner, the others uniform on the ring of colours and the axis of shapes.
    position = np.random.default_rng(1).random((2, 4_000)) * (np.arange(4_000) % 5 > 1)
    u, s = 3 * position[0] % 1, position[1]
    p = np.stack([(1 - u) * (1 - s), (1 - u) * s, u * (1 - s), u * s], axis=1)
    _, label, _, _ = vote(p, votes=votes)
    counts = np.stack([(label == c).sum(axis=1) for c in range(4)], axis=1)
    assert np.mean(counts.argmax(axis=1) == p.argmax(axis=1)) == pytest.approx(agreement, abs=0.02)


def test_imperfect_annotators_err_uniformly():
    _, label, _, _ = vote(certain(1_000, 6, only=0), votes=20, annotator_accuracy=0.7)
    expected = 20_000 * np.array([0.7 + 0.3 / 6] + [0.3 / 6] * 5)
    assert chisquare(np.bincount(label.ravel(), minlength=6), expected).pvalue > 0.001


def test_the_pool_of_annotators_changes_no_label():
    p = np.random.default_rng(0).dirichlet([1.0] * 3, 50)
    np.testing.assert_array_equal(vote(p)[1], vote(p, annotators=20, complete_annotators=2, load="uneven")[1])


# --- who votes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", ["even", "uneven"])
@pytest.mark.parametrize("complete", [0, 2, 6])
def test_complete_annotators_vote_on_every_item_and_nobody_twice(load, complete):
    who, _, _, _ = vote(certain(300), annotators=12, complete_annotators=complete, load=load)
    assert all(len(set(row)) == 6 for row in who)
    loads = np.bincount(who.ravel(), minlength=12)
    assert (loads[:complete] == 300).all()
    assert (loads[complete:] < 300).all()
    assert (loads[complete:] > 0).all() == (complete < 6)


def test_a_pool_of_complete_annotators_alone_is_possible():
    who, _, _, _ = vote(certain(5), annotators=6, complete_annotators=6, load="uneven")
    np.testing.assert_array_equal(who, np.tile(np.arange(6), (5, 1)))


def test_an_even_load_chooses_all_others_alike():
    who, _, _, _ = vote(certain(4_000), annotators=12, complete_annotators=2)
    assert chisquare(np.bincount(who.ravel())[2:]).pvalue > 0.001


def test_an_uneven_load_falls_with_the_rank():
    who, _, _, _ = vote(certain(8_000), votes=3, annotators=22, complete_annotators=2, load="uneven")
    # One vote an item is left for the others, so that nothing but 1 / rank counts.
    weight = 1 / np.arange(1, 21)
    assert chisquare(np.bincount(who.ravel())[2:], 8_000 * weight / weight.sum()).pvalue > 0.001


@pytest.mark.parametrize("model", ["ambiguity", "spammer_hammer", "confusion"])
def test_votes_on_an_item_depend_on_that_item_alone(model):
    pool = {"annotators": 12, "complete_annotators": 2, "load": "uneven", "annotator_model": model}
    few, many = (vote(certain(n), **pool, annotator_accuracy=0.6) for n in (40, 90))
    for one, other in zip(few[:2], many[:2], strict=True):
        np.testing.assert_array_equal(one, other[:40])
    assert few[3] == many[3]


# --- spammers and hammers ----------------------------------------------------------------------------------------


def test_spammers_answer_at_random_and_hammers_what_they_see():
    who, label, _, truths = vote(certain(3_000, only=1), annotators=10, annotator_model="spammer_hammer")
    spams = np.array([truth["role"] == "spammer" for truth in truths.values()])
    assert spams.sum() == 2
    assert all(truth["accuracy"] == (0 if truth["role"] == "spammer" else 1) for truth in truths.values())
    assert (label[~spams[who]] == 1).all()
    assert chisquare(np.bincount(label[spams[who]])).pvalue > 0.001


def test_hammers_sample_the_distribution_of_the_item():
    p = np.tile([0.2, 0.5, 0.3], (3_000, 1))
    who, label, _, truths = vote(p, annotators=10, annotator_model="spammer_hammer", spammer_share=0.3)
    hits = np.array([truth["role"] == "hammer" for truth in truths.values()])
    assert hits.sum() == 7
    answers = label[hits[who]]
    assert chisquare(np.bincount(answers), len(answers) * p[0]).pvalue > 0.001


@pytest.mark.parametrize("share, number", [(0, 0), (0.2, 16), (0.5, 40), (1, 79)])
def test_the_share_of_spammers_is_exact_to_a_whole_annotator(share, number):
    assert annotators.spammers(79, share, seed=0).sum() == number


def test_another_seed_makes_others_spam():
    assert not np.array_equal(annotators.spammers(79, 0.2, 0), annotators.spammers(79, 0.2, 1))


# --- confusion matrices ------------------------------------------------------------------------------------------


def test_each_annotator_answers_through_the_matrix_in_the_notes():
    who, label, _, truths = vote(
        certain(6_000), annotators=4, votes=4, annotator_model="confusion", annotator_accuracy=0.7
    )
    seen = np.arange(6_000)[:, None] % 3 + np.zeros_like(who)
    for k, truth in enumerate(truths.values()):
        for true_class, row in enumerate(truth["confusion"]):
            counts = np.bincount(label[(who == k) & (seen == true_class)], minlength=3)
            possible = np.array(row) * 2_000 > 5  # too few are expected of the others for the test
            expected = np.array(row)[possible]
            assert chisquare(counts[possible], counts[possible].sum() * expected / expected.sum()).pvalue > 1e-4


def test_annotators_who_mix_up_classes_sample_the_distribution_first():
    p = np.tile([0.2, 0.5, 0.3], (20_000, 1))
    who, label, _, truths = vote(p, annotators=2, votes=2, annotator_model="confusion", annotator_accuracy=0.7)
    for k, truth in enumerate(truths.values()):
        np.testing.assert_allclose(shares(label[who == k]), p[0] @ truth["confusion"], atol=0.015)


def test_drawn_matrices_follow_the_documented_distributions():
    matrices = np.stack([annotators.drawn_confusion(0.8, 3, np.random.default_rng(k)) for k in range(1_000)])
    np.testing.assert_allclose(matrices.sum(axis=2), 1)
    diagonal = matrices[:, np.arange(3), np.arange(3)]
    assert kstest(diagonal.ravel(), beta(16, 4).cdf).pvalue > 0.001
    assert diagonal.std() == pytest.approx(0.087, abs=0.005)
    first = matrices[:, 0, 1] / matrices[:, 0, 1:].sum(axis=1)
    assert kstest(first, beta(0.5, 0.5).cdf).pvalue > 0.001  # the margin of a symmetric Dirichlet of two
    assert first.var() == pytest.approx(dirichlet([0.5, 0.5]).var()[0], rel=0.1)
    assert abs(np.corrcoef(diagonal.T) - np.eye(3)).max() < 0.1


@pytest.mark.parametrize("accuracy", [0, 1])
def test_at_both_ends_of_the_accuracy_the_diagonal_is_certain(accuracy):
    matrix = annotators.drawn_confusion(accuracy, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(np.diag(matrix), accuracy)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_a_larger_pool_leaves_the_matrices_of_the_others_alone():
    pool = {"annotator_model": "confusion", "annotator_accuracy": 0.8}
    small, large = (vote(certain(3), annotators=n, **pool)[3] for n in (6, 9))
    assert small == {name: large[name] for name in small}


# --- drift -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin, end", [(0.9, 0.3), (0.2, 1.0)])
def test_accuracy_changes_linearly_from_the_first_vote_to_the_last(begin, end):
    _, label, time, truths = vote(
        certain(8_000, only=2), annotators=6, annotator_model="drift", annotator_accuracy=begin, accuracy_at_end=end
    )  # six of six vote on each item
    assert set(truths) == {f"a{k:03d}" for k in range(6)}
    assert truths["a003"] == {"accuracy": begin, "accuracy_at_end": end}
    line = np.polynomial.Polynomial.fit(time.ravel() / 7_999, label.ravel() == 2, 1).convert()
    right = np.array([begin, end]) + (1 - np.array([begin, end])) / 3  # a uniform error may hit the class
    np.testing.assert_allclose(line(np.array([0, 1])), right, atol=0.02)
    assert chisquare(np.bincount(label[label != 2])).pvalue > 0.001


def test_the_last_of_two_votes_has_the_accuracy_at_the_end():
    two = {"votes": 60, "annotators": 60, "annotator_model": "drift"}
    _, label, time, _ = vote(certain(2, only=1), **two, annotator_accuracy=0, accuracy_at_end=1)
    assert (label[time == 1] == 1).all()
    assert chisquare(np.bincount(label[time == 0], minlength=3)).pvalue > 0.001


def test_times_count_the_votes_of_an_annotator_in_a_random_order_of_their_own():
    who, _, time, _ = vote(certain(500), votes=4, annotators=7, annotator_model="drift")
    orders = []
    for k in range(7):
        mine = time[who == k]
        assert sorted(mine) == list(range(len(mine)))
        assert abs(np.corrcoef(mine, np.arange(len(mine)))[0, 1]) < 0.2  # items ascend
        orders.append(np.where((who == k).any(axis=1), np.where(who == k, time, -1).max(axis=1), np.nan))
    both = ~np.isnan(orders[0]) & ~np.isnan(orders[1])
    assert abs(np.corrcoef(orders[0][both], orders[1][both])[0, 1]) < 0.2


def test_without_a_change_of_accuracy_drift_is_plain_ambiguity():
    p = np.random.default_rng(0).dirichlet([1.0] * 3, 60)
    same = {"annotators": 9, "annotator_accuracy": 0.6}
    np.testing.assert_array_equal(vote(p, **same, annotator_model="drift", accuracy_at_end=0.6)[1], vote(p, **same)[1])


def test_an_annotator_with_one_vote_has_the_first_accuracy():
    _, label, time, _ = vote(certain(1), annotators=9, annotator_model="drift", accuracy_at_end=0)
    assert (time == 0).all() and (label == 0).all()


# --- options that contradict each other --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"annotators": 5}, ["source.annotators", "found 5", "source.votes = 6"]),
        ({"annotators": 20, "complete_annotators": 7}, ["source.complete_annotators", "found 7", "source.votes = 6"]),
        ({"complete_annotators": 2}, ["source.annotators", "found 0", "complete_annotators"]),
        ({"load": "uneven"}, ["source.annotators", "found 0", "load"]),
        *(
            ({"annotator_model": model}, ["source.annotators", "found 0", model])
            for model in ("spammer_hammer", "confusion", "drift")
        ),
    ],
)
def test_options_that_contradict_each_other_are_named(changes, words):
    problems = Problems()
    annotators.check(options(**changes), problems)
    (message,) = problems.messages
    assert all(word in message for word in words)


def test_options_that_fit_are_accepted():
    problems = Problems()
    for changes in ({}, {"annotators": 6}, {"annotators": 9, "complete_annotators": 6, "load": "uneven"}, {"votes": 0}):
        annotators.check(options(**changes), problems)
    problems.stop()
