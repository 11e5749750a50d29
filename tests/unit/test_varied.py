"""Studies that vary keys: the definitions and names of their points, what they share, and what is refused."""

import copy
import csv
import json
import re
import shutil
import textwrap
import time

import finished_run
import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from softlabels import config, io, registry, varied
from softlabels.errors import UserError
from softlabels.places import NAME, REPOSITORY
from softlabels.plan import Plan
from softlabels.provenance import audit, manifest
from softlabels.provenance.explain import explain
from softlabels.resources import extent
from softlabels.studies.ledger_view import Ledger

RAW = {
    "datasets": {"shapes": {"source": {"kind": "synthetic", "items": 60, "votes": 3}}},
    "recipes": {"quick": {"network": "compact", "epochs": 4}, "slow": {"network": "compact", "epochs": 8}},
    "studies": {"s": {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1]}},
}


def raw_of(sections=None, **study):
    raw = copy.deepcopy(RAW)
    raw["studies"]["s"] |= study
    return raw | (sections or {})


def grid(sections=None, **study):
    return config.resolve(raw_of(sections, **study)).grids["s"]


def problems(sections=None, **study):
    with pytest.raises(UserError) as caught:
        config.resolve(raw_of(sections, **study))
    return str(caught.value).splitlines()[1:]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ({"recipe.epochs": 10}, "quick__epochs_10"),
        ({"recipe.rate": 0.01}, "quick__rate_0p01"),
        ({"recipe.rate": "1e-5"}, "quick__rate_1em05"),  # YAML reads it as text
        ({"recipe.augment.zoom": 0.5}, "quick__zoom_0p5"),
        ({"recipe.momentum": 0.5}, "quick__momentum_0p5"),  # a short key lies elsewhere
        ({"recipe.schedule": "constant"}, "quick__schedule_constant"),
        ({"recipe.schedule": {"kind": "constant"}}, "quick__schedule_constant"),
        (
            {"recipe.schedule": {"kind": "warm_restarts", "first_cycle": 2}},
            "quick__schedule_warm_restarts_first_cycle_2",
        ),
        ({"recipe.augment.saturation": [0.8, 1.2]}, "quick__saturation_0p8_1p2"),
        ({"recipe.augment.quarter_turns": False}, "quick__quarter_turns_false"),
        ({"recipe.rate": 0.2, "recipe.epochs": 10}, "quick__epochs_10__rate_0p2"),  # in the order of the keys
        ({"recipe.rate": 0.2, "recipe.epochs": 4}, "quick__rate_0p2"),  # 4 is the base's own
        ({"recipe.epochs": "4", "recipe.schedule": {"kind": "cosine"}}, "quick"),
    ],
)
def test_a_point_is_called_by_what_differs_from_the_base(point, name):
    assert [found.recipe for found in grid(points=[point])] == [name]


def test_every_kind_of_definition_can_be_varied_and_each_base_of_a_kind_is():
    keys = {
        "source.votes": 5,
        "dataset.reference": "exact",
        "split.val": 0.05,
        "split.test": 0.35,
        "label.ties": "drop",
    }
    (found,) = grid(points=[keys])
    assert found.dataset == "shapes__reference_exact__votes_5"
    assert found.split == "random__test_0p35__val_0p05"
    assert found.labels == {"hard": "hard__ties_drop", "soft": "soft__ties_drop"}
    assert found.base == ("shapes", "random", "quick")
    assert found.values == {key: str(value) for key, value in keys.items()}
    recipes = [found.recipe for found in grid(recipes=["quick", "slow"], vary={"recipe.epochs": [8, 4]})]
    assert recipes == ["quick__epochs_8", "quick", "slow", "slow__epochs_4"]


