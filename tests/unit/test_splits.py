"""Splits: exact shares, strata, groups, duplicates; folds in rotation."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from softlabels import io
from softlabels.contracts import PARTS, read_split, write_reference
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.labels import split
from softlabels.labels.splits.random import controlled_rounding

FOLDS = {"kind": "folds", "column": "fold", "groups": True, "duplicates": "together", "allow_missing_class": False}
SPLIT = {
    "kind": "random",
    "train": 0.6,
    "val": 0.2,
    "test": 0.2,
    "stratify": ["hard", "pure"],
    "groups": True,
    "duplicates": "together",
    "allow_missing_class": False,
}


def data_set(tmp_path, hard, classes=None, groups=None, **columns):
    """Items and a reference with the given hard classes; the paths."""
    hard = np.asarray(hard)
    classes = classes or [f"class{k}" for k in range(hard.max() + 1)]
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("items", "reference")}
    contract.write_items(inputs["items"], [f"{i}.png" for i in range(len(hard))], groups, columns)
    p = np.full((len(hard), len(classes)), 0.5 / len(classes))
    p[np.arange(len(hard)), hard] += 0.5
    write_reference(inputs["reference"], p, None, classes)
    return inputs


def split_of(inputs, seed=0, kind=SPLIT, **changed):
    """The part of each item."""
    path = inputs["items"].parent / f"seed{seed}.parquet"
    split.run({"split": kind | changed, "seed": seed}, inputs, {"split": path})
    return io.read_table(path)[0].column("split").to_numpy()


def shares(part, stratum):
    """Items per stratum and part, [S, 3]."""
    return np.array([[((part == p) & (stratum == s)).sum() for p in PARTS] for s in np.unique(stratum)])


@pytest.fixture
def synthetic(tmp_path):
    """15,000 items, 6 classes of unequal size, 40 % pure: the inputs, hard classes and pure flags."""
    rng = np.random.default_rng(0)
    hard, pure = rng.choice(6, 15_000, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]), rng.random(15_000) < 0.4
    return data_set(tmp_path, hard, pure=pure), hard, pure


def test_totals_are_exact_and_every_stratum_is_within_one_item_of_its_share(synthetic):
    inputs, hard, pure = synthetic
    stratum = hard * 2 + pure
    found = shares(split_of(inputs), stratum)
    assert found.sum(axis=0).tolist() == [9_000, 3_000, 3_000]
    assert (np.abs(found - np.outer(np.bincount(stratum), [0.6, 0.2, 0.2])) < 1).all()


def test_controlled_rounding_is_within_one_for_any_shares():
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes = rng.integers(1, 40, rng.integers(1, 20))
        cuts = sorted(rng.choice(np.arange(1, 100), 2, replace=False).tolist())
        percent = [cuts[0], cuts[1] - cuts[0], 100 - cuts[1]]
        found = controlled_rounding(sizes.tolist(), [Fraction(p, 100) for p in percent])
        exact = np.outer(sizes, percent)  # in hundredths: whole numbers, nothing rounded
        np.testing.assert_array_equal(found.sum(axis=1), sizes)
        assert (np.abs(100 * found - exact) < 100).all()
        assert (np.abs(100 * found.sum(axis=0) - exact.sum(axis=0)) < 100).all()
        assert (found >= 0).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(synthetic):
    inputs, *_ = synthetic
    path = inputs["items"].parent / "seed0.parquet"
    first = split_of(inputs)
    digest = io.sha256(path)
    split_of(inputs)
    assert io.sha256(path) == digest
    # two independent splits agree on 0.6² + 0.2² + 0.2² of the items
    assert (split_of(inputs, seed=1) == first).mean() == pytest.approx(0.44, abs=0.02)


def test_the_file_keeps_the_contract(tmp_path):
    inputs = data_set(tmp_path, np.arange(50) % 2)
    split_of(inputs, seed=3)
    table, metadata = io.read_table(tmp_path / "seed3.parquet")
    assert [str(field.type) for field in table.schema] == ["int32", "string", "int8"]
    assert table.column("item").to_pylist() == list(range(50))
    assert table.column("fold").null_count == 50
    assert metadata["counts"] == {"train": 30, "val": 10, "test": 10}
    assert metadata["seed"] == 3
    assert metadata["stratify"] == ["hard"]  # these items have no column 'pure'


def grouped(tmp_path, n=2_000):
    rng = np.random.default_rng(0)
    hard = rng.integers(0, 3, n)
    groups = [f"animal{g}" if g < 300 else None for g in rng.integers(0, 330, n)]
    return data_set(tmp_path, hard, groups=groups), hard, np.array(groups, object)


def test_a_group_never_straddles_two_parts_and_the_shares_stay_near(tmp_path):
    inputs, hard, groups = grouped(tmp_path)
    part = split_of(inputs)
    for group in set(groups) - {None}:
        assert len(set(part[groups == group])) == 1
    assert len(set(part[groups == None])) == 3  # noqa: E711 (elementwise)
    found = shares(part, hard)
    assert np.abs(found - np.outer(np.bincount(hard), [0.6, 0.2, 0.2])).max() < 4
    assert (split_of(inputs, seed=1) != part).any()
    np.testing.assert_array_equal(split_of(inputs), part)


def test_groups_can_be_ignored(tmp_path):
    inputs, _, groups = grouped(tmp_path)
    part = split_of(inputs, groups=False)
    assert len(set(part[groups == "animal0"])) > 1
    assert shares(part, np.zeros(len(part))).tolist() == [[1200, 400, 400]]


def test_a_part_without_a_class_is_refused_unless_allowed(tmp_path):
    inputs = data_set(tmp_path, [0] * 40 + [1] * 2, classes=["cat", "dog"])
    with pytest.raises(UserError, match=r"class 'dog' has no item in part '\w+' \(2 in all\)"):
        split_of(inputs)
    assert len(split_of(inputs, allow_missing_class=True)) == 42


def test_an_empty_part_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"part '\w+' has no item \(2 items\)"):
        split_of(data_set(tmp_path, [0, 1]), allow_missing_class=True)
    one = data_set(tmp_path, [0, 1] * 10, groups=["herd"] * 20)
    with pytest.raises(
        UserError, match=r"part '\w+' has no item \(20 items in 1 blocks that stay whole, the largest of 20\)"
    ):
        split_of(one, allow_missing_class=True)


def test_only_boolean_columns_stratify(tmp_path):
    inputs = data_set(tmp_path, np.arange(50) % 2, angle=np.linspace(0, 1, 50))
    with pytest.raises(UserError, match=r"column 'angle' is double, expected boolean"):
        split_of(inputs, stratify=["hard", "angle"])


# -- duplicates --------------------------------------------------------------------------------------------------------


def nulls(values):
    return pa.array(values, pa.int32())


def copied(tmp_path, groups=None, n=400):
    """Items of which one in four has the pixels of another one before it."""
    first = [int(np.random.default_rng(i).integers(i)) // 4 * 4 if i % 4 == 3 else None for i in range(n)]
    return data_set(tmp_path, np.arange(n) // 2 % 2, groups=groups, duplicate=nulls(first)), first


def test_items_with_the_same_pixels_are_in_one_part_unless_told_otherwise(tmp_path):
    inputs, first = copied(tmp_path)
    together, apart = split_of(inputs, seed=0), split_of(inputs, seed=1, duplicates="apart")
    pairs = [(item, original) for item, original in enumerate(first) if original is not None]
    assert all(together[item] == together[original] for item, original in pairs)
    assert any(apart[item] != apart[original] for item, original in pairs)
    assert np.abs(np.bincount([PARTS.index(p) for p in together]) - [240, 80, 80]).max() <= 2
    blocks = len({original for _, original in pairs})
    assert io.read_table(tmp_path / "seed0.parquet")[1]["duplicate_blocks"] == blocks
    assert "duplicate_blocks" not in io.read_table(tmp_path / "seed1.parquet")[1]


def test_a_column_without_a_duplicate_changes_no_byte(tmp_path):
    hard = np.arange(50) % 2
    split_of(data_set(tmp_path, hard))
    digest = io.sha256(tmp_path / "seed0.parquet")
    split_of(data_set(tmp_path, hard, duplicate=nulls([None] * 50)))
    assert io.sha256(tmp_path / "seed0.parquet") == digest


def test_groups_that_share_pixels_are_one_block(tmp_path):
    groups = [f"animal{i // 4}" for i in range(400)]
    inputs, first = copied(tmp_path, groups)
    graph = {name: {name} for name in groups}
    for item, original in enumerate(first):  # join by hand what the pixels join
        if original is not None:
            joined = graph[groups[item]] | graph[groups[original]]
            graph.update(dict.fromkeys(joined, joined))
    block = np.array([min(graph[name]) for name in groups])
    assert 1 < len(set(block)) < 100
    part = split_of(inputs, allow_missing_class=True)
    assert all(len(set(part[block == name])) == 1 for name in set(block))


# -- folds -------------------------------------------------------------------------------------------------------------


def folded(tmp_path, numbers=(1, 2, 3, 4, 5), n=60, **columns):
    fold = np.array(numbers)[np.arange(n) % len(numbers)]
    return data_set(tmp_path, np.arange(n) // 6 % 2, **({"fold": fold} | columns)), fold


@pytest.mark.parametrize(
    ("numbers", "seed", "val", "test"),
    [
        ((1, 2, 3, 4, 5), 0, 2, 3),
        ((1, 2, 3, 4, 5), 2, 4, 5),
        ((1, 2, 3, 4, 5), 3, 5, 1),
        ((1, 2, 3, 4, 5), 4, 1, 2),
        ((1, 2, 3), 1, 3, 1),
        ((0, 4, 7, 9), 2, 9, 0),
    ],
)
def test_slices_rotate_the_folds_as_the_benchmarks_code_does(tmp_path, numbers, seed, val, test):
    inputs, fold = folded(tmp_path, numbers)
    part = split_of(inputs, seed, FOLDS)
    np.testing.assert_array_equal(part, np.select([fold == val, fold == test], ["val", "test"], "train"))
    table, metadata = io.read_table(tmp_path / f"seed{seed}.parquet")
    assert [str(field.type) for field in table.schema] == ["int32", "string", "int8"]
    assert table.column("fold").to_pylist() == fold.tolist()
    assert metadata["kind"] == "folds"
    assert metadata["folds"] == {"val": val, "test": test}


def test_every_item_is_tested_once_over_all_seeds(tmp_path):
    inputs, _ = folded(tmp_path)
    assert (sum((split_of(inputs, seed, FOLDS) == "test").astype(int) for seed in range(5)) == 1).all()


def test_a_seed_beyond_the_folds_names_the_seeds_that_exist(tmp_path):
    inputs, _ = folded(tmp_path, (1, 2, 3))
    with pytest.raises(UserError, match="seed 3 with 3 folds, expected a seed from 0 to 2"):
        split_of(inputs, 3, FOLDS)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"part": [1, 2, 3] * 20}, r"has no column 'fold' \(it has item, name, group, part\)"),
        ({"fold": [1.0, 2.0, 3.0] * 20}, "column 'fold' is double, expected the number"),
        ({"fold": nulls([1, 2, None] * 20)}, r"item 2 \(2\.png\) has no fold \(20 such items\)"),
        ({"fold": [1, 2] * 30}, r"found the folds \[1, 2\], expected at least three"),
        ({"fold": [1, 2, 300] * 20}, "found folds 1 to 300, expected 0 to 127"),
    ],
)
def test_a_column_that_is_no_fold_is_named(tmp_path, column, message):
    inputs = data_set(tmp_path, np.arange(60) // 6 % 2, **column)
    with pytest.raises(UserError, match=message):
        split_of(inputs, 0, FOLDS)
    assert not (tmp_path / "seed0.parquet").exists()


def test_folds_that_separate_a_group_are_refused_unless_accepted(tmp_path):
    inputs, fold = folded(tmp_path, groups=[None] * 5 + ["hen", "hen"] + [None] * 53)
    with pytest.raises(UserError, match=r"group 'hen' in fold 1 \(5\.png\) and in fold 2 \(6\.png\).*groups: false"):
        split_of(inputs, 0, FOLDS)
    assert len(split_of(inputs, 0, FOLDS, groups=False)) == len(fold)


def test_folds_that_separate_equal_pixels_are_refused_unless_accepted(tmp_path):
    inputs, fold = folded(tmp_path, duplicate=nulls([None] * 8 + [2] + [None] * 51))
    with pytest.raises(UserError, match=r"same pixels in fold 3 \(2\.png\) and in fold 4 \(8.*duplicates: apart"):
        split_of(inputs, 0, FOLDS)
    assert len(split_of(inputs, 0, FOLDS, duplicates="apart")) == len(fold)


def test_equal_pixels_in_one_fold_are_counted(tmp_path):
    inputs, _ = folded(tmp_path, duplicate=nulls([None] * 7 + [2] + [None] * 52))
    split_of(inputs, 0, FOLDS)
    assert io.read_table(tmp_path / "seed0.parquet")[1]["duplicate_blocks"] == 1


def test_a_fold_without_a_class_is_refused_without_talk_of_shares(tmp_path):
    inputs = data_set(tmp_path, [0, 1] * 20 + [0] * 20, classes=["cat", "dog"], fold=[1] * 20 + [2] * 20 + [3] * 20)
    with pytest.raises(UserError, match=r"class 'dog' has no item in part 'test' \(20 in all\)\. Add items, or set"):
        split_of(inputs, 0, FOLDS)
    assert len(split_of(inputs, 0, FOLDS, allow_missing_class=True)) == 60


# -- one part of the training items held out ---------------------------------------------------------------------------


def folds_of(inputs, folds, seed=0, **changed):
    """The part of each item with each fold held out, ``[folds, N]``."""
    found = []
    for k in range(folds):
        path = inputs["items"].parent / f"fold{k}.parquet"
        split.run({"split": SPLIT | changed, "seed": seed, "fold": [k, folds]}, inputs, {"split": path})
        assert read_split(path).items("held_out").size == io.read_table(path)[1]["counts"]["held_out"]
        found.append(io.read_table(path)[0].column("split").to_numpy())
    return np.array(found)


def test_each_training_item_is_held_out_once_and_the_rest_stays(tmp_path):
    hard = np.repeat([0, 1, 2], [50, 30, 20])
    inputs = data_set(tmp_path, hard)
    whole, parts = split_of(inputs), folds_of(inputs, 4)
    held = parts == "held_out"
    np.testing.assert_array_equal(held.sum(axis=0), whole == "train")
    np.testing.assert_array_equal(np.where(held, "train", parts.astype(str)), np.tile(whole.astype(str), (4, 1)))
    sizes = np.array([np.bincount(hard[each], minlength=3) for each in held])
    assert (np.ptp(sizes, axis=0) <= 1).all()  # of each class, too
    assert (folds_of(inputs, 4, seed=1) != parts).any()


def test_groups_are_held_out_whole(tmp_path):
    inputs = data_set(tmp_path, np.arange(90) % 3, groups=[f"g{i // 6}" for i in range(90)])
    held = folds_of(inputs, 3) == "held_out"
    assert all(len(set(map(tuple, held[:, start : start + 6].T))) == 1 for start in range(0, 90, 6))


def test_more_folds_than_there_are_training_items_are_refused(tmp_path):
    inputs = data_set(tmp_path, np.arange(90) % 3, groups=[f"g{i // 6}" for i in range(90)])
    with pytest.raises(UserError, match=r"found 40 folds for the 9 images \(or groups of them\) of the training part"):
        folds_of(inputs, 40)


# -- published ---------------------------------------------------------------------------------------------------------

PUBLISHED = {
    "kind": "column", "column": "split", "parts": {"train": ["Training"], "val": ["Public"], "test": ["Private"]},
    "val_share": None, "groups": True, "duplicates": "together", "allow_missing_class": False,
}  # fmt: skip


def published(tmp_path, names, **columns):
    """Items of two classes in turn, in parts by the first letters of their names."""
    whole = {"t": "Training", "v": "Public", "p": "Private"}
    groups = columns.pop("groups", None)
    return data_set(
        tmp_path, np.arange(len(names)) % 2, groups=groups, split=[whole[name] for name in names], **columns
    )


def test_a_published_split_is_the_same_for_every_seed(tmp_path):
    inputs = published(tmp_path, "ttvvppttpp")
    expected = ["train"] * 2 + ["val"] * 2 + ["test"] * 2 + ["train"] * 2 + ["test"] * 2
    for seed in (0, 7):
        assert split_of(inputs, seed, PUBLISHED).tolist() == expected


@pytest.mark.parametrize("groups", [None, [f"g{i // 4}" for i in range(200)]])
def test_validation_is_drawn_from_training_items_alone(tmp_path, groups):
    inputs = published(tmp_path, "t" * 160 + "p" * 40, groups=groups)
    first, second = (split_of(inputs, seed, PUBLISHED, val_share=0.25) for seed in (0, 1))
    for part in (first, second):
        assert (part[160:] == "test").all() and (part == "val").sum() == 40
        hard = np.arange(160) % 2
        assert ((part[:160] == "val") & (hard == 0)).sum() == 20
        if groups:
            assert all(len(set(part[i : i + 4])) == 1 for i in range(0, 160, 4))
    assert (first != second).any()


def test_a_published_split_that_separates_a_group_is_refused(tmp_path):
    inputs = published(tmp_path, "ttvvpp", groups=["a", "b", "a", None, None, None])
    with pytest.raises(UserError, match=r"items of group 'a' in part train \(0\.png\) and in part val \(2\.png\)"):
        split_of(inputs, kind=PUBLISHED)
    assert split_of(inputs, kind=PUBLISHED, groups=False).tolist()[2] == "val"


def test_equal_pixels_in_two_published_parts_are_refused(tmp_path):
    inputs = published(tmp_path, "ttvvpp", duplicate=pa.array([None, None, None, None, 0, None], pa.int32()))
    with pytest.raises(UserError, match=r"same pixels in part train .* and in part test .*duplicates: apart"):
        split_of(inputs, kind=PUBLISHED)


def test_a_fold_of_a_published_training_part_may_be_left_out(tmp_path):
    inputs, path = published(tmp_path, "t" * 12 + "vvpp"), tmp_path / "fold.parquet"
    split.run({"split": PUBLISHED, "seed": 0, "fold": [1, 3]}, inputs, {"split": path})
    part = io.read_table(path)[0].column("split").to_pylist()
    assert part.count("held_out") == 4 and part[12:] == ["val", "val", "test", "test"]


# -- kept for calibration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_a_share_of_the_validation_part_is_kept_for_calibration_and_the_rest_stays(tmp_path, share):
    hard = np.repeat([0, 1, 2], [200, 120, 80])
    inputs = data_set(tmp_path, hard)
    whole, parts = split_of(inputs), split_of(inputs, calibration=share)
    kept = parts == "held_out"
    np.testing.assert_array_equal(np.where(kept, "val", parts), whole)
    np.testing.assert_allclose(np.bincount(hard[kept]), share * np.bincount(hard[whole == "val"]), atol=1)
    assert (split_of(inputs, seed=1, calibration=share) != parts).any()
    np.testing.assert_array_equal(split_of(inputs, calibration=0), whole)


def test_groups_are_kept_for_calibration_whole(tmp_path):
    parts = split_of(data_set(tmp_path, np.arange(300) % 3, groups=[f"g{i // 6}" for i in range(300)]), calibration=0.5)
    assert (parts == "held_out").sum() == 30
    assert all(len(set(parts[start : start + 6])) == 1 for start in range(0, 300, 6))


def test_a_fold_is_held_out_beside_what_is_kept_for_calibration(tmp_path):
    inputs = data_set(tmp_path, np.arange(120) % 3)
    alone, folds = split_of(inputs, calibration=0.5), folds_of(inputs, 3, calibration=0.5)
    assert (folds[:, alone == "held_out"] == "held_out").all()
    np.testing.assert_array_equal((folds[:, alone == "train"] == "held_out").sum(axis=0), 1)


def test_a_share_that_keeps_nothing_and_one_that_leaves_a_class_out_are_refused(tmp_path):
    inputs = data_set(tmp_path, np.arange(30) % 3)
    with pytest.raises(UserError, match=r"split.calibration: found 0.1 of 6 validation images"):
        split_of(inputs, calibration=0.1)
    with pytest.raises(UserError, match="class 'class1' has no item in part 'val'"):
        split_of(inputs, calibration=0.9)
