"""The t-SNE embedding of a run's features."""

import numpy as np
import pytest
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from softlabels import contracts, embedding, io, progress
from softlabels.errors import UserError
from softlabels.evaluation.structure import label_smoothness

CONFIG = {"perplexity": 5, "iterations": 300, "init": "pca", "seed": 0, "neighbours": 15}
MADE = {"library": "openTSNE", "gradient": "Barnes-Hut"}  # what the parameters say besides


def groups(n, width=8, spread=1.0):
    """Features of items in five groups, float64 [n, width]."""
    random = np.random.default_rng(0)
    return 4 * random.random((5, width))[np.arange(n) % 5] + spread * random.random((n, width))


def divergence_of(points, features, perplexity):
    """The KL divergence of an embedding, over all pairs."""
    near = embedding.neighbourhoods(features, perplexity).P.tocoo()
    close = 1 / (1 + ((points[:, None].astype(float) - points) ** 2).sum(axis=2))
    np.fill_diagonal(close, 0)
    return (near.data * np.log(near.data * close.sum() / close[near.row, near.col])).sum()


@pytest.fixture(params=["Barnes-Hut", "FFT interpolation, then Barnes-Hut"])
def gradient(request, monkeypatch):
    """Each of the ways to compute the gradient, for few items, after a short beginning."""
    monkeypatch.setattr(embedding, "EXAGGERATED", 50)
    if request.param != "Barnes-Hut":
        monkeypatch.setattr(embedding, "TREE_ITEMS", 0)
    return request.param


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
    assert metadata["parameters"] == CONFIG | MADE
    assert 0 < metadata["kl_divergence"] < 2


@pytest.mark.parametrize("init", ["pca", "random"])
def test_the_same_features_give_the_same_bytes(embed, init):
    assert embed(init=init).read_bytes() == embed(init=init).read_bytes()


def test_neither_the_number_of_threads_nor_what_is_shown_changes_a_byte(gradient, monkeypatch, capsys):
    features, options = groups(500, width=400), CONFIG | {"iterations": 100}  # so wide that sums are shared out
    with threadpool_limits(2):
        first = embedding.tsne(features, options)
    assert "t-SNE" not in capsys.readouterr().err  # over before anybody would ask
    monkeypatch.setattr(progress, "SECONDS", 0)
    with threadpool_limits(1):
        second = embedding.tsne(features, options)
    shown = capsys.readouterr().err
    assert "t-SNE:  50%" in shown and "100/100" in shown and "KL=" in shown
    assert first[0].tobytes() == second[0].tobytes() and first[1] == second[1]
    assert first[0].dtype == np.float32


def test_an_embedding_is_not_worse_than_scikit_learns_and_its_divergence_is_that_of_its_points(gradient):
    features, options = groups(400), CONFIG | {"perplexity": 30, "iterations": 500}
    with threadpool_limits(1):
        theirs = TSNE(perplexity=30, max_iter=500, init="pca", random_state=0).fit_transform(features)
    ours, divergence = embedding.tsne(features, options)
    assert divergence == pytest.approx(divergence_of(ours, features, 30), rel=0.02)
    assert divergence < divergence_of(theirs, features, 30) + 0.01
    assert trustworthiness(features, ours) > trustworthiness(features, theirs) - 0.003


@pytest.mark.parametrize(("iterations", "parts"), [(251, [125, 126]), (600, [250, 250, 100])])
def test_the_iterations_are_all_that_are_made_and_the_first_exaggerate(monkeypatch, iterations, parts):
    asked, original = [], embedding.kl_divergence_bh

    def noted(points, P, **settings):
        asked.append(round(P.sum()))
        return original(points, P, **settings)

    monkeypatch.setattr(embedding, "kl_divergence_bh", noted)
    embedding.tsne(groups(30), CONFIG | {"iterations": iterations})
    # After each part once more, for the divergence of its last points.
    assert asked == [12] * parts[0] + [1] + [1] * (sum(parts[1:]) + len(parts[1:]))