def test_long_names_are_cut_and_texts_that_no_name_can_hold_stay_apart():
    values = {"zoom": 0.5, "hue": 0.1, "brightness": 0.25, "zoom_probability": 0.125, "contrast": [0.5, 1.5]}
    many = {f"recipe.augment.{key}": value for key, value in values.items()}
    names = [found.recipe for found in grid(points=[many, many | {"recipe.rate": 0.5}])]
    assert all(len(name) == 80 and re.fullmatch(rf"{NAME}_[0-9a-f]{{8}}", name) for name in names)
    assert len(set(names)) == 2
    files = [{"recipe.weights": "file", "recipe.weights_file": file} for file in ("a/b.pt", "a_b.pt", "A_b.pt")]
    assert len({found.recipe for found in grid(points=files)}) == 3
    assert all(re.fullmatch(NAME, found.recipe) for found in grid(points=files))


OWN = {
    "module": """
        def loss(logits, target, index, state, options):
            return logits.sum(dim=1)

        ENTRY = {"kind": "loss", "about": "Any.", "options": {"gamma": {"type": "number", "default": 2}}}
        """,
    "other": """
        def schedule(epoch, epochs, options):
            return 1.0

        ENTRY = {"kind": "schedule", "about": "Any.", "options": {"gamma": {"type": "number", "default": 2}}}
        """,
}


def test_a_key_is_named_wholly_where_another_of_its_definition_ends_alike(tmp_path):
    for name, text in OWN.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    recipe = {"network": "compact", "loss": "module:loss", "schedule": "other:schedule"}
    sections = {"modules": str(tmp_path), "recipes": {"quick": recipe}}
    points = [{"recipe.loss.gamma": 1}, {"recipe.schedule.gamma": 1}, {"recipe.optimiser.momentum": 0.5}]
    names = [point.recipe for point in grid(sections, points=points)]
    assert names == ["quick__loss_gamma_1", "quick__schedule_gamma_1", "quick__momentum_0p5"]


def test_a_definition_is_that_of_a_study_which_writes_it_down():
    plan = Plan(raw_of(vary={"recipe.epochs": [4, 9], "source.votes": [3, 7]}))
    recipe = {"network": "compact", "epochs": 9}
    written = Plan(raw_of({"recipes": {"quick__epochs_9": recipe}}, recipes=["quick__epochs_9"]))
    names = {"dataset": "shapes", "split": "random", "recipe": "quick__epochs_9", "label": "soft", "seed": "1"}
    assert plan.json("train", **names) == written.json("train", **names)
    assert plan.config["datasets"]["shapes__votes_7"]["source"]["votes"] == 7


def test_a_varied_kind_brings_its_own_defaults():
    recipes = {"quick": {"network": "compact", "schedule": "warm_restarts"}}
    varied_kind = grid({"recipes": recipes}, vary={"recipe.schedule.kind": ["warm_restarts", "constant"]})
    assert [point.recipe for point in varied_kind] == ["quick", "quick__schedule_kind_constant"]
    assert [point.split for point in grid(vary={"split.kind": ["random", "folds"]})] == ["random", "random__kind_folds"]
    recipes["quick"]["schedule"] = {"kind": "warm_restarts", "first_cycle": 3}
    (told,) = problems({"recipes": recipes}, vary={"recipe.schedule.kind": ["constant"]})
    assert "unknown key 'first_cycle'; it is an option of the schedule warm_restarts" in told


def test_studies_share_the_runs_at_the_value_of_the_base():
    plain, varying = Plan(raw_of()), Plan(raw_of(vary={"recipe.epochs": [2, 4]}))
    shared = {
        plain.path("train", "model", **names): plain.json("train", **names) for _, names in plain.jobs("s", "train")
    }
    files = {varying.path("train", "model", **n): varying.json("train", **n) for _, n in varying.jobs("s", "train")}
    assert shared.items() < files.items()
    assert len(files) == 2 * len(shared)


def test_the_budget_study_shares_the_runs_of_the_default():
    default, budget = (Plan(config.read(REPOSITORY / f"config/{name}.yaml")) for name in ("config", "learning_budget"))
    runs = {plan: {plan.path("train", "model", **names): plan.json("train", **names)
                   for study in plan.config["studies"] for _, names in plan.jobs(study, "train")}
            for plan in (default, budget)}  # fmt: skip
    assert runs[default].items() < runs[budget].items()
    assert len(runs[budget]) == 60


