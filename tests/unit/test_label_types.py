"""Labels that are made of the average of the votes, controls, and labels of a file: by hand and by libraries."""

import json
from types import SimpleNamespace

import finished_run
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import rel_entr

from softlabels import check, io, places, registry, schema
from softlabels.contracts import read_estimate, read_labels, read_split, write_reference, write_scores, write_split
from softlabels.datasets import contract
from softlabels.errors import Problems, UserError
from softlabels.evaluation import references
from softlabels.labels import evidence, label, remarks
from softlabels.plan import Plan
from softlabels.provenance import audit, recompute_labels
from softlabels.studies import paper, study

CLASSES = ["a", "b", "c", "d"]
COUNTS = np.array([[4, 0, 0, 0], [3, 1, 0, 0], [1, 1, 0, 0], [0, 1, 2, 1], [0, 0, 4, 0], [1, 0, 3, 0], [0, 2, 0, 2]])
PARTS = np.array(["train", "train", "train", "train", "val", "test", "val"], object)
OURS = [
    "candidates", "class_mean", "file", "fixed_argmax", "fixed_spread", "laplace", "mix", "ordinal_gaussian",
    "shuffled", "smoothed", "softmax_counts", "top2", "unanimous",
]  # fmt: skip


def of(counts=COUNTS, parts=PARTS, weights=None, seed=(0,)):
    """Evidence of these votes, as if it had been read."""
    counts = np.array(counts)
    made = evidence.Evidence([f"class{k}" for k in range(counts.shape[1])], len(counts), annotations="unread")
    made.__dict__["_sums"] = counts, weights
    made.seed, made.part = seed, parts
    return made


def make(kind, found=None, ties="lowest_index", **options):
    options = {**schema.defaults("aggregate", kind), **options}
    aggregate = registry.load("aggregate", kind)
    return aggregate(of() if found is None else found, {"ties": ties, "seed": 0, "form": "soft", **options})


