"""The t-SNE embedding of a run's features."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from softlabels import contracts, embedding, io
from softlabels.errors import UserError
from softlabels.evaluation.structure import label_smoothness

CONFIG = {"perplexity": 5, "iterations": 300, "init": "pca", "seed": 0, "neighbours": 15}


@pytest.fixture
def embed(both, tmp_path):
    """Embeds the features of a finished run, or others."""
    files = {"features": both / "runs/synthetic/random/compact/soft/seed0/features.npy",
             "split": both / "splits/synthetic/random/seed0.parquet",
             "reference": both / "data/synthetic/reference.parquet"}  # fmt: skip

    def run(features=None, **changes):
        embedding.run(CONFIG | changes, files | ({"features": features} if features else {}), {"embedding": run.path})
        return run.path

    run.files, run.path = files, tmp_path / "embedding.parquet"
    return run


def test_each_test_item_has_a_finite_point(embed):
    table, metadata = io.read_table(embed())
    test = contracts.read_split(embed.files["split"]).items("test")
    assert io.vector(table, "item").tolist() == test.tolist()
    assert [str(field.type) for field in table.schema] == ["int32", "float", "float"]
    points = np.column_stack([io.vector(table, "x"), io.vector(table, "y")]).astype(float)
    assert np.isfinite(points).all()
    features = contracts.read_features(embed.files["features"], test)
    p = contracts.read_reference(embed.files["reference"]).p[test]
    assert metadata["trustworthiness"] == pytest.approx(trustworthiness(features, points, n_neighbors=11))
    assert metadata["label_smoothness"] == pytest.approx(label_smoothness(points, p, 15))
    assert metadata["n"] == 24
    assert metadata["parameters"] == CONFIG
    assert 0 < metadata["kl_divergence"] < 2


@pytest.mark.parametrize("init", ["pca", "random"])
def test_the_same_features_give_the_same_bytes(embed, init):
    assert embed(init=init).read_bytes() == embed(init=init).read_bytes()


def test_another_seed_gives_another_random_start(embed):
    first, second = (io.read_table(embed(init="random", seed=seed), ["x"])[0] for seed in (0, 1))
    assert first != second


def test_a_perplexity_of_as_many_as_the_test_items_is_lowered_and_noted(embed):
    lowered, metadata = io.read_table(embed(perplexity=24))
    assert metadata["parameters"] == CONFIG | {"perplexity": 8, "asked": 24}
    assert lowered == io.read_table(embed(perplexity=8))[0]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_few_items_are_embedded_too(embed, tmp_path, n):
    item = contracts.read_split(embed.files["split"]).item
    part = np.where(np.arange(len(item)) < n, 2, 0)
    contracts.write_split(tmp_path / "split.parquet", part, None, {})
    contracts.write_features(tmp_path / "few.npy", np.random.default_rng(0).random((n, 8), np.float32))
    files = embed.files | {"features": tmp_path / "few.npy", "split": tmp_path / "split.parquet"}
    embedding.run(CONFIG | {"perplexity": 30}, files, {"embedding": embed.path})
    table, metadata = io.read_table(embed.path)
    assert np.isfinite([io.vector(table, "x"), io.vector(table, "y")]).all() and table.num_rows == n
    assert metadata["parameters"]["perplexity"] == 1


def test_features_of_another_split_are_refused(embed, tmp_path):
    contracts.write_features(tmp_path / "features.npy", np.zeros((23, 8), np.float32))
    with pytest.raises(UserError, match=r"array \[23, 8\], expected \[24, F\]"):
        embed(tmp_path / "features.npy")