def test_the_example_of_the_readme_is_a_study_of_the_default():
    readme = (REPOSITORY / "config/README.md").read_text()
    text = re.search(r"## Vary anything.*?```yaml\n(.*?)```", readme, re.DOTALL)[1]
    raw = config.read(REPOSITORY / "config/config.yaml") | yaml.safe_load(text)
    assert extent(Plan(raw | {"results": "nowhere"}), "budget").startswith("72 trainings, about ")


def test_points_need_not_be_a_product_and_a_key_that_one_leaves_out_is_the_base_s():
    plan = Plan(raw_of(points=[{"recipe.epochs": 1}, {"source.votes": 9}, {}]))
    assert [found.values for found in plan.config.grids["s"]] == [
        {"recipe.epochs": "1", "source.votes": "3"},
        {"recipe.epochs": "4", "source.votes": "9"},
        {"recipe.epochs": "4", "source.votes": "3"},
    ]
    runs = {(n["dataset"], n["recipe"]) for _, n in plan.jobs("s", "train")}
    assert runs == {("shapes", "quick__epochs_1"), ("shapes__votes_9", "quick"), ("shapes", "quick")}
    assert len(list(plan.jobs("s", "train"))) == 3 * 2 * 2
    assert [names["dataset"] for _, names in plan.jobs("s", "data")] == ["shapes", "shapes__votes_9"]
    assert len(list(plan.jobs("s", "references"))) == 2 * 2
    assert plan.card_splits("shapes__votes_9") == [("random", 0), ("random", 1)]


def test_points_with_names_have_one_column_in_place_of_their_keys():
    points = [{"name": "all as it is"}, {"name": "fewer, longer", "source.votes": 9, "recipe.epochs": 8}]
    plan = Plan(raw_of(points=points))
    assert [found.values for found in plan.config.grids["s"]] == [
        {"dataset.point": "all as it is"},
        {"dataset.point": "fewer, longer"},
    ]
    told = plan.of("study", study="s")
    assert told["varied"] == ["dataset.point"]
    assert [point["names"] for point in told["points"]] == [
        ["shapes", "random", "quick"],
        ["shapes__votes_9", "random", "quick__epochs_8"],
    ]


def test_names_of_points_are_all_there_and_differ():
    (problem,) = problems(points=[{"name": "one"}, {"recipe.epochs": 1}])
    assert problem == "  - studies.s.points: 1 of 2 have no name. Name all, or none."
    (problem,) = problems(points=[{"name": "one"}, {"name": "one", "recipe.epochs": 1}])
    assert problem == "  - studies.s.points: two are called 'one'. Rename one."
    (problem,) = problems(vary={"name": ["one", "two"]})
    assert problem.startswith("  - studies.s: found the key 'name', expected one that begins with")


def test_a_study_that_varies_nothing_is_told_nothing_new():
    told = Plan(RAW).of("study", study="s")
    assert not told.keys() & {"varied", "points"}
    assert [figure["kind"] for figure in Plan(RAW).config["studies"]["s"]["figures"]] == ["embedding", "curves"]


def test_resolving_twice_changes_nothing():
    once = config.resolve(raw_of(vary={"recipe.epochs": [2, 4]}))
    again = config.resolve(json.loads(json.dumps(once)))
    assert (again, again.grids) == (once, once.grids)


# -- figures -----------------------------------------------------------------------------------------------------------


