"""The reference rows, against published figures, exact labels and a simulation with a known truth."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import rel_entr
from scipy.stats import binom

from softlabels.contracts import Reference, read_absent, read_exact, read_rows, write_reference, write_split
from softlabels.datasets import contract, data
from softlabels.datasets.synthetic import ENTRY, label_distributions
from softlabels.errors import UserError
from softlabels.evaluation import references
from softlabels.evaluation.left_out import Panels

METRICS = {name: {"kind": name} for name in ("kl", "kl_dcic", "tvd", "acc")}
CIFAR10H = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10h" / "cifar10h-counts.npy"


def rows_of(p, counts, train=None, test=None, seed=0, **more):
    """Reference rows by name, and why others are absent; of everything as training and test part by default."""
    everything = np.arange(len(p))
    train = everything if train is None else train
    test = everything if test is None else test
    votes = None if counts is None else counts.sum(axis=1)
    given = Reference("reference.parquet", everything, p, votes, [f"class{k}" for k in range(p.shape[1])])
    panels = None if counts is None else Panels.anonymous(counts)
    return references.rows(METRICS, given, train, test, seed=seed, panels=panels, **more)


def by_name(*args, **more):
    return rows_of(*args, **more)[0]


def shares(counts):
    return counts / counts.sum(axis=1, keepdims=True)


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
    rows = by_name(shares(counts), counts)
    for name, expected in {"uniform": 2.147, "class_mean": 0.0943, "best_smoothing": 0.1304, "one_hot": 0.3701}.items():
        assert rows[name]["kl_dcic"] == pytest.approx(expected, abs=6e-4), name
    assert rows["best_smoothing"]["detail.alpha"] == pytest.approx(0.05, abs=0.005)
    assert rows["one_hot"]["kl"] == math.inf

    floor = rows["sampling_floor"]
    assert floor["detail.first_order_kl"] == pytest.approx(0.009, abs=0.0005)
    assert floor["detail.k"] == pytest.approx(21, abs=1)
    assert floor["kl"] == pytest.approx(0.0360, abs=0.001)
    assert all(math.isnan(floor[name]) for name in METRICS if name != "kl")
    assert rows["panel"]["ce"] == pytest.approx(0.1998, abs=0.001)
    assert rows["panel"]["vote_acc"] == pytest.approx(0.9540, abs=0.0005)

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
    p = shares(counts)
    train, test = np.arange(200), np.arange(200, 400)
    rows = by_name(p, counts, train, test)
    truth = p.argmax(axis=1)
    means = np.stack([p[train][truth[train] == c].mean(axis=0) for c in range(4)])
    for name, prediction in {"prior": p[train].mean(axis=0), "class_mean": means[truth[test]]}.items():
        assert rows[name]["kl"] == pytest.approx(rel_entr(p[test], prediction).sum(axis=1).mean()), name
    counts[test] = counts[test][::-1] + 1
    p = shares(counts)
    others = by_name(p, counts, train, test)
    assert others["best_smoothing"]["detail.alpha"] == rows["best_smoothing"]["detail.alpha"]
    assert others["sampling_floor"]["detail.k"] == rows["sampling_floor"]["detail.k"]


def test_a_class_without_training_items_has_the_mean_of_all_of_them():
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    np.testing.assert_allclose(references.class_means(p), [p[0], p[1], p.mean(axis=0)])


def distributions(kind, n):
    """True distributions [n, C], whose items are alike in no way, in their class, or in all but noise."""
    draws = np.random.default_rng(5)
    if kind == "any":
        return draws.dirichlet(np.ones(6), n)
    if kind == "alike in a class":  # where a class tells nearly everything
        return np.stack([draws.dirichlet(100 * (0.8 * np.eye(6) + 0.2 / 6)[i % 6]) for i in range(n)])
    if kind == "mostly clear":
        strength = np.where(np.arange(n) % 4, 60, 3)
        return np.stack([draws.dirichlet(np.where(np.arange(10) == i % 10, k, 0.1)) for i, k in enumerate(strength)])
    u, s = draws.random(n) * 3, draws.random(n)
    pure = np.arange(n) < 0.4 * n
    p = label_distributions(np.where(pure, np.floor(u), u), np.where(pure, np.round(s), s))
    return p if kind == "synthetic" else 0.8 * p + 0.2 / 6  # with uniform errors


@pytest.mark.parametrize("kind", ["any", "alike in a class", "mostly clear", "synthetic", "synthetic with errors"])
@pytest.mark.parametrize("n_votes", [5, 15, 50, 100])
def test_the_kl_of_the_true_distributions_lies_between_the_ends_of_the_bracket(kind, n_votes):
    truth = distributions(kind, 1000).clip(1e-12)
    truth /= truth.sum(axis=1, keepdims=True)
    counts = np.random.default_rng(n_votes).multinomial(n_votes, truth)
    row = by_name(shares(counts), counts)["sampling_floor"]
    x = np.arange(n_votes + 1) / n_votes
    chance = binom.pmf(np.arange(n_votes + 1), n_votes, truth[..., None])  # the expected KL, over all votes
    expected = (rel_entr(x, 1) * chance).sum(axis=(1, 2)).mean() - rel_entr(truth, 1).sum(axis=1).mean()
    assert row["detail.first_order_kl"] < expected < row["kl"] < 3 * expected
    assert rel_entr(shares(counts), truth).sum(axis=1).mean() == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 50, 200])
def test_the_first_order_errs_downwards_and_the_concave_function_upwards_for_every_probability(n):
    p = np.concatenate([np.geomspace(1e-9, 0.5, 300), 1 - np.geomspace(1e-9, 0.5, 300)])
    x = np.arange(n + 1) / n
    h = binom.pmf(np.arange(n + 1), n, p[:, None]) @ rel_entr(x, 1) - rel_entr(p, 1)
    np.testing.assert_allclose(references.expected_term(p, n), h, atol=1e-12)
    assert (h >= (1 - (1 - p) ** n - p) / (2 * n) - 1e-12).all()
    grid = references.GRID
    at = np.unique(p)
    above = references.concave(grid, references.expected_term(grid, n), at)
    assert (above >= references.expected_term(at, n) - 1e-4 / n).all()  # between two points of the grid it is a line
    slope = np.diff(above) / np.diff(at)
    assert (np.diff(slope)[at[2:] < 0.5] <= 1e-9).all() and (np.diff(slope) <= 1e-4).all()


def test_the_least_concave_function_above_some_points_by_hand():
    x, y = np.array([0.0, 1, 2, 3, 4]), np.array([0.0, 1, 0, 1.5, 0])
    np.testing.assert_allclose(references.concave(x, y, np.array([0, 0.5, 1, 2, 3, 4])), [0, 0.5, 1, 1.25, 1.5, 0])


def test_the_smoothing_finds_the_strength_of_the_true_dirichlet():
    counts, _ = simulated(k=5.0)
    others = references.Others.fit(Panels.anonymous(counts))
    assert others.k == pytest.approx(5, rel=0.15)
    np.testing.assert_allclose(others.of_class, 0.8 * np.eye(4) + 0.05, atol=0.02)


def test_with_votes_of_too_few_people_there_is_no_floor_and_it_is_said():
    counts, _ = simulated(100)
    counts[7] = [1, 1, 1, 1]
    rows, absent = rows_of(shares(counts), counts)
    assert "sampling_floor" not in rows and {"panel", "split_half"} <= set(rows)
    assert absent == {"sampling_floor": "some test items have votes of fewer than 5 people, which tell too little"}


def test_one_vote_an_image_leaves_the_rows_without_votes_and_says_why():
    counts = np.eye(3, dtype=int)[np.arange(30) % 3]
    rows, absent = rows_of(shares(counts), counts)
    assert set(rows) == {"uniform", "prior", "class_mean", "best_smoothing", "one_hot"}
    assert set(absent) == {"sampling_floor", "panel", "split_half"}
    assert all("two" in why for why in absent.values())


def test_a_part_without_repeated_votes_has_no_row_of_them():
    counts = np.concatenate([np.tile([[2, 1, 0], [0, 1, 2]], (5, 1)), np.eye(3, dtype=int)])
    rows, absent = rows_of(shares(counts), counts, np.arange(10), np.arange(10, 13))
    assert not {"sampling_floor", "panel", "split_half"} & set(rows)
    assert absent["panel"].startswith("no test item") and absent["split_half"].startswith("no test item")
    rows, absent = rows_of(shares(counts), counts, np.arange(10, 13), np.arange(10))
    assert "split_half" in rows and absent["panel"].startswith("no training item")


@pytest.mark.parametrize("n_votes", [2, 3])
def test_two_and_three_votes_have_a_panel_and_halves_but_no_floor(n_votes):
    counts = np.random.default_rng(0).multinomial(n_votes, [0.7, 0.2, 0.1], 200)
    rows, absent = rows_of(shares(counts), counts)
    assert set(absent) == {"sampling_floor"}
    assert (
        0 < rows["panel"]["ce"] < 1.2 and rows["panel"]["detail.n_items"] == rows["split_half"]["detail.n_items"] == 200
    )


def test_a_row_is_null_where_it_has_no_metric():
    counts, _ = simulated(50)
    rows = by_name(shares(counts), counts)
    assert all(set(METRICS) <= set(row) for row in rows.values())
    assert math.isnan(rows["panel"]["tvd"]) and math.isnan(rows["sampling_floor"]["acc"])


# -- what votes were drawn from ---------------------------------------------------------------------------------------

SOURCE = {key: option.get("default") for key, option in ENTRY["options"].items()}


def generated(folder, reference="votes", **options):
    """The files of a generated data set, and the references of its split."""
    source = {"kind": "synthetic", **SOURCE, "items": 600, "pixels": 8, "seed": 3, **options}
    names = {"images": "images.npy"} | {name: f"{name}.parquet" for name in ("items", "annotations", "reference")}
    paths = {name: folder / file for name, file in names.items()}
    data.run({"source": source, "reference": reference}, {}, paths)
    write_split(folder / "split.parquet", np.tile([0, 1, 2], 200), None, {})
    config = {"set": "standard", "metrics": METRICS, "needs": {}, "seed": 0}
    references.run(config, {**paths, "split": folder / "split.parquet"}, {"references": folder / "rows.parquet"})
    return paths


def test_the_floor_of_generated_votes_is_what_they_were_drawn_from(tmp_path):
    paths = generated(tmp_path, votes=10)
    rows = read_rows(tmp_path / "rows.parquet")
    items, _ = contract.io.read_table(paths["items"])
    p = label_distributions(items["u"].to_numpy(), items["s"].to_numpy())
    np.testing.assert_allclose(read_exact(paths["reference"]), p, atol=1e-15)
    assert "sampling_floor" not in rows and "sampling_floor" not in read_absent(tmp_path / "rows.parquet")
    assert rows["exact"].oracle and rows["panel"].oracle
    counts = contract.io.matrix(contract.io.read_table(paths["reference"])[0], "p")[2::3]
    assert rows["exact"].value("kl") == pytest.approx(rel_entr(counts, p[2::3]).sum(axis=1).mean(), rel=1e-9)
    assert rows["exact"].value("kl") < min(rows[name].value("kl") for name in ("class_mean", "prior", "best_smoothing"))


def test_the_floor_of_annotators_who_err_counts_their_errors_in(tmp_path):
    paths = generated(tmp_path, votes=6, annotators=12, annotator_model="spammer_hammer", annotator_accuracy=0.9)
    table, _ = contract.io.read_table(paths["annotations"])
    notes = contract.io.read_table(paths["annotations"])[1]["notes"]["annotators"]
    items, _ = contract.io.read_table(paths["items"])
    p = label_distributions(items["u"].to_numpy(), items["s"].to_numpy())
    sure = np.array([notes[name]["accuracy"] for name in table["annotator"].to_pylist()]).reshape(600, 6).mean(axis=1)
    np.testing.assert_allclose(read_exact(paths["reference"]), sure[:, None] * p + (1 - sure[:, None]) / 6, atol=1e-12)


@pytest.mark.parametrize("model", ["ambiguity", "spammer_hammer", "confusion", "drift"])
def test_votes_are_a_fair_sample_of_what_they_are_said_to_be_drawn_from(tmp_path, model):
    paths = generated(tmp_path, votes=20, annotators=30, annotator_model=model, annotator_accuracy=0.8)
    table, _ = contract.io.read_table(paths["reference"])
    p, exact = contract.io.matrix(table, "p"), read_exact(paths["reference"])
    error = (p - exact) / np.sqrt(np.maximum(exact * (1 - exact), 0.01) / 20)
    assert abs(error.mean(axis=0)).max() < 4 / np.sqrt(600)
    assert (error**2).mean() < 1.05


def test_an_exact_reference_is_as_it_was(tmp_path):
    exact = generated(tmp_path, votes=0, reference="exact")
    assert read_exact(exact["reference"]) is None
    assert contract.io.read_table(exact["reference"])[0].column_names == ["item", "p", "votes"]
    assert read_absent(tmp_path / "rows.parquet") == {}
    assert set(read_rows(tmp_path / "rows.parquet")) == {"uniform", "prior", "class_mean", "best_smoothing", "one_hot"}


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
    row = by_name(shares(counts), counts)["split_half"]
    assert row["detail.n_items"] == 3
    assert row["tvd"] == pytest.approx(1 / 3)  # the halves of [1, 1] disagree, the others agree
    assert row["kl"] == math.inf
    counts, _ = simulated(50)
    row = by_name(shares(counts), counts)["split_half"]
    a, b = (
        (half / half.sum(axis=1, keepdims=True)).clip(1e-5, 1 - 1e-5)
        for half in references.half_panels(counts, np.arange(50), 0)
    )
    both = [rel_entr(a, b).sum(axis=1).mean(), rel_entr(b, a).sum(axis=1).mean()]
    assert [row[f"detail.kl_dcic_direction_{k}"] for k in (1, 2)] == pytest.approx(both)
    assert row["kl_dcic"] == pytest.approx(np.mean(both))


def data_set(folder, p, votes):
    counts = np.rint(p * votes[:, None]).astype(int)
    classes = ["cat", "dog", "owl", "yak"]
    contract.write_annotations(folder / "annotations.parquet", contract.Votes.of_counts(counts), classes)
    write_reference(folder / "reference.parquet", p, votes, classes)
    write_split(folder / "split.parquet", np.tile([0, 1, 2, 2], len(p) // 4), None, {})
    return {name: folder / f"{name}.parquet" for name in ("reference", "annotations", "split")}


def score(folder, inputs, **changes):
    """The rows of a file of references."""
    config = {"set": "standard", "metrics": METRICS, "needs": {}, "seed": 0, **changes}
    references.run(config, inputs, {"references": folder / "rows.parquet"})
    return read_rows(folder / "rows.parquet")


def test_the_file_has_the_rows_of_the_test_items_and_the_same_bytes_each_time(tmp_path):
    counts, _ = simulated(400)
    p = shares(counts)
    inputs = data_set(tmp_path, p, counts.sum(axis=1))
    found = score(tmp_path, inputs)
    written = (tmp_path / "rows.parquet").read_bytes()
    score(tmp_path, inputs)
    assert written == (tmp_path / "rows.parquet").read_bytes()
    part = np.arange(400) % 4
    expected = by_name(p, counts, np.flatnonzero(part == 0), np.flatnonzero(part >= 2))
    none = {name: {key: None if math.isnan(x) else x for key, x in row.items()} for name, row in expected.items()}
    assert {name: {key[3]: value for key, value in row.values.items()} for name, row in found.items()} == none
    assert [name for name, row in found.items() if not row.oracle] == ["uniform", "prior"]
    assert {(row.eps, *row.classes) for row in found.values()} == {(1e-5, "cat", "dog", "owl", "yak")}


def test_a_further_metric_is_all_that_its_file_holds(tmp_path):
    counts, _ = simulated(400)
    inputs = data_set(tmp_path, shares(counts), counts.sum(axis=1))
    standard = score(tmp_path, inputs)
    further = score(tmp_path, inputs, set="tvd", metrics={"tvd": {"kind": "tvd"}})
    for name, row in further.items():
        assert row.values == {("test", "all", "none", "tvd"): standard[name].value("tvd")}, name


def test_a_reference_that_is_no_share_of_its_votes_names_the_item(tmp_path):
    _, truth = simulated(400)
    with pytest.raises(UserError, match="item 0, expected p to be counts divided by votes"):
        score(tmp_path, data_set(tmp_path, truth, np.full(400, 3)))


@pytest.mark.parametrize("votes", [2, 5, 20])
def test_the_bayes_error_against_a_vote_lies_in_the_bracket_which_narrows_with_the_votes(votes):
    draws, truth = np.random.default_rng(votes), simulated()[1]
    counts = draws.multinomial(votes, truth)
    panel = by_name(shares(counts), counts)["panel"]
    low, high, true = panel["detail.bayes_error_low"], panel["detail.bayes_error_high"], 1 - truth.max(axis=1).mean()
    assert low < true < high
    assert high - low < {2: 0.25, 5: 0.15, 20: 0.05}[votes]


def test_items_with_one_vote_say_nothing_of_the_bayes_error():
    counts = np.array([[3, 1], [2, 2], [1, 0], [0, 1]])
    assert by_name(shares(counts), counts)["panel"]["detail.bayes_error_low"] == pytest.approx((0.25 + 0.5) / 2)
