"""Votes of some people for the reference, of the others for labels: who is where, and what sees what."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from softlabels import config, io, registry, schema
from softlabels.contracts import read_labels, read_others, read_reference
from softlabels.datasets import contract, data, people
from softlabels.errors import UserError
from softlabels.evaluation.left_out import judging, read_panels
from softlabels.labels import label
from softlabels.provenance import checks_runs, recompute_votes
from softlabels.studies import study


def votes(rows):
    """Of (item, annotator, label)."""
    item, annotator, label = zip(*rows, strict=True)
    names = pa.array(annotator, pa.string()).dictionary_encode()
    return contract.Votes(np.array(item, np.int32), np.array(label, np.int16), names)


def rated(n=40, pool=9, each=5, unknown=0, seed=0):
    """``each`` of a pool vote on every item, and ``unknown`` people besides."""
    draws = np.random.default_rng(seed)
    rows = [(i, f"a{k}", int(draws.integers(3))) for i in range(n) for k in draws.permutation(pool)[:each]]
    return rows + [(i, None, int(draws.integers(3))) for i in range(n) for _ in range(unknown)]


def content(rows, **more):
    n = max(item for item, *_ in rows) + 1
    pixels = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)

    def images(path, threads):
        if path is not None:
            with contract.new_images(path, pixels.shape) as append:
                append(pixels)
        return {"sha256": [f"h{i}" for i in range(n)]} | more.pop("columns", {})

    return contract.Content([f"i{i}" for i in range(n)], ["x", "y", "z"], images, votes(rows), **more)


def names(given):
    return set(given.annotator.drop_null().to_pylist())


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_on_both_sides_and_the_halves_have_about_as_many_votes(seed):
    rows = rated(n=200, pool=9, each=6)
    found = people.apart(content(rows), seed)
    assert not names(found.votes) & names(found.judges)
    assert names(found.votes) | names(found.judges) == {f"a{k}" for k in range(9)}
    assert len(names(found.judges)) in (4, 5)
    assert len(found.votes.item) + len(found.judges.item) == len(rows)
    busy = rated(n=200, pool=2, each=2) + [(i, f"seldom{i % 10}", 0) for i in range(200)]
    judges = votes(busy).annotator.filter(pa.array(people.judging(votes(busy), seed))).to_pylist()
    assert 0 < judges.count("a0") + judges.count("a1") <= 200, "of the two busiest people, one is on each side"


def test_the_sides_depend_on_the_seed_and_not_on_the_order_of_the_votes():
    rows = rated(unknown=3)
    order = np.random.default_rng(1).permutation(len(rows))
    first, again, other = (people.judging(votes(of), seed) for of, seed in (
        (rows, 0), ([rows[k] for k in order], 0), (rows, 1)))  # fmt: skip
    chosen = sorted(str(rows[k]) for k in np.flatnonzero(first))
    assert chosen == sorted(str(rows[order[k]]) for k in np.flatnonzero(again))
    assert (first != other).any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("unknown", [0, 3])
def test_the_audit_draws_the_same_sides_a_second_way(seed, unknown):
    rows = rated(pool=7, unknown=unknown, seed=seed) + [(i, None, 2) for i in range(0, 40, 3)]
    people_, of_unknown = recompute_votes.judges(rows, seed)
    given = votes(rows)
    judges = [rows[k] for k in np.flatnonzero(people.judging(given, seed))]
    assert people_ == {name for _, name, _ in judges} - {None}
    assert of_unknown == Counter((item, label) for item, name, label in judges if name is None)


def test_of_votes_of_unknown_people_half_of_each_items_judge():
    rows = [(i, None, k % 3) for i in range(30) for k in range(2 + i % 4)]
    given = votes(rows)
    for of in (given, contract.Votes(given.item, given.label)):
        judges = people.judging(of, 0)
        np.testing.assert_array_equal(np.bincount(of.item[judges]), np.bincount(of.item) // 2)
    many = votes([(0, None, k % 3) for k in range(3000)])
    assert abs(np.bincount(many.label[people.judging(many, 0)]) - 500).max() < 60  # drawn, not the first ones


def written(folder, found, reference="other_people"):
    files = {name: Path(folder, f"{name}.parquet") for name in ("items", "annotations", "reference")}
    files["images"] = Path(folder, "images.npy")
    contract.write(found, reference, files, 1)
    return files


def test_labels_see_the_votes_of_their_people_and_judges_see_theirs(tmp_path):
    found = people.apart(content(rated(unknown=2)), 0)
    files = written(tmp_path, found)
    reference = read_reference(files["reference"])
    np.testing.assert_array_equal(reference.counts, found.judges.counts(40, 3))
    np.testing.assert_array_equal(read_panels(files["annotations"], reference).counts, reference.counts)
    item, annotator, given = judging(files["annotations"], files["reference"])
    assert sorted(zip(item, annotator.to_pylist(), given, strict=True), key=str) == sorted(
        zip(found.judges.item, found.judges.annotator.to_pylist(), found.judges.label, strict=True), key=str
    )
    of_item = [[who for i, who in zip(item, annotator.to_pylist(), strict=True) if i == k] for k in range(40)]
    assert all(who == sorted(who, key=lambda name: (name is None, name)) for who in of_item)
    definition = {"aggregate": {"kind": "average"}, "form": "soft", "votes": "all", "ties": "lowest_index", "seed": 0}
    label.run({"label": definition, "draw": "all"}, files, {"labels": tmp_path / "labels.parquet"})
    labels, counts = read_labels(tmp_path / "labels.parquet"), found.votes.counts(40, 3)
    np.testing.assert_allclose(labels.p, counts / counts.sum(axis=1, keepdims=True), rtol=1e-6)
    assert set(io.read_table(files["annotations"])[0].column("annotator").to_pylist()) - {None} == names(found.votes)


def test_it_is_told_how_many_votes_nobody_is_known_of(tmp_path):
    found = people.apart(content(rated(unknown=2)), 0)
    (told,) = [text for text in found.notes["remarks"] if "unknown" in text]
    files = written(tmp_path, found)
    unknown = read_others(files["reference"])["annotator"].null_count
    assert unknown == 40 and told.startswith(
        f"40 of the {len(found.judges.item)} votes of the reference are of unknown"
    )
    config_ = {"datasets": {"some": {"paper": None, "description": {"reference": "other_people"}}}, "labels": {}}
    (said,) = study._judged(config_, {"some": read_reference(files["reference"])})
    assert f"labels of those of the others. But {told}" in said
    assert not any("unknown" in text for text in people.apart(content(rated()), 0).notes["remarks"])


def test_a_reference_of_the_same_votes_has_none_of_its_own(tmp_path):
    files = written(tmp_path, content(rated()), "votes")
    assert read_others(files["reference"]) is None
    assert io.read_table(files["reference"])[0].column_names == ["item", "p", "votes"]


def test_images_with_votes_on_one_side_only_are_left_out_and_the_others_numbered_anew(tmp_path):
    rows = rated(n=60, pool=4, each=4)
    side = names(people.apart(content(rows), 0).judges)
    moved = [(5 if row[0] in (3, 17) and row[1] not in side else row[0], *row[1:]) for row in rows]
    rows = moved  # as many votes of each person as before, so that the sides stay
    duplicate = [None] * 60
    duplicate[20], duplicate[40], duplicate[50] = 3, 3, 10  # of 3, which goes, and of 10
    more = {"columns": {"duplicate": pa.array(duplicate, pa.int32())}, "groups": [f"g{i // 2}" for i in range(60)]}
    found = people.apart(content(rows, **more), 0)
    assert any("2 images have votes on one side only" in text for text in found.notes["remarks"])
    assert any(checks_runs.LEFT_OUT in text for text in found.notes["remarks"]), "the audit knows the words"
    files = written(tmp_path, found)
    kept = [i for i in range(60) if i not in (3, 17)]
    items = io.read_table(files["items"])[0]
    assert items.column("name").to_pylist() == [f"i{i}" for i in kept]
    assert items.column("sha256").to_pylist() == [f"h{i}" for i in kept]
    assert items.column("group").to_pylist() == [f"g{i // 2}" for i in kept]
    first = {kept.index(40): kept.index(20), kept.index(50): kept.index(10)}
    assert items.column("duplicate").to_pylist() == [first.get(row) for row in range(58)]
    images = contract.read_images(files["images"])
    assert images[:, 0, 0, 0].tolist() == kept
    whole = votes(rows)
    every = whole.counts(60, 3)[kept]
    both = read_reference(files["reference"]).counts + found.votes.counts(58, 3)
    np.testing.assert_array_equal(both, every)
    assert len(files) == 4


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(i, "me", 0) for i in range(20) for _ in range(3)], "20 of 20 images .*all votes are of one person"),
        ([(i, f"a{i % 7}", 0) for i in range(20)], "20 of 20 images have votes on one side only, such as 'i0'"),
        ([(i, None, 0) for i in range(20) for _ in range(4)], "do not say who gave them.* or set reference: votes"),
    ],
)
def test_where_few_images_have_votes_of_both_sides_it_is_refused(rows, message):
    with pytest.raises(UserError, match=message):
        people.apart(content(rows), 0)


SOURCE = {"kind": "synthetic", "items": 60, "pixels": 8, "votes": 6, "annotators": 12, "annotator_model": "confusion"}


def test_a_data_set_is_made_so(tmp_path):
    source = schema.defaults("source", "synthetic") | SOURCE
    files = {name: tmp_path / f"{name}.parquet" for name in ("items", "annotations", "reference")}
    files["images"] = tmp_path / "images.npy"
    told = {"source": source, "reference": "other_people", "reference_seed": 3}
    data.run(told, {}, files)
    table, metadata = io.read_table(files["annotations"])
    assert any("reference_seed 3" in text for text in metadata["notes"]["remarks"])
    assert table.num_rows + read_others(files["reference"]).num_rows == 60 * 6
    assert "exact" not in io.read_table(files["reference"])[0].column_names  # a mean over all who voted
    first = {name: path.read_bytes() for name, path in files.items()}
    data.run(told, {}, files)
    assert first == {name: path.read_bytes() for name, path in files.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {"kind": "synthetic", "votes": 6}, "reference": "other_people"},
         "datasets.some.reference: 'other_people' needs votes that say who gave them, and those of synthetic without"),
        ({"source": {"kind": "counts", "images": "i", "counts": "c.csv"}, "reference": "other_people"},
         "datasets.some.reference: 'other_people' needs votes that say who gave them, and those of counts do not"),
        ({"source": SOURCE | {"votes": 0, "annotators": 0, "annotator_model": "ambiguity"},
          "reference": "other_people"}, "datasets.some.reference: 'other_people' needs a source with votes"),
        ({"source": SOURCE, "reference_seed": 1}, "reference_seed: is read with 'reference: other_people' only"),
    ],
)  # fmt: skip
def test_what_a_configuration_may_not_say(change, message):
    raw = {"datasets": {"some": change}, "recipes": {"r": {"network": "compact", "epochs": 1}},
           "studies": {"s": {"datasets": ["some"], "recipes": ["r"]}}}  # fmt: skip
    with pytest.raises(UserError, match=message):
        config.resolve(raw)


def test_groups_of_other_people_are_those_of_votes():
    raw = {"datasets": {"some": {"source": SOURCE, "reference": "other_people"}},
           "recipes": {"r": {"network": "compact", "epochs": 1}},
           "studies": {"s": {"datasets": ["some"], "recipes": ["r"], "seeds": [0, 1],
                             "vary": {"recipe.epochs": [1, 2]},
                             "figures": [{"kind": "over", "metrics": ["ce@panel"]}]}}}  # fmt: skip
    assert config.resolve(raw)["studies"]
    assert "over" in registry.names("figure")
