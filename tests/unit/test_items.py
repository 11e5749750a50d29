from pathlib import Path

import finished_run as files
import numpy as np
import pandas as pd
import pytest
from scipy.special import rel_entr, softmax

from softlabels import contracts
from softlabels.errors import UserError
from softlabels.studies import study

RUN = "runs/synthetic/random/compact/{}/seed{}/predictions.parquet"


def items_of(both: Path, root: Path, change=None, **changes) -> pd.DataFrame:
    """The list of items of a study; ``change`` may edit its inputs before."""
    config, inputs, outputs = files.study(both, root, **changes)
    if change:
        change(inputs)
    study.run(config, inputs, outputs)
    return pd.read_csv(outputs["items_csv"])


@pytest.fixture(scope="module")
def table(both, tmp_path_factory):
    return items_of(both, tmp_path_factory.mktemp("study"))


def test_every_test_item_of_every_seed_has_a_row(both, table):
    test = [contracts.read_predictions(both / RUN.format("hard", seed)).items("test") for seed in range(3)]
    assert sorted(zip(table["seed"], table["item"], strict=True)) == [(s, i) for s in range(3) for i in test[s]]
    assert list(table.columns[:7]) == ["dataset", "split", "recipe", "seed", "item", "name", "votes"]
    assert (table["name"] == [f"synthetic-{item:05d}" for item in table["item"]]).all()
    assert table["votes"].isna().all()  # the reference is exact


def test_predictions_and_divergences_are_those_of_the_logits(both, table):
    row = table[table["seed"] == 1].iloc[3]
    reference = contracts.read_reference(both / "data/synthetic/reference.parquet")
    truth = reference.p[row["item"]]
    np.testing.assert_allclose([row[f"reference_{c}"] for c in reference.classes], truth, rtol=1e-5)
    for label in ("hard", "soft"):
        q = softmax(contracts.read_predictions(both / RUN.format(label, 1)).logits[row["item"]].astype(float))
        np.testing.assert_allclose([row[f"{label}_{c}"] for c in reference.classes], q, rtol=1e-5)
        assert row[f"kl_{label}"] == pytest.approx(rel_entr(truth, q).sum(), rel=1e-5)


def test_the_worst_items_stand_first(table):
    mean = (table["kl_hard"] + table["kl_soft"]).to_numpy() / 2
    assert (np.diff(mean) <= 1e-5).all()


def test_equally_bad_items_are_in_order_of_seed_and_item(both, tmp_path):
    def flat(inputs):
        (path,) = inputs["reference"]
        classes = contracts.read_reference(path).classes
        contracts.write_reference(path, np.full((120, 6), 1 / 6), None, classes)
        for path in inputs["predictions"]:
            found = contracts.read_predictions(path)
            contracts.write_predictions(path, found.item, found.split, 0 * found.logits, classes)

    table = items_of(both, tmp_path, flat, seeds=[1, 0])
    order = list(zip(table["seed"], table["item"], strict=True))
    assert order == sorted(order)


def test_votes_are_there_where_the_reference_is_made_of_them(both, tmp_path):
    table = items_of(both, tmp_path, datasets=("mice_bone",))
    votes = contracts.read_reference(both / "data/mice_bone/reference.parquet").votes
    assert (table["votes"] == votes[table["item"]]).all()


def test_predictions_of_another_split_are_refused(both, tmp_path):
    config, inputs, outputs = files.study(both, tmp_path)
    path = tmp_path / RUN.format("soft", 0)
    found = contracts.read_predictions(path)
    test = found.items("test")[0]
    rows = found.item != test
    contracts.write_predictions(path, found.item[rows], found.split[rows], found.logits[rows], [])
    with pytest.raises(UserError, match=rf"soft/seed0/predictions.parquet: found no row for item {test}"):
        study.run(config, inputs, outputs)
    contracts.write_predictions(path, found.item, np.where(rows, found.split, "train"), found.logits, [])
    with pytest.raises(UserError, match=rf"predictions.parquet: found item {test} outside of the split test"):
        study.run(config, inputs, outputs)
    assert not any(path.is_file() for path in outputs["config"].parent.iterdir())