def test_by_default_a_figure_is_drawn_over_each_key_with_numbers_and_nothing_is_embedded():
    plan = Plan(
        raw_of(vary={"recipe.epochs": [2, 4], "recipe.schedule": ["cosine", "constant"], "source.votes": [3, 5]})
    )
    assert list(plan.figures("s")) == ["over__key_epochs", "over__key_votes"]
    assert not list(plan.jobs("s", "embed"))
    asked = Plan(raw_of(vary={"recipe.epochs": [2, 4], "label.ties": ["drop", "random"]}, figures=["embedding"]))
    embedded = [(names["recipe"], names["label"], names["seed"]) for _, names in asked.jobs("s", "embed")]
    assert embedded == [
        (recipe, f"{label}__ties_{ties}", 0)
        for recipe in ("quick__epochs_2", "quick")
        for ties in ("drop", "random")
        for label in ("hard", "soft")
    ]
    block = {"study": "s", "figure": "embedding", "block": "-shapes-random-quick"}
    assert asked.of("figure", **block)["labels"] == [label for recipe, label, _ in embedded if recipe == "quick"]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ({"vary": {"recipe.epoch": [1]}}, ["'recipe.epoch'", "'epoch' of recipes.quick", "did you mean 'epochs'?"]),
        ({"vary": {"recipe.schedule.first_cycle": [1]}}, ["'first_cycle' of recipes.quick.schedule"]),
        ({"vary": {"network.x": [1]}}, ["'network.x'", "Did you mean 'recipe.network.x'?"]),
        ({"vary": {"recipes.epochs": [1]}}, ["Did you mean 'recipe.epochs'?"]),
        ({"vary": {"recipe..epochs": [1]}}, ["Did you mean 'recipe.epochs'?"]),
        ({"vary": {"dataset.paper": ["mice_bone"]}}, ["'dataset.paper' changes no result"]),
        ({"vary": {"recipe.epochs": 5}}, ["studies.s.vary.recipe.epochs: found 5, expected a list"]),
        ({"vary": {"recipe.epochs": []}}, ["studies.s.vary.recipe.epochs: found [], expected 1 entries or more"]),
        ({"vary": {"recipe.epochs": [5, 5]}}, ["studies.s.vary.recipe.epochs: found [5, 5], expected no entry twice"]),
        ({"vary": {"recipe.epochs": [5, "5"]}}, ["studies.s: points 1 and 2 are the same (recipe.epochs 5)"]),
        ({"points": [{"recipe.epochs": 5}, {}, {"recipe.epochs": 4}]}, ["points 2 and 3 are the same"]),
        ({"points": [5]}, ["studies.s.points.0: found 5, expected keys with values"]),
        ({"points": [{}]}, ["studies.s.points: found no key"]),
        ({"vary": {"recipe.epochs": [5]}, "points": [{"recipe.epochs": 5}]}, ["gives 'vary' and 'points'"]),
        ({"vary": {"source.votes": [5], "dataset.source.votes": [6]}}, ["are the same key"]),
        ({"vary": {"recipe.momentum": [0.5], "recipe.optimiser.momentum": [0.5]}}, ["are the same key"]),
        ({"vary": {"recipe.epochs": [5, "ten"], "recipe.rate": [0.1, 0.2]}},
         ['studies.s, point 3 (recipe.epochs ten, recipe.rate 0.1): recipes.quick.epochs: found "ten", expected']),
        ({"points": [{"split.train": 0.5}]},
         ["studies.s, point 1 (split.train 0.5): splits.random: train + val + test is 0.9, expected 1."]),
        ({"points": [{"recipe.epochs": 5}, {"recipe.warmup_epochs": 4}]},
         ["studies.s, point 2 (recipe.warmup_epochs 4): recipes.quick.warmup_epochs: found 4, expected"]),
        ({"points": [{"recipe.loss": "cross_entrpy"}]}, ["point 1 (recipe.loss cross_entrpy)", "'cross_entropy'?"]),
        ({"figures": ["over"]}, ["over: found no key, expected one that the study varies over numbers: none"]),
        ({"vary": {"recipe.epochs": [5, 6]}, "figures": [{"kind": "over", "key": "rate"}]}, ["the key 'rate'"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_problem_that_names_study_and_key_or_point(study, said):
    (problem,) = problems(**study)
    assert problem.startswith("  - studies.s")
    assert [words for words in said if words not in problem] == []


def test_all_mistakes_stand_in_one_list():
    found = problems(points=[{"recipe.epochs": "ten"}, {"recipe.epochs": -1}, {"split.train": 0.5}, {"recipe.rate": 0}])
    assert len(found) == 4


def test_a_name_that_the_user_has_given_to_something_else_is_refused_and_the_same_thing_is_shared():
    vary, recipe = {"recipe.epochs": [9]}, {"network": "compact", "epochs": 9}
    other = {"recipes": RAW["recipes"] | {"quick__epochs_9": recipe | {"rate": 0.5}}}
    (problem,) = problems(other, vary=vary)
    assert "recipes.quick__epochs_9: is what studies.s, point 1 (recipe.epochs 9): recipes.quick would be" in problem
    same = {"recipes": RAW["recipes"] | {"quick__epochs_9": recipe}}
    assert [found.recipe for found in grid(same, vary=vary)] == ["quick__epochs_9"]


@pytest.mark.parametrize("exponent", [5, 9, 18])
def test_a_product_that_is_too_large_is_refused_at_once(exponent):
    keys = ["recipe.epochs", "recipe.batch", *(f"recipe.key{k}" for k in range(exponent - 2))]
    started = time.monotonic()
    (problem,) = problems(vary={key: list(range(2, 12)) for key in keys})
    assert time.monotonic() - started < 5
    assert f"found {4 * 10**exponent:,} runs, expected at most 1,000." in problem
    assert f"set limit: {4 * 10**exponent} in the study" in problem


def test_a_larger_limit_lets_a_larger_study_through_and_one_that_varies_nothing_needs_none():
    epochs = list(range(1, 301))
    assert "found 1,200 runs" in problems(vary={"recipe.epochs": epochs})[0]
    assert len(grid(vary={"recipe.epochs": epochs}, limit=1200)) == 300
    assert len(list(Plan(raw_of(seeds=list(range(600)))).jobs("s", "train"))) == 1200


def test_a_file_name_that_no_file_system_takes_is_refused():
    long = {f"recipe.augment.{key}": 0.12345678901 for key in ("zoom", "hue", "brightness", "zoom_probability")}
    point = long | {"label.seed": 12345678901234567890, "source.seed": 12345678901234567890, "source.items": 61}
    names = {"shapes" * 12: RAW["datasets"]["shapes"]}
    sections = {"datasets": names, "splits": {"random" * 10: {}}}
    study = {"datasets": list(names), "splits": ["random" * 10], "points": [point]}
    (problem,) = problems(sections, **study, figures=["embedding"])
    assert "expected at most 230 characters" in problem
    assert grid(sections, **study)


def test_what_is_seldom_meant_is_told_of_the_point():
    vary = {"recipe.augment.hue": [0, 0.1]}
    (warning,) = config.warnings(config.resolve(raw_of(vary=vary)))
    assert warning.startswith("studies.s, point 2 (recipe.augment.hue 0.1): recipes.quick: augment.hue can make")
    vary |= {"recipe.epochs": [1, 2, 3]}
    (warning,) = config.warnings(config.resolve(raw_of(vary=vary)))
    assert "augment.hue (and 2 other recipes of the study) can make the labels of shapes wrong" in warning


def test_values_stand_on_an_axis_by_their_numbers_and_words_to_their_right():
    scale_of = registry.load("figure", "over").__globals__["scale_of"]
    assert not scale_of(["5", "80", "10"]).log
    assert scale_of(["1", "21", "all"]).log
    places = scale_of(["1", "all", "10", "3"]).at
    assert sorted(places, key=places.get) == ["1", "3", "10", "all"]
    assert varied.number("all") is None


# -- from points to tables ---------------------------------------------------------------------------------------------

OVER = {"kind": "over", "key": "epochs", "metrics": ["macro_acc", "macro_acc@shape", "epoch.0.2"]}
STUDY = {
    "datasets": {"shapes": {**finished_run.VOTED, "paper": "synthetic"}},
    "recipes": {"quick": finished_run.QUICK},
    "studies": {"s": {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1], "metrics": ["macro_acc", "kl"],
                      "points": [{}, {"recipe.epochs": 2}, {"source.votes": 9, "label.form": "soft"}],
                      "tables": ["main", {"kind": "epochs", "accuracy": 0.2}, "differences", "strata", "references"],
                      "figures": ["over", OVER]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])
        return finished_run.build(tmp_path_factory.mktemp("varied") / "results", STUDY, ("figure",))


def rows(made):
    return io.read_table(made / "studies/s/cells.parquet")[0].to_pylist()


def test_the_ledger_has_a_column_for_each_key_and_rows_by_base(made):
    found = [
        row for row in rows(made) if row["kind"] == "measured" and row["metric"] == "kl" and row["statistic"] == "mean"
    ]
    assert [(row["recipe.epochs"], row["source.votes"], row["label.form"], row["label"]) for row in found] == [
        ("1", "5", "hard / soft", "hard"), ("1", "5", "hard / soft", "soft"),
        ("2", "5", "hard / soft", "hard"), ("2", "5", "hard / soft", "soft"),
        ("1", "9", "soft", "hard"), ("1", "9", "soft", "soft"),
    ]  # fmt: skip
    assert {(row["dataset"], row["split"], row["recipe"]) for row in found} == {("shapes", "random", "quick")}
    assert found[4]["runs"] == [f"shapes__votes_9/random/quick/hard__form_soft/seed{seed}" for seed in (0, 1)]


def test_rows_without_a_network_stand_beside_those_of_every_recipe_and_label(made):
    numbers = {}  # of each point, whose columns may stand in several panels
    for line in (made / "studies/s/table.md").read_text().splitlines():
        if "| several people" in line and "| panel |" in line:
            point, _, cells = line.partition("| panel |")
            numbers.setdefault(point, []).extend(re.findall(r"\d\.\d+ ± ", cells))
    assert [len(found) for found in numbers.values()] == [2, 2, 2]  # CE and accuracy against votes


def test_a_number_has_no_value_of_a_key_that_it_does_not_depend_on(made):
    keys = ("recipe", "recipe.epochs", "source.votes", "label.form")
    uniform = {tuple(row[key] for key in keys) for row in rows(made) if row["label"] == "uniform"}
    assert uniform == {(None, None, "5", None), (None, None, "9", None)}
    paper = {(row["label"], *(row[key] for key in keys)) for row in rows(made) if row["kind"] == "paper"}
    assert paper == {("hard", None, None, None, "hard / soft"), ("soft", None, None, None, "hard / soft"),
                     ("soft", None, None, None, "soft")}  # fmt: skip


def test_tables_csv_and_items_have_the_columns(made):
    folder = made / "studies/s"
    with (folder / "table.csv").open() as file:
        assert {"recipe.epochs", "source.votes", "label.form"} <= set(next(csv.DictReader(file)))
    with (folder / "items.csv").open() as file:
        assert {(row["recipe.epochs"], row["source.votes"]) for row in csv.DictReader(file)} == {
            ("1", "5"), ("2", "5"), ("1", "9")
        }  # fmt: skip
    text = (folder / "table.md").read_text()
    assert "| data set | epochs | votes | form | hard: ACC ↑ |" in text
    assert "shapes, epochs 2, votes 5, form hard / soft" in text
    assert [name["names"] for name in io.read_json(folder / "config.json")["points"]][1] == [
        "shapes", "random", "quick__epochs_2"
    ]  # fmt: skip


def test_the_audit_follows_every_number_of_every_point(made):
    # The environment of a test run may have packages that no lock file has.
    failed = {verdict.id: verdict.evidence for verdict in audit.audit(made, dry_run=False) if verdict.verdict == "fail"}
    assert not failed.keys() - {"A09"}, failed


def test_the_audit_notices_a_value_that_was_changed(made, tmp_path):
    copied = shutil.copytree(made, tmp_path / "results")
    cells, facts = io.read_table(copied / "studies/s/cells.parquet")
    column = cells.column_names.index("recipe.epochs")
    changed = ["3" if value == "2" else value for value in cells.column(column).to_pylist()]
    io.write_table(copied / "studies/s/cells.parquet", cells.set_column(column, "recipe.epochs", [changed]), facts)
    failed = {verdict.id for verdict in audit.audit(copied, dry_run=False) if verdict.verdict == "fail"}
    assert {"A01", "A02", "A03"} <= failed


def test_explain_takes_values_as_words_and_by_the_name_of_their_key(made):
    folder = str(made / "studies/s")
    found = explain(folder, "soft epochs=2", "kl")
    assert found["cell"]["runs"] == [f"shapes/random/quick__epochs_2/soft/seed{seed}" for seed in (0, 1)]
    assert explain(folder, "soft - hard source.votes=9", "kl")["cell"]["kind"] == "difference"
    sides = [node["facts"]["side"] for node in explain(folder, "soft - hard votes=9", "kl")["tree"]["below"][2:]]
    assert sides == ["soft", "soft", "hard (subtracted)", "hard (subtracted)"]
    with pytest.raises(UserError, match="could be 2 numbers"):
        explain(folder, "soft votes=5", "kl")
    with pytest.raises(UserError, match="Did you mean epochs"):
        explain(folder, "soft epoch=2", "kl")


def test_a_figure_shows_each_metric_in_rows_of_the_other_keys(made):
    names = [path.name for path in sorted((made / "studies/s/figures").glob("*.png"))]
    assert names[:1] + names[2:] == ["over__key_epochs.png", "over__key_votes.png"]
    assert names[1].startswith("over__key_epochs__metrics_macro_acc_macro_acc_shape_epoch_0_2_")
    told = {"study": "s", "labels": ["hard", "soft"], "seeds": [0, 1], "figure": {"kind": "over", "key": "epochs"}}
    figure = registry.load("figure", "over")(told, {"cells": made / "studies/s/cells.parquet"})
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 2 * 2  # two combinations of votes and form, two metrics
    lines = {line.get_label(): line for line in figure.axes[0].containers}
    assert set(lines) == {"hard", "soft"}
    x, y = lines["soft"].lines[0].get_data()
    wanted = {"label": "soft", "metric": "macro_acc", "kind": "measured", "statistic": "mean", "source.votes": "5"}
    due = [row["value"] for row in rows(made) if wanted.items() <= {**row, "runs": None, "files": None}.items()]
    assert list(y) == due
    assert [round(value) for value in x] == [1, 2]


def test_a_figure_shows_each_point_in_a_row(made):
    options = {"kind": "points", "metrics": None}
    told = {"study": "s", "labels": ["hard", "soft"], "seeds": [0, 1], "figure": options}
    draw = registry.load("figure", "points")
    figure = draw(told, {"cells": made / "studies/s/cells.parquet"})
    assert len(figure.axes) == 2  # metrics
    ledger = Ledger(io.read_table(made / "studies/s/cells.parquet")[0])
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(rows) == len(set(rows)) == len(ledger.blocks)
    marks = {mark.get_label(): mark for mark in figure.axes[0].containers}
    for label in ("hard", "soft"):
        means = [ledger.get(block, label, ledger.main[0])["mean"]["value"] for block in ledger.blocks]
        assert marks[label][0].get_xdata() == pytest.approx(means)
    figure = draw({**told, "figure": {**options, "metrics": ["kl@clear"]}}, {"cells": made / "studies/s/cells.parquet"})
    assert figure.axes[0].get_title() == "KL ↓, clear"


def test_a_study_whose_points_have_names_is_drawn_by_point():
    points = [{"name": "one"}, {"name": "two", "recipe.epochs": 2}]
    found = config.resolve(raw_of(points=points))["studies"]["s"]["figures"]
    assert found == [{"kind": "points", "metrics": None}]
    (problem,) = problems(points=points, figures=[{"kind": "points", "metrics": ["kl", "kll"]}])
    assert problem == "  - studies.s.figures: points has 'kll', no number of this study; did you mean 'kl'?"


def test_a_figure_shows_numbers_of_groups_and_epochs_with_the_interval_of_each(made):
    told = {"study": "s", "labels": ["hard", "soft"], "seeds": [0, 1], "figure": OVER}
    figure = registry.load("figure", "over")(told, {"cells": made / "studies/s/cells.parquet"})
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["ACC ↑", "ACC ↑, shape", "epoch of accuracy 0.2"]
    wanted = {"label": "soft", "metric": "macro_acc@shape", "kind": "measured", "source.votes": "5"}
    due = [row for row in rows(made) if wanted.items() <= {**row, "runs": None, "files": None}.items()]
    (line,) = [line for line in figure.axes[1].containers if line.get_label() == "soft"]
    assert list(line.lines[0].get_ydata()) == [row["value"] for row in due if row["statistic"] == "mean"]
    ends = {row["recipe.epochs"]: row["value"] for row in due if row["statistic"] == "low"}
    means = {row["recipe.epochs"]: row["value"] for row in due if row["statistic"] == "mean"}
    drawn = [segment[:, 1].min() for segment in line.lines[2][0].get_segments()]
    assert ends and drawn == pytest.approx([ends.get(epochs, mean) for epochs, mean in means.items()])


def test_explain_follows_an_epoch_to_the_histories(made):
    cells = [row for row in rows(made) if row["metric"] == "epoch.0.2"]
    reached = next(row for row in cells if row["kind"] == "measured" and row["statistic"] == "mean")
    label, epochs, votes = reached["label"], reached["recipe.epochs"], reached["source.votes"]
    found = explain(str(made / "studies/s"), f"{label} epochs={epochs} votes={votes}", "epoch.0.2")
    assert found["cell"]["value"] == reached["value"]
    metric, _, *runs = found["tree"]["below"]
    assert "evaluation/plateau.py" in metric["facts"]["code"] and "missing" not in metric["facts"]
    told = [run["facts"]["value"] for run in runs]
    assert np.mean(told) == reached["value"] and len(told) == reached["n"]
    history = runs[0]["below"][0]
    assert history["name"] == "history" and history["facts"]["made by"].startswith("softlabels train")
    assert "missing" not in history["facts"]


def test_the_audit_notices_an_epoch_that_no_history_gives(made, tmp_path):
    copied = shutil.copytree(made, tmp_path / "results")
    cells = copied / "studies/s/cells.parquet"

    def later(found):
        row = next(row for row in found if row["metric"] == "epoch.0.2" and row["kind"].startswith("run"))
        row |= {"value": row["value"] + 1, "printed": str(int(row["value"]) + 1)}

    finished_run.edit_table(cells, later)
    failed = {verdict.id: verdict.evidence for verdict in audit.audit(copied, dry_run=False)}
    assert any("epoch.0.2" in text for text in failed["A03"])


def test_a_figure_of_numbers_that_a_study_cannot_have_is_refused():
    for metric, hint in {
        "macro_acc@shpe": "did you mean 'macro_acc@shape'",
        "kl@clear": "kl@",
        "epoch.0.9": "epoch",
    }.items():
        with pytest.raises(UserError, match=f"over has '{metric}', no number of this study; .*{hint}"):
            changed = copy.deepcopy(STUDY)
            changed["studies"]["s"]["figures"] = [{**OVER, "metrics": [metric]}]
            Plan(changed)


def test_what_is_done_is_counted(made):
    plan = Plan({**STUDY, "results": str(made)})
    assert extent(plan, "s").startswith("12 trainings, 0 of them new")
    more = copy.deepcopy(STUDY)
    more["studies"]["s"]["points"].append({"recipe.epochs": 3})
    assert extent(Plan({**more, "results": str(made)}), "s").startswith("16 trainings, 4 of them new, about ")