def many(n=600, n_classes=4, seed=0, parts=None):
    """Votes of many items, and a part for each."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(rng.integers(1, 12, n), rng.dirichlet(np.full(n_classes, 0.4), n))
    return of(counts, rng.choice(["train", "val", "test"], n).astype(object) if parts is None else parts)


def shares(found):
    return found.counts / found.counts.sum(axis=1, keepdims=True)


# -- made of the average -----------------------------------------------------------------------------------------------


def test_smoothed_labels_are_those_of_pytorch():
    table = make("smoothed", alpha=0.3)
    assert table.p[1].tolist() == pytest.approx([0.775, 0.075, 0.075, 0.075])
    logits = torch.randn(len(COUNTS), 4, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.3)(logits, torch.tensor(table.hard.astype(int)))
    ours = torch.nn.CrossEntropyLoss()(logits, torch.tensor(table.p))
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    assert table.metadata["alpha"] == 0.3
    assert make("smoothed", alpha=0).p.tolist() == np.eye(4)[COUNTS.argmax(axis=1)].tolist()


def test_the_matched_alpha_is_nearest_to_the_votes_of_the_training_items_alone():
    found = many()
    table = make("smoothed", found, alpha="matched")
    alpha, p = table.metadata["alpha"], shares(found)
    train = found.part == "train"
    assert alpha == pytest.approx(references.best_smoothing(p[train]), abs=1e-12)
    one_hot = np.eye(4)[p.argmax(axis=1)]

    def divergence(of_alpha):
        return rel_entr(p[train], (1 - of_alpha) * one_hot[train] + of_alpha / 4).sum(axis=1).mean()

    assert alpha == pytest.approx(minimize_scalar(divergence, bounds=(0, 1), method="bounded").x, abs=1e-4)
    assert make("smoothed", found, alpha=alpha).p.tolist() == table.p.tolist()
    found.part[:] = "val"
    with pytest.raises(UserError, match="no item of the training part has a label to learn from"):
        make("smoothed", found, alpha="matched")


def test_class_means_are_those_of_pandas_and_of_the_reference_row():
    found = many()
    table, p, train = make("class_mean", found), shares(found), found.part == "train"
    by_class = pd.DataFrame(p[train]).groupby(p.argmax(axis=1)[train]).mean()
    np.testing.assert_allclose(table.p, by_class.loc[p.argmax(axis=1)], rtol=1e-6)
    np.testing.assert_allclose(table.p, references.class_means(p[train])[p.argmax(axis=1)], rtol=1e-6)
    assert table.metadata["absent"] == []
    few = make("class_mean")  # of class b no item learns, and none of d is there
    mean = (COUNTS / COUNTS.sum(axis=1, keepdims=True))[:4].mean(axis=0)
    np.testing.assert_allclose(few.p[6], mean, rtol=1e-6)
    assert few.metadata["absent"] == ["class1", "class3"]


def test_softmax_and_additive_smoothing_of_counts():
    found = many()
    theirs = torch.softmax(torch.tensor(found.counts, dtype=torch.float64), dim=1)
    np.testing.assert_allclose(make("softmax_counts", found).p, theirs, rtol=1e-5)
    posterior = [stats.dirichlet.mean(row + 0.5) for row in found.counts]
    np.testing.assert_allclose(make("laplace", found, k=0.5).p, posterior, rtol=1e-6)
    assert make("laplace").p[1].tolist() == [0.5, 0.25, 0.125, 0.125]


def test_mixed_two_largest_and_candidates_by_hand():
    assert make("mix", w=0.5).p[1].tolist() == [0.875, 0.125, 0, 0]
    assert make("mix", w=1).p.tolist() == make("majority").p.tolist()
    assert make("mix", w=0).p.tolist() == make("average").p.tolist()
    two = [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0.5, 0.5, 0, 0], [0, 1 / 3, 2 / 3, 0]]
    assert make("top2").p[:4].tolist() == np.array(two, np.float32).tolist()
    third = np.float32(1 / 3)
    assert make("candidates").p[[0, 2, 3]].tolist() == [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, third, third, third]]


def test_a_discretised_gaussian_lies_around_the_mean_class():
    found = many(n_classes=5)
    table = make("ordinal_gaussian", found, sigma=0.7)
    mean = shares(found) @ np.arange(5)
    density = stats.norm.pdf(np.arange(5), loc=mean[:, None], scale=0.7)
    np.testing.assert_allclose(table.p, density / density.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(table.hard, np.ceil(mean - 0.5 - 1e-12).astype(int))  # a half goes down
    between = make(
        "ordinal_gaussian", of([[3, 0, 2]]), sigma=0.01
    )  # most votes for the first class, the mean beside it
    assert (between.hard.tolist(), between.p.tolist()) == ([1], [[0, 1, 0]])
    assert make("ordinal_gaussian", of([[1, 1]] * 50), ties="random").hard.sum() not in (0, 50)
    assert len(make("ordinal_gaussian", of([[1, 1], [2, 1]]), ties="drop").item) == 1


def test_only_agreed_training_items_are_learned_from():
    found = of(np.array([[10, 0], [7, 3], [6, 4], [5, 5], [4, 6], [0, 10]]), np.array(["train"] * 4 + ["val", "test"]))
    assert make("unanimous", found).item.tolist() == [0, 4, 5]
    table = make("unanimous", found, min_agreement=0.7)
    assert table.item.tolist() == [0, 1, 4, 5]
    assert table.p.tolist() == make("average", found).p[table.item].tolist()
    assert table.votes.tolist() == [10] * 4
    assert (table.metadata["left_out"], table.metadata["absent"]) == (2, ["class1"])
    with pytest.raises(UserError, match=r"share of 1 or more .* \(the most is 0\.7\).*Lower min_agreement"):
        make("unanimous", of([[7, 3]], np.array(["train"])))


def test_weights_count_as_they_do_in_the_average():
    weights = COUNTS * np.array([1, 2, 0.5, 1])
    for kind in ("mix", "top2", "candidates", "smoothed", "fixed_argmax", "ordinal_gaussian"):
        weighted, counted = make(kind, of(weights=weights)), make(kind, of(weights))  # as if these were the counts
        np.testing.assert_array_equal(weighted.p, counted.p)
        assert weighted.votes.tolist() == COUNTS.sum(axis=1).tolist()
    np.testing.assert_allclose(make("laplace", of(weights=weights), k=1).p[1], [4 / 9, 3 / 9, 1 / 9, 1 / 9], rtol=1e-6)
    odds = np.exp([3, 2, 0, 0])
    np.testing.assert_allclose(make("softmax_counts", of(weights=weights)).p[1], odds / odds.sum(), rtol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind not in ("file", "laplace", "softmax_counts")])
def test_exact_distributions_need_no_votes(kind):
    p = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    p[0] = [1, 0, 0]
    exact = evidence.Evidence(["a", "b", "c"], 40, distribution=p, part=np.array(["train", "val"] * 20), seed=(0,))
    options = {"min_agreement": 0.5} if kind == "unanimous" else {}
    table = make(kind, exact, **options)
    assert table.votes is None
    np.testing.assert_allclose(table.p.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind != "file"])
def test_items_without_a_vote_have_no_label_and_dropped_ties_none(kind):
    found = of([[0, 0, 0], [1, 1, 0], [2, 0, 0], [0, 3, 1], [0, 2, 0]], np.array(["train"] * 5))
    assert 0 not in make(kind, found).item
    expected = [2, 4] if kind == "unanimous" else [2, 3, 4]
    kept = make(kind, found, ties="drop")
    assert kept.item.tolist() == (expected if kind != "ordinal_gaussian" else [2, 3, 4])
    assert len(kept.p) == len(kept.hard) == len(kept.votes) == len(kept.weight) == len(kept.item)


# -- controls ----------------------------------------------------------------------------------------------------------


def test_shuffled_labels_are_those_of_another_item_of_part_and_class_each_once():
    found = many()
    table, p, hard = make("shuffled", found), shares(found), shares(found).argmax(axis=1)
    moved = 0
    for part in ("train", "val", "test"):
        for c in range(4):
            members = (found.part == part) & (hard == c)
            ours, theirs = table.p[members], p[members].astype(np.float32)
            assert sorted(ours.tolist()) == sorted(theirs.tolist())
            moved += (ours != theirs).any(axis=1).sum()
    assert moved > 0.5 * len(p)  # many have the same distribution as others
    assert table.hard.tolist() == hard.tolist()
    assert table.metadata["alone"] == 0


def test_no_item_keeps_its_label_where_there_is_another():
    p = np.random.default_rng(1).dirichlet([8, 1, 1], 200)  # no two alike
    p = p[p.argmax(axis=1) == 0]
    exact = evidence.Evidence(["a", "b", "c"], len(p), distribution=p, seed=(3,))
    first, again = make("shuffled", exact), make("shuffled", exact)
    assert (first.p != p.astype(np.float32)).any(axis=1).all()
    assert first.p.tolist() == again.p.tolist()
    exact.seed = (4,)
    assert (make("shuffled", exact).p != first.p).any()


def test_a_lone_item_keeps_its_own_and_is_counted():
    found = of([[3, 1, 0], [2, 1, 1], [0, 4, 1], [0, 1, 4]], np.array(["train", "train", "train", "val"]))
    table = make("shuffled", found)
    expected = shares(found)[[1, 0, 2, 3]].astype(np.float32)
    assert (table.p.tolist(), table.metadata["alone"]) == (expected.tolist(), 2)


def test_the_argmax_and_its_share_are_kept():
    assert make("fixed_argmax").p[[0, 3]].tolist() == [[1, 0, 0, 0], pytest.approx([1 / 6, 1 / 6, 0.5, 1 / 6])]
    found = many()
    p, rows = shares(found).astype(np.float32), np.arange(600)
    hard = p.argmax(axis=1)
    for spread in ("uniform", "permuted"):
        table = make("fixed_argmax", found, spread=spread)
        np.testing.assert_allclose(table.p[rows, hard], p[rows, hard], rtol=1e-6)
        assert table.hard.tolist() == hard.tolist()
    assert np.sort(table.p, axis=1).tolist() == np.sort(p, axis=1).tolist()
    assert (table.p != p).any(axis=1).mean() > 0.3
    one = of(np.tile([6, 4, 0, 0], (6000, 1)), None)
    to = np.bincount(make("fixed_argmax", one, spread="permuted").p[:, 1:].argmax(axis=1))
    assert stats.chisquare(to).pvalue > 1e-3  # to each other class alike


def test_the_two_largest_are_swapped_as_often_as_a_vote_is_for_the_second():
    found = of(np.tile([[6, 3, 1], [5, 0, 0], [2, 2, 0]], (3000, 1)), None)
    table = make("fixed_spread", found)
    p = table.p.reshape(3000, 3, 3)
    swapped = p[:, 0, 1] > 0.5
    assert stats.binomtest(int(swapped.sum()), 3000, 1 / 3).pvalue > 1e-3
    tenths = np.array([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1]], np.float32)
    assert p[:, 0].tolist() == tenths[swapped.astype(int)].tolist()
    assert (p[:, 1] == [1, 0, 0]).all()
    assert (p[:, 2] == [0.5, 0.5, 0]).all()
    hard = table.hard.reshape(3000, 3)
    assert hard[:, 0].tolist() == swapped.astype(int).tolist()
    assert table.metadata["swapped"] == (hard > 0).sum()
    always = make("fixed_spread", found, swap="always")
    assert always.p[:3].tolist() == [tenths[1].tolist(), [1, 0, 0], [0.5, 0.5, 0]]


@pytest.mark.parametrize(
    "kind, options", [("shuffled", {}), ("fixed_argmax", {"spread": "permuted"}), ("fixed_spread", {})]
)
def test_what_is_drawn_is_of_the_seeds(kind, options):
    found = many()
    first = make(kind, found, **options).p
    assert make(kind, many(), **options).p.tolist() == first.tolist()
    assert (make(kind, found, seed=1, **options).p != first).any()
    found.seed = (1,)
    assert (make(kind, found, **options).p != first).any()


# -- files -------------------------------------------------------------------------------------------------------------

NAMES = ["x/1.png", "x/2.png", "x/3.png"]
GOOD = pd.DataFrame({"item": ["x/3.png", "x/1.png"], "b": [0.25, 0.6667], "a": [0.75, 0.3333], "c": [0, 0]})


def of_file(tmp_path, table, **options):
    path = tmp_path / "labels.csv"
    table.to_csv(path, index=False, sep=options.get("separator", ","))
    return make("file", evidence.Evidence(["a", "b", "c"], 3, annotations="unread", given=path, names=NAMES), **options)


def test_labels_of_a_file_go_to_the_items_that_it_names(tmp_path):
    table = of_file(tmp_path, GOOD)
    assert table.item.tolist() == [0, 2]
    np.testing.assert_allclose(table.p, [[0.3333, 0.6667, 0], [0.75, 0.25, 0]], rtol=1e-6)
    assert (table.hard.tolist(), table.votes, table.metadata["lack"]) == ([1, 0], None, 1)
    more = GOOD.assign(note="x")
    assert of_file(tmp_path, more, item_column="item", separator=";").p.tolist() == table.p.tolist()
    GOOD.to_parquet(tmp_path / "labels.parquet")
    given = evidence.Evidence(["a", "b", "c"], 3, given=tmp_path / "labels.parquet", names=NAMES)
    assert make("file", given).p.tolist() == table.p.tolist()
    rounded = of_file(tmp_path, GOOD.assign(b=[0.2505, 0.6667]))
    assert rounded.p.sum(axis=1).tolist() == pytest.approx([1, 1], abs=1e-7)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.assign(item=["x/3.png", "x/9.png"]), r"line 3: found the item 'x/9\.png', expected .* called 'x/"),
        (lambda t: t.assign(item="x/3.png"), r"line 3: the item 'x/3\.png' has a row already"),
        (lambda t: t.drop(columns="c"), "no column for the class 'c'"),
        (lambda t: t.assign(more=1), "2 columns that are no class .*Set item_column"),
        (lambda t: t.assign(a=["0.75", "much"]), "line 3: column 'a': found 'much', expected a probability"),
        (lambda t: t.assign(a=[0.75, None]), "line 3: column 'a': found no number"),
        (lambda t: t.assign(a=[-0.25, 0.3333]), "line 2: column 'a': found -0.25, expected a probability"),
        (lambda t: t.assign(b=[0.26, 0.6667]), r"line 2: the numbers sum to 1\.01, expected 1"),
        (lambda t: t[:0], "found no rows below the header"),
    ],
)
def test_rows_that_are_no_labels_are_named(tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        of_file(tmp_path, change(GOOD))


def test_many_bad_rows_are_counted(tmp_path):
    bad = pd.DataFrame({"item": [f"y{k}" for k in range(9)], "a": 0.5, "b": 0.5, "c": 0.0})
    with pytest.raises(UserError, match=r"9 problems:(.|\n)*and 6 more rows of this kind"):
        of_file(tmp_path, bad)


# -- in a study --------------------------------------------------------------------------------------------------------

LABELS = {
    "hard": {"aggregate": "majority", "form": "hard"},
    "smoothed": {"aggregate": "smoothed", "form": "soft"},
    "matched": {"aggregate": {"kind": "smoothed", "alpha": "matched"}, "form": "soft"},
    "mean": {"aggregate": "class_mean", "form": "soft"},
    "agreed": {"aggregate": {"kind": "unanimous", "min_agreement": 0.7}, "form": "soft"},
    "shuffled": {"aggregate": "shuffled", "form": "soft"},
    "even": {"aggregate": "fixed_argmax", "form": "soft"},
    "permuted": {"aggregate": {"kind": "fixed_argmax", "spread": "permuted"}, "form": "soft"},
    "swapped": {"aggregate": "fixed_spread", "form": "soft"},
    "always": {"aggregate": {"kind": "fixed_spread", "swap": "always"}, "form": "soft"},
    "mine": {"aggregate": {"kind": "file", "path": "my labels.csv"}, "form": "soft"},
}


def raw(labels=LABELS, folder=".", **source):
    source = {"kind": "synthetic", "items": 60, "pixels": 16, "classes": "colour", "votes": 5, **source}
    return {
        "data_folder": str(folder),
        "datasets": {"shapes": {"source": source}},
        "splits": {"random": {"allow_missing_class": True}},
        "recipes": {"quick": {"network": "compact", "epochs": 1}},
        "labels": {"hard": LABELS["hard"], **labels},
        "studies": {"one": {"datasets": ["shapes"], "recipes": ["quick"], "labels": list(labels), "seeds": [0, 7]}},
    }  # fmt: skip


def test_there_is_a_label_file_for_each_split_or_seed_where_it_depends_on_these():
    plan = Plan(raw())
    places = {name: tuple(plan.labels_of(name, "random", 7).values()) for name in LABELS}
    assert places == {
        **dict.fromkeys(("hard", "smoothed", "even", "always", "mine"), ("", "all")),
        **dict.fromkeys(("permuted", "swapped"), ("", "seed7")),
        **dict.fromkeys(("matched", "mean", "agreed", "shuffled"), ("/random", "seed7")),
    }


def test_a_label_made_of_others_depends_on_what_these_depend_on_and_takes_no_file():
    def of(*parts):
        return {"mean": {"aggregate": {"kind": "ensemble_mean", "of": list(parts)}, "form": "soft"}}

    for parts, place in {
        ("average", "shuffled"): ("/random", "seed7"),
        ("average", "fixed_spread"): ("", "seed7"),
        ("average", "laplace"): ("", "all"),
    }.items():
        assert tuple(Plan(raw(of(*parts))).labels_of("mean", "random", 7).values()) == place
    with pytest.raises(UserError, match=r"labels\.mean\.aggregate: 'file' is read from a file, expected aggregates"):
        Plan(raw(of("average", {"kind": "file", "path": "mine.csv"})))


def test_the_file_of_a_label_is_an_input_and_not_tracked():
    plan = Plan(raw(folder="/my data"))
    inputs = plan.label_inputs("shapes", "", "mine", "all")
    assert inputs["given"] == ["/my data/my labels.csv"]
    assert inputs["items"] == ["results/data/shapes/items.parquet"]
    aggregate = {"kind": "file", "item_column": None, "separator": ","}
    assert plan.of("label", label="mine", draw="all")["label"]["aggregate"] == aggregate
    assert plan.of("study", study="one")["labels"]["mine"]["aggregate"] == aggregate
    assert plan.label_inputs("shapes", "", "hard", "all")["given"] == []


@pytest.mark.parametrize(
    "labels, source, words",
    [
        ({"mine": {"aggregate": "file", "form": "soft"}}, {}, "labels.mine.aggregate: the key 'path' is missing"),
        ({"mine": {"aggregate": {"kind": "file", "path": "{x}.csv"}, "form": "soft"}}, {},
         "labels.mine.aggregate.path: found braces in {x}.csv, expected none"),
        ({"mine": {**LABELS["mine"], "votes": 3}}, {}, "labels.mine.votes: found 3, but the label is read from a file"),
        ({"few": {"aggregate": "laplace", "form": "soft"}}, {"votes": 0}, "few needs votes, and shapes has none"),
        ({"s": {"aggregate": "softmax_counts", "form": "soft"}}, {"votes": 0}, "the label s needs votes"),
        ({"s": {"aggregate": {"kind": "smoothed", "alpha": 2}, "form": "soft"}}, {}, "s.aggregate.alpha: found 2"),
        ({"s": {"aggregate": {"kind": "smoothed", "alpha": "best"}, "form": "soft"}}, {},
         'labels.s.aggregate.alpha: found "best", expected a finite number or matched.'),
        ({"s": {"aggregate": {"kind": "smoothed", "alpha": 1.5}, "form": "soft"}}, {},
         "labels.s.aggregate.alpha: found 1.5, expected at most 1 or matched."),
        ({"s": {"aggregate": "average", "form": "soft", "votes": 0}}, {},
         "labels.s.votes: found 0, expected at least 1 or all."),
        ({"s": {"aggregate": "majority", "form": "hard", "delivery": "multipass"}}, {},
         "labels.s.delivery: found 'multipass' with the form hard, of which each epoch would show the same."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_of_the_configuration(labels, source, words):
    with pytest.raises(UserError) as error:
        Plan(raw(labels, **source))
    assert words in str(error.value)


def test_check_tells_missing_files_and_items_without_a_label(tmp_path):
    problems = Problems()
    list(check.check(raw(folder=tmp_path), problems))
    path = tmp_path / "my labels.csv"
    assert [*problems.messages] == [
        f"labels.mine.aggregate.path: {path}: no such file. Correct the path, or data_folder."
    ]
    assert Plan(raw(folder=tmp_path)).label_files("mine") == {"path": str(path)}
    content = contract_names(tmp_path)
    path.write_text("item,r,g,b\n" + "".join(f"{name},1,0,0\n" for name in content[:40]))
    problems = Problems()
    notes = list(check.check(raw(folder=tmp_path), problems))
    assert not problems.messages
    nothing = "of 60 images have no label; nothing is learned from those of the training part."
    assert f"labels.mine: 20 {nothing}" in notes
    assert any(note.startswith("labels.agreed: ") and note.endswith(nothing) for note in notes)
    path.write_text("item,r,g,b\nsomething,1,0,0\n")
    list(check.check(raw(folder=tmp_path), problems))
    (problem,) = problems.messages
    assert problem.startswith(f"datasets.shapes with labels.mine: {path}: line 2: found the item 'something'")


def contract_names(tmp_path, **source):
    """The names of the items of the generated set."""
    from softlabels.datasets import data

    outputs = {name: tmp_path / f"made-{name}" for name in ("images", "items", "annotations", "reference")}
    data.run(Plan(raw(**source)).told("data", dataset="shapes"), {}, outputs)
    return io.read_table(outputs["items"])[0].column("name").to_pylist()


def test_the_job_writes_what_the_aggregate_gives_with_its_facts(tmp_path):
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference", "items", "split")}
    contract.write_annotations(inputs["annotations"], contract.Votes.of_counts(COUNTS), CLASSES)
    contract.write_items(inputs["items"], [f"{k}.png" for k in range(len(COUNTS))])
    write_reference(inputs["reference"], COUNTS / COUNTS.sum(axis=1, keepdims=True), COUNTS.sum(axis=1), CLASSES)
    write_split(inputs["split"], np.array([0, 0, 0, 0, 1, 2, 1]), None, {})
    aggregates = {"unanimous": {"min_agreement": 0.75}, "shuffled": {}, "fixed_spread": {"swap": "always"}}
    for name, aggregate in aggregates.items():
        options = {"aggregate": {"kind": name, **aggregate}, "form": "soft"}
        options |= {"votes": "all", "ties": "lowest_index", "seed": 0}
        label.run({"label": options, "draw": "seed0"}, inputs, {"labels": tmp_path / "out.parquet"})
        found = read_labels(tmp_path / "out.parquet")
        assert found.item.tolist() == ([0, 1, 4, 5, 6] if name == "unanimous" else [*range(7)])
        assert io.read_table(tmp_path / "out.parquet", [])[1]["aggregate"] == name
    # A hard label is the class that the label finds most likely, not that of the votes.
    label.run({"label": options | {"form": "hard"}, "draw": "seed0"}, inputs, {"labels": tmp_path / "out.parquet"})
    assert read_labels(tmp_path / "out.parquet").p.argmax(axis=1).tolist() == [0, 1, 1, 1, 2, 0, 3]


def of_some(tmp_path, counts, items, parts=None, ties="lowest_index", **aggregate):
    """The label file of ``items`` of the training part, as the command makes it of these counts."""
    n = len(counts)
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference", "items", "split")}
    contract.write_annotations(inputs["annotations"], contract.Votes.of_counts(counts), ["a", "b"])
    contract.write_items(inputs["items"], [f"{k}.png" for k in range(n)])
    write_reference(inputs["reference"], counts / counts.sum(axis=1, keepdims=True), counts.sum(axis=1), ["a", "b"])
    write_split(inputs["split"], np.zeros(n, int) if parts is None else parts, None, {})
    options = {"aggregate": {**schema.defaults("aggregate", aggregate["kind"]), **aggregate}, "form": "soft",
               "votes": "all", "ties": ties, "seed": 0} | ({"items": items} if items else {})  # fmt: skip
    if aggregate["kind"] == "file":
        inputs["given"] = tmp_path / "given.csv"
    label.run({"label": options, "draw": "seed0"}, inputs, {"labels": tmp_path / "out.parquet"})
    return read_labels(tmp_path / "out.parquet")


@pytest.mark.parametrize(
    ("aggregate", "ties", "found"), [("unanimous", "lowest_index", 10), ("average", "drop", 15), ("file", "random", 9)]
)
def test_fewer_labels_than_items_were_asked_for_are_refused(tmp_path, aggregate, ties, found):
    counts = np.tile([[4, 0], [3, 1], [2, 2], [0, 4]], (5, 1))
    pd.DataFrame({"item": [f"{k}.png" for k in range(9)], "a": 0.5, "b": 0.5}).to_csv(
        tmp_path / "given.csv", index=False
    )
    words = rf"items is 20, but {found} of the images that were drawn .* '{aggregate}' with 'ties: {ties}' leaves"
    with pytest.raises(UserError, match=words):
        of_some(tmp_path, counts, 20, ties=ties, kind=aggregate)
    assert len(of_some(tmp_path, counts, 20, ties="random", kind="average").item) == 20


def test_shuffled_labels_of_some_items_are_those_of_these_items(tmp_path):
    counts = np.column_stack([np.arange(60, 120), np.arange(60)])  # no two alike, all of one class
    parts = np.repeat([0, 1, 2], 20)
    bought = of_some(tmp_path, counts, 8, parts, kind="average")
    moved = of_some(tmp_path, counts, 8, parts, kind="shuffled")
    assert moved.item.tolist() == bought.item.tolist()
    train = bought.item < 20
    assert train.sum() == 8 and (moved.p != bought.p).any(axis=1).all()
    assert sorted(moved.p[train].tolist()) == sorted(bought.p[train].tolist())


def test_tables_and_logs_tell_absent_classes_and_items_that_keep_their_own(tmp_path, capsys):
    counts = np.array([[3, 0]] * 5 + [[0, 3]] * 2)
    runs, lone, parts = {}, np.array([0] * 5 + [1, 2]), np.array([0] * 3 + [1] * 2 + [0] * 2)
    for seed, kind in enumerate(["class_mean", "shuffled", "average", "shuffled"]):
        of_some(tmp_path, counts, 4 if kind == "class_mean" else None, parts if seed == 3 else lone, kind=kind)
        path = tmp_path / f"{seed}.parquet"
        write_scores(
            path, {("test", "all", "none", "kl"): 0}, ["a", "b"], 1e-8, {}, read_estimate(tmp_path / "out.parquet")
        )
        runs[f"shapes/random/quick/{kind}/seed{seed}"] = {study.STANDARD: SimpleNamespace(
            content=SimpleNamespace(path=str(path)))}  # fmt: skip
    absent = "no training item that counts for it is of the class b."
    alone = "up to 2 items are alone in their part and class, and keep their own label."
    assert [text.partition(": ")[2] for text in study._estimated({"labels": {}}, runs)] == [
        absent, alone.replace("label.", "label (in 1 of 2 runs).")
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert f"class_mean: {absent}" in out and f"shuffled: {alone}" in out
    some = [*remarks.of([{"absent": ["b"]}, {"absent": ["a", "b"]}, {}], "runs")]
    assert some == [absent.replace("class b.", "class b, a (in 2 of 3 runs).")]


@pytest.mark.usefixtures("no_foreign_modules")
def test_a_study_says_which_labels_lack_items_and_its_audit_has_no_fault(tmp_path):
    names, path = contract_names(tmp_path, items=120), tmp_path / "my labels.csv"
    path.write_text("item,r,g,b\n" + "".join(f"{name},0.2,0.3,0.5\n" for name in names[:90]))
    labels = {name: LABELS[name] for name in ("hard", "agreed", "permuted", "mine")}
    config = raw(labels, tmp_path, items=120)
    config["recipes"]["quick"]["batch"] = 32
    config["studies"] = {"small": {**config["studies"]["one"], "seeds": [0, 1], "figures": []}}
    root = finished_run.build(tmp_path / "results", config)
    lack = {"agreed": np.zeros((2, 2)), "mine": np.zeros((2, 2))}  # by seed and part
    for seed in (0, 1):
        split = read_split(root / f"splits/shapes/random/seed{seed}.parquet")
        for name, file in {"agreed": f"random/agreed/seed{seed}", "mine": "mine/all"}.items():
            there = read_labels(root / f"labels/shapes/{file}.parquet").item
            lack[name][seed] = [len(np.setdiff1d(split.items(part), there)) for part in ("train", "val")]
    assert (lack["agreed"][:, 1] == 0).all()
    text = (root / "studies/small/table.md").read_text()
    (agreed, _), (train, val) = (lack[name].mean(axis=0) for name in lack)
    rest = "have no label (the mean over its runs); nothing is learned from them."
    assert f"Label agreed (shapes, split random): {agreed:.0f} of 72 training items {rest}" in text
    both = f"{train:.0f} of 72 training items and {val:.0f} of 24 validation items"
    assert f"Label mine (shapes, split random): {both} {rest}" in text
    assert "Label hard" not in text and "Label permuted" not in text

    again = []

    def faults():
        (tmp_path / "study.yaml").write_text(json.dumps(config | {"results": str(root)}))
        verdicts = audit.audit(root, ["small"], configfile=tmp_path / "study.yaml", dry_run=False)
        again.append(next(str(one.evidence) for one in verdicts if one.id == "A19"))
        return {one.id: str(one.evidence) for one in verdicts if one.verdict == "fail"}

    assert faults() == {}, faults()
    assert "fixed_argmax" in again[0] and "mine" not in again[0]
    path.write_text(path.read_text().replace("0.2,0.3,0.5", "0.3,0.2,0.5"))
    found = faults()
    assert [*found] == ["A05"] and "my labels.csv" in found["A05"]
    assert f"labels/shapes/mine/all.parquet: was not made again: {path} has changed" in again[-1]
    parquet, options = tmp_path / "labels.parquet", {"item_column": None, "separator": ","}
    GOOD.to_parquet(parquet)
    GOOD.to_csv(path, index=False)
    for file in (parquet, path):
        p = recompute_labels.given(file, NAMES, ["a", "b", "c"], options)
        np.testing.assert_allclose(p, [[0.3333, 0.6667, 0], [0, 0, 0], [0.75, 0.25, 0]], rtol=1e-6)


def test_none_of_them_is_set_beside_the_papers_table():
    for kind in OURS:
        for form in ("soft", "hard"):
            assert paper.role({"aggregate": {"kind": kind}, "form": form}) is None
            assert not paper.numbers("synthetic", {"aggregate": {"kind": kind}, "form": form})


def test_every_label_type_stands_in_the_documentation():
    text = (places.REPOSITORY / "docs/labels.md").read_text()
    assert [kind for kind in registry.names("aggregate") if f"`{kind}`" not in text] == []
