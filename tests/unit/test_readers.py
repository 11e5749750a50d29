"""Readers against the network: by hand, against loops and the published procedure, and by simulation."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from metric_cases import OF_ANNOTATORS
from scipy.stats import false_discovery_control, ttest_1samp

from softlabels import registry, schema
from softlabels.contracts import read_reference, write_reference
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.evaluation import intervals, readers
from softlabels.evaluation.aligned import Aligned
from softlabels.evaluation.readers import Said
from softlabels.provenance import recompute_votes

OPTIONS = {"kind": "readers", **schema.defaults("metric", "readers")}


def said(rows, people=None):
    """Of (item, name or None, class), a person's votes on an item together."""
    rows = sorted(rows, key=lambda row: (row[0], row[1] is None, row[1] or ""))
    people = people or sorted({name for _, name, _ in rows if name is not None})
    row, name, label = zip(*rows, strict=True)
    person = np.array([-1 if one is None else people.index(one) for one in name])
    return Said(np.array(row), person, np.array(label), people)


def pool(n=200, n_readers=7, each=5, n_classes=3, seed=0, accuracy=0.7, unknown=0):
    """Items with a true class, of which ``each`` readers (and ``unknown`` people) see a class."""
    draws = np.random.default_rng(seed)
    truth = draws.integers(n_classes, size=n)

    def seen(i):
        return int(truth[i] if draws.random() < accuracy else draws.integers(n_classes))

    rows = [(i, f"r{k}", seen(i)) for i in range(n) for k in draws.permutation(n_readers)[:each]]
    rows += [(i, None, seen(i)) for i in range(n) for _ in range(unknown)]
    rows += [
        (i, f"r{k}", seen(i)) for i, k in draws.integers(min(n, n_readers), size=(n // 10, 2)).tolist()
    ]  # votes again
    return rows, truth


def numbers(rows, predicted, n_classes=3, **options):
    """Every number by name and reader, with the items of its values."""
    given = said(rows)
    details = readers.details(given, np.array(predicted), n_classes, {**OPTIONS, **options})
    return {(number, reader): (value, items) for number, reader, value, items in details}


def value(found, number="", reader=None):
    return float(np.mean(found[number, reader][0]))


def metric(name, rows, predicted, n_classes=3, given=None, **options):
    """The values of a metric of annotators, of predictions that are sure."""
    predicted = np.array(predicted)
    with np.errstate(divide="ignore"):
        log_q = np.log(np.eye(n_classes)[predicted])
    p = np.full(log_q.shape, 1 / n_classes)
    classes = list("abcdefgh"[:n_classes])
    aligned = Aligned("test", np.arange(len(p)), p, log_q, classes, said=given or said(rows))
    return registry.load("metric", name)(aligned, {**schema.defaults("metric", name), **options})


def test_by_hand():
    rows = [
        (0, "a", 0),
        (0, "b", 0),
        (0, "c", 1),  # the network says 0, 1, 2
        (1, "a", 1),
        (1, "b", 0),
        (1, None, 0),
        (2, "a", 2),
    ]  # nobody else: does not count
    found = numbers(rows, [0, 1, 2], minimum=1)
    # a: item 0, others 0 1: a .5, network .5; item 1, others 0 0: a 0, network 0
    assert value(found, ".reader_agreement", "a") == value(found, ".network_agreement", "a") == 0.25
    # item 0: both tie the majority; item 1: neither has it
    assert value(found, ".reader_accuracy", "a") == value(found, ".network_accuracy", "a") == 0.5
    # b: item 0 as a; item 1, others 1 0: b .5, network .5, and both tied
    assert value(found, ".reader_agreement", "b") == 0.5 and value(found, ".network_accuracy", "b") == 1
    # c: item 0, others 0 0: c 0, network 1
    assert (value(found, "", "c"), value(found, ".accuracy", "c")) == (1, 1)
    assert [value(found, ".n_items", name) for name in "abc"] == [2, 2, 1]
    assert np.mean(metric("readers", rows, [0, 1, 2])) == pytest.approx(1 / 5)
    assert value(found, ".accuracy") == pytest.approx(1 / 5)


def test_a_reader_that_is_the_network_has_no_difference():
    rows, truth = pool()
    rows = [(i, name, int(truth[i]) if name == "r0" else k) for i, name, k in rows]
    found = numbers(rows, truth)
    values, _ = found["", "r0"]
    assert (values == 0).all() and value(found, ".advantage", "r0") == 1
    assert value(found, ".wins", "r0") == 1  # as good as, minus epsilon
    assert value(numbers(rows, truth, epsilon=0), ".wins", "r0") == 0  # and not better


def test_all_numbers_are_those_of_the_second_implementation():
    for seed, options in enumerate(({}, {"minimum": 100}, {"listed": 2, "epsilon": 0.2}, {"minimum": 10**6})):
        rows, truth = pool(seed=seed, unknown=seed)
        predicted = np.where(np.random.default_rng(seed).random(len(truth)) < 0.8, truth, 0)
        found = numbers(rows, predicted, **options)
        found["", None] = metric("readers", rows, predicted), None
        people = recompute_votes.by_person(*zip(*rows, strict=True), range(len(truth)))
        again = recompute_votes.readers(people, dict(enumerate(predicted.tolist())), {**OPTIONS, **options}, 3)
        assert {number if name is None else f"{number}@{name}" for number, name in found} == {*again}
        for number, name in found:
            due = again[number if name is None else f"{number}@{name}"]
            assert value(found, number, name) == pytest.approx(math.nan if due is None else due, nan_ok=True), number


def test_readers_are_compared_once_for_the_same_predicted_classes():
    rows, truth = pool(n=20)
    given = said(rows)
    assert readers.compared(given, truth, 3) is readers.compared(given, truth.copy(), 3)
    assert readers.compared(said(rows), truth, 3) is not readers.compared(given, truth, 3)


def published(rows, predicted, epsilon, q=0.05, minimum=30):
    """Winning rate and average advantage probability as the authors define them, of one vote a reader and item."""
    by_item = defaultdict(dict)
    for i, name, k in rows:
        by_item[i][name] = k
    p, advantage = [], []
    for reader in sorted({name for _, name, _ in rows}):
        ours, theirs = [], []
        for i, of_item in by_item.items():
            if reader in of_item and len(of_item) > 1:
                rest = [k for name, k in of_item.items() if name != reader]
                network, human = (np.mean([k == one for k in rest]) for one in (predicted[i], of_item[reader]))
                ours.append(network >= human)
                theirs.append(human >= network)
        if len(ours) >= minimum:
            p.append(ttest_1samp(np.array(theirs, float) - ours, epsilon, alternative="less").pvalue)
            advantage.append(np.mean(ours))
    return (false_discovery_control(p, method="by") <= q).mean(), np.mean(advantage)


@pytest.mark.parametrize("accuracy", [0.3, 0.5, 0.65, 0.9])
@pytest.mark.parametrize("epsilon", [0, 0.1, 0.2])
def test_the_alternative_annotator_test_is_the_published_one(accuracy, epsilon):
    rows, truth = pool(n=120, seed=3)
    rows = [(i, name, k) for (i, name), k in {(i, name): k for i, name, k in rows}.items()]
    draws = np.random.default_rng(1)
    predicted = np.where(draws.random(len(truth)) < accuracy, truth, draws.integers(3, size=len(truth)))
    found = numbers(rows, predicted, epsilon=epsilon)
    rate, advantage = published(rows, predicted, epsilon)
    assert (value(found, ".winning_rate"), value(found, ".advantage")) == (rate, pytest.approx(advantage))


def test_discoveries_are_those_of_scipy():
    draws = np.random.default_rng(0)
    for _ in range(50):
        p = draws.random(draws.integers(1, 12)) ** 4
        assert readers.discovered(p, 0.05).tolist() == (false_discovery_control(p, method="by") <= 0.05).tolist()
    assert readers.discovered(np.zeros(0), 0.05).tolist() == []


def test_equal_differences_have_a_p_of_0_or_1():
    assert (readers.p_value(np.zeros(30), 0.1), readers.p_value(np.zeros(30), 0)) == (0, 1)
    assert readers.p_value(np.ones(30), 0.1) == 1


def test_known_accuracies_come_out():
    """Everybody sees the truth with a probability of their own; agreement follows from these."""
    draws = np.random.default_rng(0)
    n, right = 40_000, {"expert": 0.95, "average": 0.8, "guesser": 1 / 3, "other": 0.8}
    rows = []
    for name, a in right.items():
        hit, wrong = draws.random(n) < a, draws.integers(1, 3, n)
        rows += [(i, name, int(0 if hit[i] else wrong[i])) for i in range(n)]
    network = np.where(draws.random(n) < 0.9, 0, draws.integers(1, 3, n))
    found = numbers(rows, network)

    def agreement(a, others):
        return np.mean([a * b + (1 - a) * (1 - b) / 2 for b in others])

    for name, a in right.items():
        others = [b for other, b in right.items() if other != name]
        assert value(found, ".reader_agreement", name) == pytest.approx(agreement(a, others), abs=0.01)
        assert value(found, ".network_agreement", name) == pytest.approx(agreement(0.9, others), abs=0.01)
    assert [np.sign(value(found, "", name)) for name in right] == [-1, 1, 1, 1]


def test_the_interval_covers_the_difference_of_new_items():
    """Two-way, over 3 networks that err independently, on the same items, clustered by the item."""
    covered, runs = 0, 200
    for run in range(runs):
        draws = np.random.default_rng([7, run])
        n, sides = 150, []
        seen = np.where(draws.random((n, 4)) < 0.8, 0, draws.integers(1, 3, (n, 4)))
        rows = [(i, f"r{k}", int(seen[i, k])) for i in range(n) for k in range(4)]
        for _ in range(3):
            network = np.where(draws.random(n) < 0.8, 0, draws.integers(1, 3, n))
            sides.append(metric("readers", rows, network))
        found = intervals.two_way_interval(intervals.sample(sides, [np.arange(n)] * 3), 0.95)
        covered += bool(found.low[0] <= 0 <= found.high[0])  # networks and readers are alike
    assert covered / runs >= 0.93


@pytest.mark.parametrize(
    ("name", "options"),
    [("readers", {}), *((name, {"over": over}) for name in OF_ANNOTATORS[:2] for over in ("annotators", "items"))],
)
def test_values_are_derivatives_by_the_weight_of_an_item(name, options):
    """Of the metric of weighted items; a weight of 2 is the item twice, for the readers who voted on it."""
    rows, truth = pool(n=40, unknown=1)
    predicted = np.where(np.arange(40) % 4, truth, 0)
    values = metric(name, rows, predicted, **options)
    times = 200  # of all items, so that one more is a small change

    def weighted(extra):
        copies = [i for i in range(40) for _ in range(times + (i == extra))]
        own = defaultdict(list)
        for i, who, k in rows:
            own[i].append((who, k))
        again = [(new, who, k) for new, i in enumerate(copies) for who, k in own[i]]
        return np.mean(metric(name, again, predicted[copies], **options)), len(copies)

    base, _ = weighted(None)
    assert base == pytest.approx(values.mean())
    for item in (0, 7):
        moved, more = weighted(item)
        assert (moved - base) * more == pytest.approx(values[item] - values.mean(), rel=0.05, abs=0.01)


def test_errors_of_annotators_by_hand():
    rows = [(0, "a", 0), (1, "a", 2), (1, "b", 1), (1, None, 0), (2, "b", 0), (2, "b", 1)]
    predicted = [0, 0, 0]
    assert metric("annotator_error", rows, predicted).mean() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metric("annotator_error", rows, predicted, over="items").mean() == pytest.approx((0 + 1 + 1 / 2) / 3)
    assert metric("annotator_distance", rows, predicted).mean() == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert metric("annotator_distance", rows, predicted, over="items").mean() == pytest.approx((0 + 0.75 + 0.25) / 3)
    # In the order c, a, b the ranks are 1, 2, 0: a votes 1 - 1 and 1 - 0, b votes 1 - 2 and 1 - 1 and 1 - 2.
    order = {"order": ["c", "a", "b"]}
    assert metric("annotator_distance", rows, predicted, **order).mean() == pytest.approx((1 / 4 + 1 / 3) / 2)
    with pytest.raises(UserError, match="order: found 'd' 1 times"):
        metric("annotator_distance", rows, predicted, kind="annotator_distance", order=["c", "a", "d"])
    people = recompute_votes.by_person(*zip(*rows, strict=True), range(3))
    for name, over in itertools.product(OF_ANNOTATORS[:2], ("annotators", "items")):
        for more in ({}, order if name == "annotator_distance" else {}):
            again = recompute_votes.METRICS[name](people, dict.fromkeys(range(3), 0), {"over": over, **more}, "abc")[""]
            assert metric(name, rows, predicted, over=over, **more).mean() == pytest.approx(again)


def test_the_error_over_items_of_one_vote_each_is_one_minus_accuracy_against_votes():
    rows, truth = pool(unknown=0)
    rows = [(i, name, k) for (i, name), k in {(i, name): k for i, name, k in rows}.items()]
    votes = np.zeros((200, 3))
    np.add.at(votes, ([i for i, *_ in rows], [k for *_, k in rows]), 1)
    share = votes / votes.sum(axis=1, keepdims=True)
    error = metric("annotator_error", rows, truth, over="items")
    np.testing.assert_allclose(error, 1 - share[np.arange(200), truth], atol=1e-12)


@pytest.mark.parametrize(
    "rows",
    [
        [(0, None, 1), (0, None, 0), (1, None, 1)],  # nobody is known
        [(0, "me", 1), (1, "me", 0), (1, "me", 1)],  # one reader
        [(0, "a", 1), (1, "b", 0)],  # nobody else
    ],
)
def test_where_nothing_can_be_compared_there_is_no_number(rows):
    assert np.isnan(metric("readers", rows, [0, 1])).all()
    found = numbers(rows, [0, 1], minimum=2)
    assert value(found, ".n_readers") == 0
    assert all(math.isnan(np.mean(each)) for (number, _), (each, _) in found.items() if number != ".n_readers")


def test_a_reader_without_test_items_is_not_tested():
    rows, truth = pool()
    given = said(rows, people=[*[f"r{k}" for k in range(7)], "elsewhere"])
    details = list(readers.details(given, truth, 3, OPTIONS))
    assert "elsewhere" not in {reader for _, reader, *_ in details}


def test_names_are_kept_whatever_they_are():
    for name in ("anna@x.org", "a+b", "kl.kl", "reader:all", "é ∞", "100%", "a/b"):
        group = readers.group_of(name)
        assert readers.name_of(group) == name and not set("@+") & set(group.removeprefix("reader:"))


def test_votes_are_read_with_who_gave_them_and_those_of_some_items_are_theirs(tmp_path):
    rows, _ = pool(n=30, unknown=2)
    item, name, label = zip(*rows, strict=True)
    votes = contract.Votes(np.array(item), np.array(label), pa.array(name, pa.string()).dictionary_encode())
    contract.write_annotations(tmp_path / "a.parquet", votes, ["x", "y", "z"])
    counts = votes.counts(30, 3)
    total = counts.sum(axis=1)
    write_reference(tmp_path / "r.parquet", counts / total[:, None], total, ["x", "y", "z"])
    found = readers.read(tmp_path / "a.parquet", read_reference(tmp_path / "r.parquet"))

    def told(given, place=None):
        who = [None if k < 0 else given.people[k] for k in given.person]
        row = given.row if place is None else place[given.row]
        return sorted(zip(row.tolist(), who, given.label.tolist(), strict=True), key=str)

    assert told(found) == sorted(rows, key=str)
    early = votes.item < 20
    fewer = contract.Votes(votes.item[early], votes.label[early], votes.annotator.filter(pa.array(early)))
    contract.write_annotations(tmp_path / "fewer.parquet", fewer, ["x", "y", "z"])  # the last items have no vote
    theirs = readers.read(tmp_path / "fewer.parquet", read_reference(tmp_path / "r.parquet"))
    assert told(theirs) == sorted((row for row in rows if row[0] < 20), key=str)
    some = np.array([17, 3, 20])
    assert told(found.of(some), some) == sorted((row for row in rows if row[0] in some), key=str)
    contract.write_annotations(tmp_path / "a.parquet", contract.Votes(votes.item, votes.label), ["x", "y", "z"])
    assert readers.read(tmp_path / "a.parquet", read_reference(tmp_path / "r.parquet")) is None


def test_the_items_of_a_reader_are_those_that_somebody_else_voted_on_too():
    item, person = np.array([0, 0, 1, 1, 2, 3, 3, 4]), np.array([0, 1, 0, 0, 1, 1, -1, -1])
    assert readers.with_others(item, person, 3).tolist() == [1, 2, 0]
