"""Evidence to labels: majority, average, ties."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from crowdkit.aggregation import MajorityVote
from scipy.special import softmax

from softlabels import io, keyed, registry
from softlabels.contracts import read_labels, write_predictions, write_reference, write_split
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.labels import average, evidence, label, majority

OPTIONS = {"ties": "lowest_index", "seed": 0}


def of_counts(counts):
    counts = np.array(counts)
    made = evidence.Evidence([f"class{k}" for k in range(counts.shape[1])], len(counts), annotations="unread")
    made.__dict__["_sums"] = counts, None  # what reading the file would give
    return made


def read(inputs, votes="all", draw="all", seed=0):
    return evidence.read({"label": {"votes": votes, "seed": seed}, "draw": draw}, inputs)


@pytest.fixture
def untied():
    """Counts [200, 5] of 1 to 15 votes an item, no top tied."""
    rng = np.random.default_rng(1)
    counts = rng.multinomial(rng.integers(1, 16, 1000), rng.dirichlet(np.ones(5), 1000))
    top = np.sort(counts, axis=1)
    return counts[top[:, -1] > top[:, -2]][:200]


def write_votes(tmp_path, counts, classes):
    counts = np.array(counts)
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference")}
    votes = contract.Votes.of_counts(counts)
    contract.write_annotations(inputs["annotations"], votes, classes)
    votes = counts.sum(axis=1)
    write_reference(inputs["reference"], counts / votes[:, None], votes, classes)
    return inputs


def make(tmp_path, inputs, aggregate="average", form="soft", ties="lowest_index"):
    path = tmp_path / f"{aggregate}_{form}_{ties}.parquet"
    options = {"aggregate": {"kind": aggregate}, "form": form, "votes": "all", "ties": ties, "seed": 0}
    label.run({"label": options, "draw": "all"}, inputs, {"labels": path})
    return io.read_table(path)


def test_majority_and_average_agree_with_crowd_kit(untied):
    item, kind = np.nonzero(untied)
    votes = pd.DataFrame({"task": item, "label": kind}).loc[np.repeat(np.arange(len(item)), untied[item, kind])]
    votes["worker"] = np.arange(len(votes))
    theirs = MajorityVote()
    hard = theirs.fit_predict(votes).sort_index().to_numpy()
    p = theirs.fit_predict_proba(votes).sort_index()[range(5)].to_numpy()
    ours = average.aggregate(of_counts(untied), OPTIONS)
    np.testing.assert_array_equal(majority.aggregate(of_counts(untied), OPTIONS).hard, hard)
    np.testing.assert_array_equal(ours.hard, hard)
    np.testing.assert_allclose(ours.p, p, rtol=1e-6)
    assert ours.metadata["ties"]["count"] == 0


def test_majority_is_one_hot_and_average_is_the_share_of_votes():
    counts = of_counts([[1, 3, 0], [2, 1, 1]])
    assert majority.aggregate(counts, OPTIONS).p.tolist() == [[0, 1, 0], [1, 0, 0]]
    table = average.aggregate(counts, OPTIONS)
    assert table.p.tolist() == [[0.25, 0.75, 0], [0.5, 0.25, 0.25]]
    assert table.votes.tolist() == [4, 4]
    assert table.weight.tolist() == [1, 1]


def test_ties_are_found_in_whole_votes():
    counts = of_counts([[49, 49, 0], [1, 1, 1], [2, 1, 0]])
    for module in (majority, average):
        table = module.aggregate(counts, OPTIONS)
        assert table.metadata["ties"] == {"rule": "lowest_index", "count": 2}
        assert table.hard.tolist() == [0, 0, 0]


def test_dropped_ties_leave_no_row():
    counts = of_counts([[1, 1], [2, 1], [0, 3], [2, 2]])
    for module in (majority, average):
        table = module.aggregate(counts, {"ties": "drop", "seed": 0})
        assert table.item.tolist() == [1, 2]
        assert table.hard.tolist() == [0, 1]
        assert table.votes.tolist() == [3, 3]
        assert table.metadata["ties"] == {"rule": "drop", "count": 2}


def test_random_ties_are_fair_keyed_by_item_and_never_touch_other_items():
    counts = np.tile([[2, 0, 2], [0, 3, 1]], (1000, 1))
    hard = majority.aggregate(of_counts(counts), {"ties": "random", "seed": 0}).hard
    assert (hard[1::2] == 1).all()
    assert set(hard[::2].tolist()) == {0, 2}
    assert abs((hard[::2] == 0).mean() - 0.5) < 0.05
    part = majority.aggregate(of_counts(counts[:100]), {"ties": "random", "seed": 0}).hard
    np.testing.assert_array_equal(part, hard[:100])
    other = majority.aggregate(of_counts(counts), {"ties": "random", "seed": 1}).hard
    assert (other != hard).any()


def test_items_without_votes_get_no_row_and_are_no_ties():
    table = average.aggregate(of_counts([[0, 0], [1, 2]]), OPTIONS)
    assert table.item.tolist() == [1]
    assert table.metadata["ties"]["count"] == 0


def test_only_tied_items_under_drop_are_an_error():
    with pytest.raises(UserError, match="all are tied"):
        majority.aggregate(of_counts([[1, 1]]), {"ties": "drop", "seed": 0})


def test_an_exact_distribution_is_kept_as_it_is():
    p = np.random.default_rng(0).dirichlet(np.ones(4), 10)
    table = average.aggregate(evidence.Evidence(["a", "b", "c", "d"], len(p), distribution=p), OPTIONS)
    np.testing.assert_array_equal(table.p, p.astype(np.float32))
    np.testing.assert_array_equal(table.hard, p.argmax(axis=1))
    assert table.votes is None


def test_votes_come_before_the_exact_distribution(tmp_path):
    classes = ["a", "b"]
    inputs = write_votes(tmp_path, [[1, 2], [3, 0]], classes)
    p = np.array([[0.9, 0.1], [0.5, 0.5]])
    write_reference(inputs["reference"], p, None, classes)
    assert read(inputs).counts.tolist() == [[1, 2], [3, 0]]
    contract.write_annotations(inputs["annotations"], contract.NO_VOTES, classes)
    found = read(inputs)
    assert found.counts is None
    np.testing.assert_array_equal(found.distribution, p)
    table, _ = make(tmp_path, inputs)
    assert table.column("votes").null_count == 2


def test_the_label_file_keeps_the_contract(tmp_path):
    inputs = write_votes(tmp_path, [[1, 3, 0], [2, 2, 0], [0, 0, 1]], ["a", "b", "c"])
    table, metadata = make(tmp_path, inputs)
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert types.pop("p").startswith("fixed_size_list<")
    assert types == {"item": "int32", "hard": "int16", "votes": "int32", "weight": "float"}
    p = io.matrix(table, "p")
    assert p.dtype == np.float32
    assert p.tolist() == [[0.25, 0.75, 0], [0.5, 0.5, 0], [0, 0, 1]]
    assert metadata == {
        "schema_version": io.SCHEMA_VERSION,
        "classes": ["a", "b", "c"],
        "aggregate": "average",
        "form": "soft",
        "ties": {"rule": "lowest_index", "count": 1},
    }


def test_the_hard_form_is_the_one_hot_of_the_hard_class(tmp_path):
    inputs = write_votes(tmp_path, [[1, 3, 0], [2, 2, 0], [0, 0, 1]], ["a", "b", "c"])
    hard, _ = make(tmp_path, inputs, "average", "hard", "random")
    np.testing.assert_array_equal(io.matrix(hard, "p"), np.eye(3)[io.vector(hard, "hard")])
    assert hard.equals(make(tmp_path, inputs, "majority", "soft", "random")[0])


# -- weights -----------------------------------------------------------------------------------------------------------

ITEM = np.array([0, 0, 0, 1, 1, 1, 3], np.int32)
LABEL = np.array([0, 0, 1, 0, 1, 2, 2], np.int16)
WEIGHT = np.array([0.5, 1, 4, 2, 1, 2, 0.25], np.float32)


def write_weighted(tmp_path, item=ITEM, label=LABEL, weight=WEIGHT, n=4):
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference")}
    contract.write_annotations(inputs["annotations"], contract.Votes(item, label, weight=weight), ["a", "b", "c"])
    write_reference(inputs["reference"], np.full((n, 3), 1 / 3), None, ["a", "b", "c"])
    return inputs


def test_weighted_votes_are_shared_out_by_weight(tmp_path):
    inputs = write_weighted(tmp_path)
    table, metadata = make(tmp_path, inputs)
    assert table.column("item").to_pylist() == [0, 1, 3]  # nobody voted on item 2
    np.testing.assert_allclose(io.matrix(table, "p"), [[1.5 / 5.5, 4 / 5.5, 0], [0.4, 0.2, 0.4], [0, 0, 1]], rtol=1e-6)
    assert table.column("hard").to_pylist() == [1, 0, 2]  # item 0: two votes for a, the heavier one for b
    assert table.column("votes").to_pylist() == [3, 3, 1]  # still whole votes
    assert metadata["ties"]["count"] == 1
    assert metadata["weighted"] is True
    assert make(tmp_path, inputs, "majority")[0].column("hard").to_pylist() == [1, 0, 2]


def test_weights_of_one_give_the_labels_of_unweighted_votes(tmp_path):
    rng = np.random.default_rng(0)
    item, label = rng.integers(0, 50, 400, np.int32), rng.integers(0, 3, 400).astype(np.int16)
    (tmp_path / "plain").mkdir()
    weighted, _ = make(tmp_path, write_weighted(tmp_path, item, label, np.ones(400, np.float32), 50))
    plain, metadata = make(tmp_path / "plain", write_weighted(tmp_path / "plain", item, label, None, 50))
    assert weighted.equals(plain)
    assert "weighted" not in metadata


def test_weights_are_summed_in_the_order_of_the_rows_wherever_a_piece_ends(tmp_path):
    rng = np.random.default_rng(0)
    item, label = np.zeros(150_000, np.int32), rng.integers(0, 3, 150_000).astype(np.int16)
    weight = rng.lognormal(0, 8, 150_000).astype(np.float32)  # so unequal that sums are rounded
    inputs = write_weighted(tmp_path, item, label, weight, 1)
    table, _ = io.read_table(inputs["annotations"])
    label, weight = io.vector(table, "label"), io.vector(table, "weight").astype(float)
    expected = [np.add.accumulate(weight[label == k])[-1] for k in range(3)]  # one after the other
    found = read(inputs)
    assert found.weights.tolist() == [expected]
    assert found.counts.tolist() == [np.bincount(label).tolist()]


def test_votes_are_counted_whatever_their_order(tmp_path):
    rng = np.random.default_rng(0)
    item, label = rng.permutation(np.arange(200_000, dtype=np.int32) % 1000), rng.integers(0, 3, 200_000)
    inputs = write_weighted(tmp_path, n=1000)
    table = pa.table({"item": item, "label": pa.array(label, pa.int16())})
    io.write_table(inputs["annotations"], table, {"classes": ["a", "b", "c"]})
    expected = np.zeros((1000, 3), int)
    for k in range(3):
        expected[:, k] = np.bincount(item[label == k], minlength=1000)
    np.testing.assert_array_equal(read(inputs).counts, expected)


# -- people, draws, out of fold ----------------------------------------------------------------------------------------


def write_people(tmp_path, seed=0, n=40):
    """Votes of five people an item, one of them twice, on three classes; the paths, items included."""
    rng = np.random.default_rng(seed)
    item = np.repeat(np.arange(n, dtype=np.int32), 6)
    person = np.concatenate([np.append(people := rng.choice(9, 5, replace=False), people[0]) for _ in range(n)])
    annotator = pa.array([f"p{k}" for k in person]).dictionary_encode()
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference", "items")}
    votes = contract.Votes(item, rng.integers(0, 3, len(item)).astype(np.int16), annotator)
    contract.write_annotations(inputs["annotations"], votes, ["a", "b", "c"])
    contract.write_items(inputs["items"], [f"{i}.png" for i in range(n)])
    write_reference(inputs["reference"], votes.counts(n, 3) / 6, np.full(n, 6), ["a", "b", "c"])
    return inputs


def test_votes_are_read_with_who_gave_them(tmp_path):
    inputs = write_people(tmp_path)
    votes, table = read(inputs).votes, io.read_table(inputs["annotations"])[0].to_pydict()
    assert [votes.people[k] for k in votes.annotator] == table["annotator"]
    assert (votes.item.tolist(), votes.label.tolist()) == (table["item"], table["label"])
    assert votes.weight is None
    assert (read(write_weighted(tmp_path)).votes.annotator == -1).all()
    assert read(write_weighted(tmp_path)).votes.weight.tolist() == WEIGHT.tolist()


@pytest.mark.parametrize("n", [1, 3, 5])
def test_n_people_of_each_item_are_drawn_without_replacement(tmp_path, n):
    inputs = write_people(tmp_path)
    everything, drawn = read(inputs).votes, read(inputs, n, "seed0").votes
    rows = set(zip(everything.item, everything.annotator, everything.label, strict=True))
    assert set(zip(drawn.item, drawn.annotator, drawn.label, strict=True)) <= rows
    for item in range(40):
        chosen = set(drawn.annotator[drawn.item == item])
        assert len(chosen) == n
        both = [everything, drawn]  # all votes of a person come together
        first, second = ([(v.annotator == k)[v.item == item].sum() for k in chosen] for v in both)
        assert first == second
    np.testing.assert_array_equal(
        read(inputs, n, "seed0").counts, contract.Votes(drawn.item, drawn.label).counts(40, 3)
    )
    np.testing.assert_array_equal(read(inputs, n, "seed0").counts, read(inputs, n, "seed0-fold1of5").counts)
    if n < 5:
        assert (read(inputs, n, "seed0").counts != read(inputs, n, "seed1").counts).any()
        assert (read(inputs, n, "seed0").counts != read(inputs, n, "seed0", seed=1).counts).any()
        assert (
            read(inputs, n, "seed0").counts <= read(inputs, n + 1, "seed0").counts
        ).all()  # more are the same, and one


def test_anonymous_votes_are_drawn_one_by_one_and_evenly(tmp_path):
    counts = [[30, 20, 0], [0, 1, 49]] * 200
    inputs = write_votes(tmp_path, counts, ["a", "b", "c"])
    drawn = read(inputs, 10, "seed3").counts
    assert (drawn.sum(axis=1) == 10).all()
    assert (drawn <= counts).all()
    mean = drawn.reshape(200, 2, 3).mean(axis=0)
    np.testing.assert_allclose(mean, [[6, 4, 0], [0, 0.2, 9.8]], atol=0.5)  # hypergeometric: five standard errors


def test_more_votes_than_an_image_has_are_refused_by_name(tmp_path):
    inputs = write_people(tmp_path)
    with pytest.raises(UserError, match=r"image '0\.png' has 5 annotators, expected 6 .* \(40 such images"):
        read(inputs, 6, "seed0")
    contract.write_annotations(inputs["annotations"], contract.NO_VOTES, ["a", "b", "c"])
    with pytest.raises(UserError, match="votes is 2, but this data set has no votes"):
        read(inputs, 2, "seed0")


def test_ties_of_drawn_votes_are_broken_anew_with_each_seed(tmp_path):
    inputs = write_votes(tmp_path, [[1, 1]] * 60, ["a", "b"])
    hard = []
    for draw in ("seed0", "seed1", "all"):
        config = {
            "label": {"aggregate": {"kind": "majority"}, "form": "hard", "votes": "all", "ties": "random", "seed": 0}
        }
        label.run(config | {"draw": draw}, inputs, {"labels": tmp_path / f"{draw}.parquet"})
        hard.append(io.vector(io.read_table(tmp_path / f"{draw}.parquet")[0], "hard"))
    assert all(0.25 < each.mean() < 0.75 for each in hard)
    assert (hard[0] != hard[1]).any()
    assert hard[2].tolist() == [keyed.rng("ties", 0, item).choice([0, 1]) for item in range(60)]


def test_an_estimate_is_told_the_training_part_and_predictions_of_networks_that_did_not_learn_from_an_item(tmp_path):
    inputs = write_people(tmp_path, n=6)
    assert read(inputs).fit.tolist() == [True] * 6
    part = np.array([0, 0, 0, 0, 1, 2])
    inputs["split"] = tmp_path / "split.parquet"
    write_split(inputs["split"], part, None, {})
    assert read(inputs, draw="seed0").fit.tolist() == [True] * 4 + [False] * 2
    logits = np.log(np.random.default_rng(0).dirichlet(np.ones(3), (2, 6))).astype(np.float32)
    inputs["predictions"] = [tmp_path / f"{k}.parquet" for k in range(2)]
    for k, path in enumerate(inputs["predictions"]):
        names = np.array(["train", "train", "train", "train", "val", "test"], object)
        names[2 * k : 2 * k + 2] = "held_out"
        write_predictions(path, np.arange(6), names, logits[k], ["a", "b", "c"])
    q = softmax(logits.astype(float), axis=2)
    expected = np.concatenate([q[0, :2], q[1, 2:4], q[:, 4:].mean(axis=0)])
    np.testing.assert_allclose(read(inputs, draw="seed0").out_of_fold, expected, rtol=1e-6)


def test_a_label_that_needs_people_is_refused_where_nobody_is_known(tmp_path, monkeypatch):
    inputs = write_votes(tmp_path, [[1, 2], [3, 0]], ["a", "b"])
    entry = registry.entry("aggregate", "majority")
    monkeypatch.setattr(registry, "entry", lambda kind, name: entry | {"needs": ["annotators"]})
    with pytest.raises(UserError, match="majority needs to know who gave each vote"):
        make(tmp_path, inputs, "majority", "hard")
    make(tmp_path, write_people(tmp_path), "majority", "hard")


# -- labels of some training items only --------------------------------------------------------------------------------


def split_into(tmp_path, sizes):
    path = tmp_path / "split.parquet"
    write_split(path, np.repeat([0, 1, 2], sizes), None, {})
    return path


def some(inputs, items, draw="seed0", **options):
    """The items that have a label where so many of the training part do."""
    path = inputs["reference"].with_name("some.parquet")
    told = {"aggregate": {"kind": "average"}, "form": "soft", "votes": "all", "ties": "lowest_index", "seed": 0}
    label.run({"label": {**told, **options, "items": items}, "draw": draw}, inputs, {"labels": path})
    return read_labels(path).item.tolist()


def test_more_items_are_those_of_fewer_and_validation_has_the_same_share(tmp_path):
    counts = np.ones((60, 2), int)
    counts[7] = 0  # a training item without a vote
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference")}
    contract.write_annotations(inputs["annotations"], contract.Votes.of_counts(counts), ["a", "b"])
    write_reference(inputs["reference"], np.full((60, 2), 0.5), counts.sum(axis=1), ["a", "b"])
    inputs["split"] = split_into(tmp_path, [40, 12, 8])
    rest, val = [*range(52, 60)], {1: 1, 5: 2, 20: 6, 39: 12}  # of 12 validation items the share of 39, one at least
    found = {n: some(inputs, n) for n in val}
    for n, item in found.items():
        assert item[n + val[n] :] == rest and all(k < 40 and k != 7 for k in item[:n])
        assert all(40 <= k < 52 for k in item[n : n + val[n]])
    assert all(set(found[a]) < set(found[b]) for a, b in [(1, 5), (5, 20), (20, 39)])
    assert some(inputs, 5, draw="seed1") != found[5] and some(inputs, 5, seed=1) != found[5]
    with pytest.raises(UserError, match="found 39 images of the training part with a label, expected 40 or more"):
        some(inputs, 40)


def test_an_exact_distribution_has_labels_of_some_items_too(tmp_path):
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference")}
    contract.write_annotations(inputs["annotations"], contract.NO_VOTES, ["a", "b"])
    write_reference(inputs["reference"], np.full((10, 2), 0.5), None, ["a", "b"])
    inputs["split"] = split_into(tmp_path, [8, 1, 1])
    assert len(some(inputs, 3)) == 3 + 2


def test_an_estimate_learns_from_the_items_with_a_label(tmp_path):
    inputs = write_votes(tmp_path, np.ones((10, 2), int), ["a", "b"])
    inputs["split"] = split_into(tmp_path, [8, 1, 1])
    for fit_on, n in (("train", 3), ("all", 5)):
        told = {"votes": "all", "seed": 0, "items": 3, "aggregate": {"fit_on": fit_on}}
        found = evidence.read({"label": told, "draw": "seed0"}, inputs)
        assert found.fit.sum() == n and (found.fit <= found.chosen).all()
