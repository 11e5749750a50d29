"""Agreement of annotators, against published values, crowd-kit, scikit-learn and loops over pairs of votes."""

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from crowdkit.metrics.data import alpha_krippendorff
from sklearn.metrics import confusion_matrix

from softlabels.cards import agreement


def votes(n_items=60, n_classes=4, n_annotators=9, seed=0):
    """Annotator, item and label of each vote: one to seven annotators an item, agreeing more or less."""
    rng = np.random.default_rng(seed)
    rows = []
    for item in range(n_items):
        truth = rng.integers(n_classes)
        for annotator in rng.permutation(n_annotators)[: rng.integers(1, 8)]:
            rows.append((annotator, item, truth if rng.random() < 0.6 else rng.integers(n_classes)))
    return np.array(rows).T


def counts_of(item, label, n_items, n_classes):
    counts = np.zeros((n_items, n_classes), np.int64)
    np.add.at(counts, (item, label), 1)
    return counts


def majority(labels):
    """The label with the most votes, of tied ones the lowest."""
    times = Counter(labels)
    return min(times, key=lambda label: (-times[label], label))


def test_alpha_of_the_published_example():
    # Krippendorff (2011), section C: four observers, twelve units, 0 where a value is missing; alpha = 0.743
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
    counts = np.array([np.bincount(unit, minlength=6)[1:] for unit in zip(*observers, strict=True)])
    assert agreement.krippendorff_alpha(counts) == pytest.approx(0.743, abs=5e-4)


def test_alpha_by_hand():
    # Two votes each on three items: yes yes, no no, yes no. n = 6, D_o = 2 / 6, D_e = (36 - 9 - 9) / 30.
    counts = np.array([[2, 0], [0, 2], [1, 1]])
    assert agreement.krippendorff_alpha(counts) == pytest.approx(1 - (2 / 6) / (18 / 30), abs=1e-12)
    assert agreement.observed_agreement(counts) == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_crowd_kit(seed):
    annotator, item, label = votes(seed=seed)
    theirs = alpha_krippendorff(pd.DataFrame({"task": item, "worker": annotator, "label": label}))
    assert agreement.krippendorff_alpha(counts_of(item, label, 60, 4)) == pytest.approx(theirs, abs=1e-12)


def test_items_with_one_vote_do_not_count():
    counts = np.array([[2, 0], [0, 2], [1, 1], [2, 1]])
    lone = np.array([[1, 0], [0, 1], [0, 1], [0, 0]])
    for number in (agreement.krippendorff_alpha, agreement.observed_agreement):
        assert number(np.concatenate([counts, lone])) == number(counts)
    assert (agreement.confusion(np.concatenate([counts, lone])) == agreement.confusion(counts)).all()


def test_alpha_is_not_defined_where_nobody_could_disagree():
    assert np.isnan(agreement.krippendorff_alpha(np.array([[3, 0], [2, 0]])))  # one class: chance alone explains it
    assert np.isnan(agreement.krippendorff_alpha(np.array([[1, 0], [0, 1]])))  # no second vote
    assert np.isnan(agreement.observed_agreement(np.array([[1, 0], [0, 1]])))


def test_observed_agreement_is_the_share_of_equal_pairs():
    _, item, label = votes()
    shares = []
    for i in range(60):
        pairs = list(itertools.combinations(label[item == i], 2))
        if pairs:
            shares.append(np.mean([a == b for a, b in pairs]))
    assert agreement.observed_agreement(counts_of(item, label, 60, 4)) == pytest.approx(np.mean(shares), abs=1e-12)


def test_the_majority_of_the_others_leaves_the_vote_out():
    counts = np.array([[2, 1, 0], [1, 1, 0], [2, 2, 0], [0, 1, 2]])
    found = agreement.majority_of_others(counts)
    assert found[0, :2].tolist() == [0, 0]  # 1 : 1 without the first class's vote, so the lower index
    assert found[1, :2].tolist() == [1, 0]
    assert found[2, :2].tolist() == [1, 0]
    assert found[3, 1:].tolist() == [2, 1]  # 1 : 1 again


def test_the_confusion_of_all_votes_is_that_of_each_vote_with_the_majority_of_the_others():
    _, item, label = votes()
    others, own = [], []
    for vote in range(len(item)):
        rest = [label[other] for other in np.flatnonzero(item == item[vote]) if other != vote]
        if rest:
            others.append(majority(rest))
            own.append(label[vote])
    expected = confusion_matrix(others, own, labels=range(4))
    assert agreement.confusion(counts_of(item, label, 60, 4)).tolist() == expected.tolist()


def test_each_annotator_is_compared_with_the_others():
    annotator, item, label = votes()
    names = [f"p{k}" for k in range(9)]
    counts = counts_of(item, label, 60, 4)
    found = agreement.of_annotators(names, annotator, item, label, counts)
    assert found.names == names and found.votes.tolist() == np.bincount(annotator).tolist()
    for k in range(9):
        shares, others, own = [], [], []
        for vote in np.flatnonzero(annotator == k):
            rest = label[(item == item[vote]) & (annotator != k)].tolist()
            if rest:
                shares.append(np.mean(np.array(rest) == label[vote]))
                others.append(majority(rest))
                own.append(label[vote])
        assert found.compared[k] == len(shares)
        assert found.agreement[k] == pytest.approx(np.mean(shares), abs=1e-12)
        matrix = np.zeros((4, 4), int)
        rows = found.confusion[found.confusion[:, 0] == k]
        matrix[rows[:, 1], rows[:, 2]] = rows[:, 3]
        assert matrix.tolist() == confusion_matrix(others, own, labels=range(4)).tolist()
    assert found.confusion[:, 3].min() > 0


def test_anonymous_votes_are_others_and_an_annotator_without_others_has_no_agreement():
    item, label = np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0])
    annotator = np.array([0, -1, -1, 1])  # b votes alone
    found = agreement.of_annotators(["a", "b"], annotator, item, label, counts_of(item, label, 2, 2))
    assert found.votes.tolist() == [1, 1] and found.compared.tolist() == [1, 0]
    assert found.agreement[0] == 0.5 and np.isnan(found.agreement[1])
    assert found.confusion.tolist() == [[0, 0, 1, 1]]
