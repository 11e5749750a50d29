"""The reference rows, against published figures, exact labels and a simulation with a known truth."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import rel_entr

from softlabels.contracts import Reference, read_rows, write_reference, write_split
from softlabels.errors import UserError
from softlabels.evaluation import references

METRICS = {name: {"kind": name} for name in ("kl", "kl_dcic", "tvd", "acc")}
CIFAR10H = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10h" / "cifar10h-counts.npy"


def by_name(p, counts, train=None, test=None, draws=20, seed=0):
    everything = np.arange(len(p))
    train = everything if train is None else train
    test = everything if test is None else test
    votes = None if counts is None else counts.sum(axis=1)
    given = Reference("reference.parquet", everything, p, votes, [f"class{k}" for k in range(p.shape[1])])
    return references.rows(METRICS, given, train, test, seed=seed, draws=draws)


def simulated(n=3000, k=5.0):
    """Votes [n, 4] of items whose true distributions [n, 4] are Dirichlet(k · class mean)."""
    draws = np.random.default_rng(3)
    means = 0.8 * np.eye(4) + 0.05
    truth = np.stack([draws.dirichlet(k * means[i % 4]) for i in range(n)]).clip(1e-12)
    truth /= truth.sum(axis=1, keepdims=True)
    return draws.multinomial(draws.integers(30, 50, n), truth), truth


@pytest.mark.skipif(not CIFAR10H.exists(), reason="the CIFAR-10H counts are not at hand")
def test_cifar10h_has_its_known_reference_rows():
    counts = np.load(CIFAR10H)
    rows = by_name(counts / counts.sum(axis=1, keepdims=True), counts)
    for name, expected in {"uniform": 2.147, "class_mean": 0.0943, "best_smoothing": 0.1304, "one_hot": 0.3701}.items():
        assert rows[name]["kl_dcic"] == pytest.approx(expected, abs=6e-4), name
    assert rows["best_smoothing"]["detail.alpha"] == pytest.approx(0.05, abs=0.005)
    assert rows["one_hot"]["kl"] == math.inf

    floor = rows["sampling_floor"]
    assert floor["detail.first_order_kl"] == pytest.approx(0.009, abs=0.0005)
    assert floor["detail.k"] == pytest.approx(16, abs=2)
    assert floor["kl"] == pytest.approx(0.0286, abs=0.002)

    halves = rows["split_half"]
    assert all(0.130 < halves[f"detail.kl_dcic_direction_{k}"] < 0.145 for k in (1, 2))
    assert halves["tvd"] == pytest.approx(0.037, abs=0.0005)


def test_the_synthetic_set_has_its_known_reference_rows():
    draws = np.random.default_rng(0)
    n = 15_000
    pure = np.arange(n) < 0.4 * n
    u = np.where(pure, draws.integers(0, 3, n), draws.random(n) * 3)
    s = np.where(pure, draws.integers(0, 2, n), draws.random(n))
    corner, t = np.floor(u).astype(int), u % 1
    colour = np.zeros((n, 3))
    colour[np.arange(n), corner] = 1 - t
    colour[np.arange(n), (corner + 1) % 3] = t
    p = (colour[:, :, None] * np.stack([1 - s, s], axis=1)[:, None, :]).reshape(n, 6)
    rows = by_name(p, None)
    assert set(rows) == {"uniform", "prior", "class_mean", "best_smoothing", "one_hot"}
    for name, expected in {"uniform": 1.191, "one_hot": 2.417, "best_smoothing": 0.396, "class_mean": 0.342}.items():
        assert rows[name]["kl_dcic"] == pytest.approx(expected, rel=0.015), name
    assert rows["best_smoothing"]["detail.alpha"] == pytest.approx(0.31, abs=0.01)


def test_the_best_smoothing_is_the_one_that_a_search_finds():
    p = np.random.default_rng(0).dirichlet([0.2, 0.3, 0.4], 300)
    one_hot = np.eye(3)[p.argmax(axis=1)]

    def kl(alpha):
        return rel_entr(p, (1 - alpha) * one_hot + alpha / 3).sum(axis=1).mean()

    found = minimize_scalar(kl, bounds=(1e-6, 1)).x
    assert references.best_smoothing(p) == pytest.approx(found, abs=1e-4)


def test_what_a_row_is_fitted_on_comes_from_the_training_items_alone():
    counts, _ = simulated(400)
    p = counts / counts.sum(axis=1, keepdims=True)
    train, test = np.arange(200), np.arange(200, 400)
    rows = by_name(p, counts, train, test, draws=2)
    truth = p.argmax(axis=1)
    means = np.stack([p[train][truth[train] == c].mean(axis=0) for c in range(4)])
    for name, prediction in {"prior": p[train].mean(axis=0), "class_mean": means[truth[test]]}.items():
        assert rows[name]["kl"] == pytest.approx(rel_entr(p[test], prediction).sum(axis=1).mean()), name
    counts[test] = counts[test][::-1] + 1
    p = counts / counts.sum(axis=1, keepdims=True)
    others = by_name(p, counts, train, test, draws=2)
    assert others["best_smoothing"]["detail.alpha"] == rows["best_smoothing"]["detail.alpha"]
    assert others["sampling_floor"]["detail.k"] == rows["sampling_floor"]["detail.k"]


def test_a_class_without_training_items_has_the_mean_of_all_of_them():
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    np.testing.assert_allclose(references.class_means(p), [p[0], p[1], p.mean(axis=0)])


def test_the_sampling_floor_finds_k_and_lies_just_above_the_score_of_the_true_distributions():
    counts, truth = simulated(k=5.0)
    p = counts / counts.sum(axis=1, keepdims=True)
    score_of_the_truth = rel_entr(p, truth).sum(axis=1).mean()
    row = by_name(p, counts)["sampling_floor"]
    assert row["detail.k"] == pytest.approx(5, rel=0.15)
    assert row["detail.first_order_kl"] < score_of_the_truth < row["kl"] < 2 * score_of_the_truth


def test_half_panels_share_out_every_vote_and_are_drawn_by_item():
    counts, _ = simulated(50)
    first, second = references.half_panels(counts, np.arange(50), seed=1)
    np.testing.assert_array_equal(first + second, counts)
    np.testing.assert_array_equal(first.sum(axis=1), counts.sum(axis=1) // 2)
    assert (second >= 0).all()
    again, _ = references.half_panels(counts[30:], np.arange(30, 50), seed=1)
    np.testing.assert_array_equal(again, first[30:])
    other, _ = references.half_panels(counts, np.arange(50), seed=2)
    assert (other != first).any()


def test_split_half_is_the_mean_of_both_directions_over_items_with_two_votes_or_more():
    counts = np.array([[1, 0], [1, 1], [2, 0], [0, 2], [0, 1]])
    row = by_name(counts / counts.sum(axis=1, keepdims=True), counts, draws=1)["split_half"]
    assert row["detail.n_items"] == 3
    assert row["tvd"] == pytest.approx(1 / 3)  # the halves of [1, 1] disagree, the others agree
    assert row["kl"] == math.inf
    counts, _ = simulated(50)
    row = by_name(counts / counts.sum(axis=1, keepdims=True), counts, draws=1)["split_half"]
    a, b = (
        (half / half.sum(axis=1, keepdims=True)).clip(1e-5, 1 - 1e-5)
        for half in references.half_panels(counts, np.arange(50), 0)
    )
    both = [rel_entr(a, b).sum(axis=1).mean(), rel_entr(b, a).sum(axis=1).mean()]
    assert [row[f"detail.kl_dcic_direction_{k}"] for k in (1, 2)] == pytest.approx(both)
    assert row["kl_dcic"] == pytest.approx(np.mean(both))


def data_set(folder, p, votes):
    write_reference(folder / "reference.parquet", p, votes, ["cat", "dog", "owl", "yak"])
    write_split(folder / "split.parquet", np.tile([0, 1, 2, 2], len(p) // 4), None, {})
    return {"reference": folder / "reference.parquet", "split": folder / "split.parquet"}


def score(folder, inputs, **changes):
    """The rows of a file of references."""
    config = {"set": "standard", "metrics": METRICS, "needs": {}, "seed": 0, "draws": 3, **changes}
    references.run(config, inputs, {"references": folder / "rows.parquet"})
    return read_rows(folder / "rows.parquet")


def test_the_file_has_the_rows_of_the_test_items_and_the_same_bytes_each_time(tmp_path):
    counts, _ = simulated(400)
    p = counts / counts.sum(axis=1, keepdims=True)
    inputs = data_set(tmp_path, p, counts.sum(axis=1))
    found = score(tmp_path, inputs)
    written = (tmp_path / "rows.parquet").read_bytes()
    score(tmp_path, inputs)
    assert written == (tmp_path / "rows.parquet").read_bytes()
    part = np.arange(400) % 4
    expected = by_name(p, counts, np.flatnonzero(part == 0), np.flatnonzero(part >= 2), draws=3)
    assert {name: {key[3]: value for key, value in row.values.items()} for name, row in found.items()} == expected
    assert [name for name, row in found.items() if not row.oracle] == ["uniform", "prior"]
    assert {(row.eps, *row.classes) for row in found.values()} == {(1e-5, "cat", "dog", "owl", "yak")}


def test_a_further_metric_is_all_that_its_file_holds(tmp_path):
    counts, _ = simulated(400)
    inputs = data_set(tmp_path, counts / counts.sum(axis=1, keepdims=True), counts.sum(axis=1))
    standard = score(tmp_path, inputs)
    further = score(tmp_path, inputs, set="tvd", metrics={"tvd": {"kind": "tvd"}})
    for name, row in further.items():
        assert row.values == {("test", "all", "none", "tvd"): standard[name].value("tvd")}, name


def test_a_reference_that_is_no_share_of_its_votes_names_the_item(tmp_path):
    _, truth = simulated(400)
    with pytest.raises(UserError, match="item 0, expected p to be counts divided by votes"):
        score(tmp_path, data_set(tmp_path, truth, np.full(400, 3)))