def test_many_items_are_interpolated_while_that_costs_less_than_a_tree(monkeypatch):
    assert embedding.gradient_of(10_000) == "Barnes-Hut"
    assert embedding.gradient_of(10_001) == "FFT interpolation, then Barnes-Hut"
    for name in ("bh", "fft"):
        monkeypatch.setattr(embedding, f"kl_divergence_{name}", lambda points, name=name: name)
    square = np.array([[0.0, 0.0], [1.0, 0.5]])[np.arange(100) % 2]
    assert embedding.interpolated(9 * square) == "fft"  # 81 cells for 100 items
    assert embedding.interpolated(11 * square) == "bh"


def test_another_seed_gives_another_random_start(embed):
    first, second = (io.read_table(embed(init="random", seed=seed), ["x"])[0] for seed in (0, 1))
    assert first != second


def test_a_perplexity_of_as_many_as_the_test_items_is_lowered_and_noted(embed):
    lowered, metadata = io.read_table(embed(perplexity=24))
    assert metadata["parameters"] == CONFIG | MADE | {"perplexity": 8, "asked": 24}
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


@pytest.mark.parametrize("features", [
    np.repeat(groups(6), 10, axis=0), np.repeat(groups(2), 20, axis=0), np.vstack([np.ones((39, 8)), np.zeros((1, 8))]),
    groups(40, width=1), 3e38 * groups(40) / 5, 1e-38 * groups(40),
], ids=["repeated", "two places", "one differs", "one feature", "huge", "tiny"])  # fmt: skip
@pytest.mark.parametrize("init", ["pca", "random"])
def test_unusual_features_are_embedded_and_the_numbers_say_how_well(features, init):
    points, divergence = embedding.tsne(features, CONFIG | {"init": init})
    assert np.isfinite(points).all() and np.ptp(points, axis=0).max() > 1
    assert divergence >= 0 or np.isnan(divergence)
    assert all(map(np.isfinite, embedding.quality(features, points, np.eye(len(features)), 15).values()))


def test_items_that_are_all_alike_lie_at_one_place_and_have_no_numbers(embed, tmp_path):
    contracts.write_features(tmp_path / "same.npy", np.full((24, 8), 0.5, np.float32))
    table, metadata = io.read_table(embed(tmp_path / "same.npy"))
    assert not np.any([io.vector(table, "x"), io.vector(table, "y")])
    assert [metadata[name] for name in ("kl_divergence", "trustworthiness", "label_smoothness")] == [None] * 3


def test_features_that_are_not_finite_are_refused(embed, tmp_path):
    np.save(tmp_path / "features.npy", np.full((24, 8), np.nan, np.float32))
    with pytest.raises(UserError, match="features"):
        embed(tmp_path / "features.npy")


@pytest.mark.parametrize("neighbours", [1, 5, 40])
def test_trustworthiness_is_scikit_learns_a_few_rows_at_a_time(monkeypatch, neighbours):
    features, points = groups(90), np.random.default_rng(1).random((90, 2))
    found = []
    for megabytes in (64, 0.005):  # all rows, and 7 at a time
        monkeypatch.setattr(embedding, "BLOCK_MB", megabytes)
        found.append(embedding.trustworthiness(features, points, neighbours))
    assert found[0] == found[1] == pytest.approx(trustworthiness(features, points, n_neighbors=neighbours), abs=1e-12)


def test_trustworthiness_counts_how_many_strangers_are_between():
    features, points = np.arange(6.0)[:, None], np.array([0, 1, 2, 3, 4, -0.4])[:, None]
    # Items 0 and 5 are each other's nearest points, and rank fifth in truth; all others have a true neighbour.
    assert embedding.trustworthiness(features, points, 1) == 1 - 2 * (4 + 4) / (6 * (12 - 3 - 1))
