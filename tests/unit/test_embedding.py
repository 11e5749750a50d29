"""The t-SNE embedding of a run's features."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.manifold import trustworthiness

from softlabels import embedding, io
from softlabels.contracts import reference
from softlabels.errors import UserError
from softlabels.evaluation.structure import label_smoothness

CONFIG = {"perplexity": 10, "iterations": 300, "init": "pca", "seed": 0, "neighbours": 15}


@pytest.fixture
def files(tmp_path):
    """Three groups of 20 test items each, apart in 8 features, among 180 items."""
    draws = np.random.default_rng(2)
    p = np.eye(3)[np.arange(180) % 3]
    paths = {"reference": tmp_path / "reference.parquet", "split": tmp_path / "split.parquet"}
    paths["features"] = tmp_path / "features.npy"
    reference.write(paths["reference"], p, None, ["a", "b", "c"])
    split = np.where(np.arange(180) < 120, "train", "test")
    io.write_table(paths["split"], pa.table({"item": pa.array(range(180), pa.int32()), "split": split}))
    features = 20 * p[120:] @ draws.normal(size=(3, 8)) + draws.normal(size=(60, 8))
    np.save(paths["features"], features.astype(np.float32))
    return paths


def embed(files, **changes):
    path = files["features"].parent / "embedding.parquet"
    embedding.run(CONFIG | changes, files, {"embedding": path})
    return path


def test_each_test_item_has_a_finite_point_and_groups_stay_together(files):
    table, metadata = io.read_table(embed(files))
    assert io.vector(table, "item").tolist() == list(range(120, 180))
    assert [str(field.type) for field in table.schema] == ["int32", "float", "float"]
    points = np.column_stack([io.vector(table, "x"), io.vector(table, "y")]).astype(float)
    assert np.isfinite(points).all()
    features = np.load(files["features"]).astype(float)
    p = np.eye(3)[np.arange(120, 180) % 3]
    assert metadata["trustworthiness"] == pytest.approx(trustworthiness(features, points, n_neighbors=15))
    assert metadata["label_smoothness"] == label_smoothness(points, p, 15) == 0
    assert metadata["n"] == 60
    assert metadata["parameters"] == CONFIG
    assert 0 < metadata["kl_divergence"] < 2


@pytest.mark.parametrize("init", ["pca", "random"])
def test_the_same_features_give_the_same_bytes(files, init):
    assert embed(files, init=init).read_bytes() == embed(files, init=init).read_bytes()


def test_another_seed_gives_another_random_start(files):
    first, second = (io.read_table(embed(files, init="random", seed=seed), ["x"])[0] for seed in (0, 1))
    assert first != second


def test_a_perplexity_of_as_many_as_the_test_items_says_what_to_lower(files):
    with pytest.raises(
        UserError, match=r"perplexity: found 60 with 60 test items.* Lower the perplexity to 20 or less"
    ):
        embed(files, perplexity=60)
    assert not (files["features"].parent / "embedding.parquet").exists()


def test_features_of_another_split_are_refused(files):
    np.save(files["features"], np.load(files["features"])[1:])
    with pytest.raises(UserError, match=r"array \[59, 8\], expected \[60, F\]"):
        embed(files)
