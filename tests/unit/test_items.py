from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import study_files as files
from scipy.special import rel_entr, softmax

from softlabels import io
from softlabels.errors import UserError
from softlabels.studies import study


def items_of(root: Path, **changes) -> pd.DataFrame:
    config = files.study(**changes)
    inputs, outputs = files.write_study(root, config)
    study.run(config, inputs, outputs)
    return pd.read_csv(outputs["items_csv"])


def test_every_test_item_of_every_seed_has_a_row(tmp_path):
    table = items_of(tmp_path)
    assert sorted(zip(table["seed"], table["item"], strict=True)) == [(s, i) for s in range(3) for i in range(20, 30)]
    assert list(table.columns[:7]) == ["dataset", "split", "recipe", "seed", "item", "name", "votes"]
    assert (table["name"] == "synthetic-" + table["item"].astype(str)).all()
    assert table["votes"].isna().all()  # the reference is exact


def test_predictions_and_divergences_are_those_of_the_logits(tmp_path):
    table = items_of(tmp_path)
    row = table[(table["seed"] == 1) & (table["item"] == 23)].iloc[0]
    classes = files.CLASSES["synthetic"]
    truth = io.matrix(io.read_table(tmp_path / "data/synthetic/reference.parquet")[0], "p")[23]
    np.testing.assert_allclose([row[f"reference_{c}"] for c in classes], truth, rtol=1e-5)
    for label in ("hard", "soft"):
        path = tmp_path / f"runs/synthetic/random/compact/{label}/seed1/predictions.parquet"
        q = softmax(io.matrix(io.read_table(path)[0], "logits")[23].astype(float))
        np.testing.assert_allclose([row[f"{label}_{c}"] for c in classes], q, rtol=1e-5)
        assert row[f"kl_{label}"] == pytest.approx(rel_entr(truth, q).sum(), rel=1e-5)


def test_the_worst_items_stand_first(tmp_path):
    table = items_of(tmp_path)
    mean = (table["kl_hard"] + table["kl_soft"]).to_numpy() / 2
    assert (np.diff(mean) <= 1e-5).all()


def test_equally_bad_items_are_in_order_of_seed_and_item(tmp_path):
    config = files.study(seeds=[1, 0])
    inputs, outputs = files.write_study(tmp_path, config)
    for path in [*inputs["predictions"], *inputs["reference"]]:
        table, metadata = io.read_table(path)
        column = "p" if "p" in table.column_names else "logits"
        kind = table.schema.field(column).type.value_type
        flat = io.distribution_column(np.full((30, 6), 1 / 6), kind)
        position = table.column_names.index(column)
        io.write_table(path, table.set_column(position, column, flat), metadata)
    study.run(config, inputs, outputs)
    table = pd.read_csv(outputs["items_csv"])
    assert list(zip(table["seed"], table["item"], strict=True)) == [(s, i) for s in (0, 1) for i in range(20, 30)]


def test_votes_are_there_where_the_reference_is_made_of_them(tmp_path):
    table = items_of(tmp_path, datasets={"mice_bone": {"paper": "mice_bone", "description": {"source": {}}}})
    votes = io.vector(io.read_table(tmp_path / "data/mice_bone/reference.parquet")[0], "votes")
    assert (table["votes"] == votes[table["item"]]).all()


def test_predictions_of_another_split_are_refused(tmp_path):
    config = files.study()
    inputs, outputs = files.write_study(tmp_path, config)
    path = tmp_path / "runs/synthetic/random/compact/soft/seed0/predictions.parquet"
    table, metadata = io.read_table(path)
    io.write_table(path, table.slice(0, 25), metadata)
    with pytest.raises(UserError, match=r"soft/seed0/predictions.parquet: found no row for item 25"):
        study.run(config, inputs, outputs)
    assert list(outputs["config"].parent.iterdir()) == []


def test_labels_whose_test_splits_differ_are_refused(tmp_path):
    config = files.study()
    inputs, outputs = files.write_study(tmp_path, config)
    path = tmp_path / "runs/synthetic/random/compact/soft/seed0/predictions.parquet"
    table, metadata = io.read_table(path)
    split = pa.array(["test"] * 10 + ["train"] * 20)
    io.write_table(path, table.set_column(table.column_names.index("split"), "split", split), metadata)
    with pytest.raises(UserError, match=r"soft/seed0/predictions\.parquet: found item 20 outside of the split test"):
        study.run(config, inputs, outputs)
