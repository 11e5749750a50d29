"""Predictions made elsewhere: read from files of any program, scored like ours, and never said to be more than that."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path

import finished_run
import numpy as np
import pandas as pd
import pytest
import yaml
from projects import REPOSITORY

from softlabels import adopt, check, config, contracts, io, launch, resources
from softlabels.documents import markdown
from softlabels.errors import Problems, UserError
from softlabels.labels import split
from softlabels.plan import Plan
from softlabels.provenance import audit, explain
from softlabels.studies.ledger_view import document

pytestmark = pytest.mark.usefixtures("no_foreign_modules")

LABELS, SEEDS = ("hard", "soft"), (0, 1)


def exported(root: Path, folder: Path) -> dict[str, dict]:
    """The predictions of a finished run in forms that other programs write, each as a recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    names = io.read_table(root / "data/shapes/items.parquet")[0].column("name").to_pylist()
    classes = contracts.read_reference(root / "data/shapes/reference.parquet").classes
    recipes = {form: {} for form in ("csv", "parquet", "array", "softmax", "tested")}
    for label in LABELS:
        for seed in SEEDS:
            run = root / f"runs/shapes/random/quick/{label}/seed{seed}"
            found = contracts.read_predictions(run / "predictions.parquet")
            table = pd.DataFrame(found.logits.astype(float), columns=classes)[classes[::-1]]  # in any order
            table.insert(2, "picture", names)
            mixed = table.sample(frac=1, random_state=seed)
            test = found.split[mixed.index] == "test"
            q = np.exp(found.logits - found.logits.max(axis=1, keepdims=True).astype(float))
            softmax = table.assign(**dict(zip(classes, (q / q.sum(axis=1, keepdims=True)).T, strict=True)))
            stem = folder / f"{label}{seed}"
            mixed.to_csv(f"{stem}.csv", index=False)
            mixed.to_parquet(f"{stem}.parquet", index=False)
            softmax.to_csv(f"{stem}-softmax.csv", index=False)
            mixed[test].to_csv(f"{stem}-tested.csv", index=False)
            np.save(f"{stem}.npy", found.logits)
            files = ("{}.csv", "{}.parquet", "{}.npy", "{}-softmax.csv", "{}-tested.csv")
            for form, file in zip(recipes, files, strict=True):
                recipes[form].setdefault(label, {})[seed] = file.format(stem.name)
    return {form: {"predictions": predictions} for form, predictions in recipes.items()}


def beside(folder: Path, recipes: dict[str, dict], **more) -> dict:
    """The configuration of the finished run, with further recipes beside its own."""
    raw = copy.deepcopy(finished_run.CONFIG) | {"data_folder": str(folder), **more}
    raw["recipes"] |= recipes
    raw["studies"]["small"]["recipes"] += recipes
    return raw


@pytest.fixture(scope="module")
def given(small, tmp_path_factory):
    """A folder with predictions in several forms, and recipes that read them."""
    folder = tmp_path_factory.mktemp("given")
    return folder, exported(small, folder)


@pytest.fixture(scope="module")
def scored(given, tmp_path_factory):
    """Results of a study with an own recipe and two whose predictions were made elsewhere; no test may change them."""
    raw = beside(given[0], {form: given[1][form] for form in ("csv", "tested")})
    return finished_run.build(tmp_path_factory.mktemp("scored") / "results", raw)


# -- equal numbers -----------------------------------------------------------------------------------------------------


def test_our_own_predictions_read_from_a_file_have_the_same_numbers(scored):
    cells = io.read_table(scored / "studies/small/cells.parquet")[0].to_pandas()
    key = ["label", "metric", "kind", "versus", "statistic"]
    own, theirs = (cells[cells.recipe == recipe].set_index(key).value for recipe in ("quick", "csv"))
    shared = own.index.intersection(theirs.index)
    lacking = {name.split(".")[0] for name in own.index.difference(theirs.index).get_level_values("metric")}
    assert lacking == {"structure"}
    assert len(theirs) == len(shared) > 500
    pd.testing.assert_series_equal(theirs[shared], own[shared], check_exact=True)


@pytest.mark.parametrize(("form", "tolerance"), [("csv", 0), ("parquet", 0), ("array", 0), ("softmax", 1e-6)])
def test_our_own_predictions_are_read_as_they_were_from_every_form(form, tolerance, given, small, tmp_path):
    raw = beside(given[0], {form: given[1][form]}, results=str(small))
    plan, names = Plan(raw), {"dataset": "shapes", "split": "random", "recipe": form, "label": "soft", "seed": 1}
    made = tmp_path / "adopted.parquet"
    facts = adopt.run(plan.told("adopt", **names), finished_run.READS["adopt"](plan, names), {"predictions": made})
    assert facts["values"] == ("probabilities" if tolerance else "logits")
    theirs, own = (contracts.read_predictions(path) for path in (
        made, small / "runs/shapes/random/quick/soft/seed1/predictions.parquet"))  # fmt: skip
    for part in ("val", "test"):
        logits = own.of(part, own.items(part), 6)
        if tolerance:
            logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(theirs.of(part, own.items(part), 6), logits, rtol=0, atol=tolerance)


def test_without_validation_items_the_unscaled_numbers_are_the_same_and_nothing_is_scaled(scored):
    own, theirs = (
        contracts.read_scores(scored / f"runs/shapes/random/{recipe}/soft/seed0/scores/standard.parquet")
        for recipe in ("quick", "tested")
    )
    assert own.scalings
    assert theirs.scalings == []
    assert theirs.get("val", "all", "none", "n_items") == 0
    assert theirs.get("val", "all", "none", "kl") is None
    unscaled = [k for k in own.values if k[0] == "test" and k[2] == "none" and not k[3].startswith("structure")]
    assert {k: theirs.values[k] for k in unscaled} == {k: own.values[k] for k in unscaled}


def test_there_are_no_pictures_of_networks_that_are_not_here(given, scored):
    plan = Plan(beside(given[0], {form: given[1][form] for form in ("csv", "tested")}))
    figures = {f"{names['figure']}{names['block']}" for _, names in plan.jobs("small", "figure")}
    assert figures == {"embedding-shapes-random-quick", "curves-shapes-random-quick"}
    assert {names["recipe"] for _, names in plan.jobs("small", "embed", "train")} == {"quick"}
    run = scored / "runs/shapes/random/csv/soft/seed0"
    assert sorted(path.name for path in run.glob("*.*")) == ["adopted.manifest.json", "adopted.parquet"]


def test_tables_say_which_networks_were_trained_elsewhere(scored):
    text = (scored / "studies/small/table.md").read_text()
    for form in ("csv", "tested"):
        assert f"Recipe {form}: predictions made elsewhere" in text
    assert text.count("is scaled, as their files lack validation items") == 1
    assert "Recipe quick: predictions" not in text
    setup = io.read_table(scored / "studies/small/cells.parquet", [])[1]["setup"]
    assert setup and all("recipe quick" in line for line in setup if "recipe" in line)


def test_a_recipe_of_files_alone_is_a_study(given, tmp_path):
    raw = beside(given[0], {"csv": given[1]["csv"]})
    del raw["recipes"]["quick"]
    raw["studies"]["small"]["recipes"] = ["csv"]
    root = finished_run.build(tmp_path / "results", raw)
    plan = Plan(raw)
    assert not plan.embeds("small")
    assert not list(plan.jobs("small", "train", "embed", "figure"))
    cells = io.read_table(root / "studies/small/cells.parquet")[0]
    assert "made elsewhere" in markdown(document(cells))


# -- what is known of them ---------------------------------------------------------------------------------------------


def verdicts(root, raw, folder):
    path = folder / "study.yaml"
    path.write_text(json.dumps(raw | {"results": str(root)}))
    return {one.id: one for one in audit.audit(root, configfile=path, dry_run=False)}


def test_the_audit_never_says_that_nothing_leaks(given, scored, tmp_path):
    root = Path(shutil.copytree(scored, tmp_path / "results"))
    raw = beside(given[0], {form: given[1][form] for form in ("csv", "tested")})
    found = verdicts(root, raw, tmp_path)
    assert {name for name, one in found.items() if one.verdict == "fail"} == set()
    for name, what in {"A11": "on which machine", "A13": "initial weights", "A14": "on which items"}.items():
        assert found[name].verdict == "unknown"
        assert sum(what in line for line in found[name].evidence) == 8
        assert found[name].remedy.startswith("ask whoever trained")
    assert {"A03", "A04", "A05", "A06", "A07", "A08", "A12"} <= {k for k, v in found.items() if v.verdict == "pass"}

    run = root / "runs/shapes/random/csv/soft/seed0/adopted.parquet"
    finished_run.edit_table(run, lambda rows: [{**row, "logits": row["logits"][::-1]} for row in rows])
    (root / "runs/shapes/random/csv/hard/seed0/adopted.parquet").write_bytes(
        (root / "runs/shapes/random/csv/hard/seed1/adopted.parquet").read_bytes()
    )
    found = verdicts(root, raw, tmp_path)
    assert {"A04", "A05", "A12"} <= {k for k, v in found.items() if v.verdict == "fail"}
    assert any("the same predictions file" in line for line in found["A12"].evidence)


def test_the_audit_sees_a_file_that_was_changed_since(given, scored, tmp_path):
    folder = Path(shutil.copytree(given[0], tmp_path / "given"))
    raw = beside(folder, {form: given[1][form] for form in ("csv", "tested")})
    (folder / "hard1.csv").write_bytes((folder / "hard0.csv").read_bytes())
    found = verdicts(scored, raw, tmp_path)["A05"]
    assert found.verdict == "fail"
    assert len(found.evidence) == 1
    assert "hard1.csv" in found.evidence[0]
    (folder / "hard1.csv").unlink()
    assert verdicts(scored, raw, tmp_path)["A05"].verdict == "unknown"


def test_explain_leads_to_the_file(scored, given):
    found = explain.explain(str(scored / "studies/small"), "csv soft", "kl seed0")
    text = explain.render(found)
    assert str(given[0] / "soft0.csv") in text
    assert re.search(r"read: logits \(detected\) of 24 test and 24 validation items, 72 other rows not used", text)
    assert "predictions elsewhere" in text
    assert "checkpoint" not in text


# -- what is wrong with a file -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def read(small, given):
    """A function that reads a changed table as the command does; ``array`` and ``names`` instead of it."""
    table = pd.read_csv(given[0] / "soft0.csv")

    def read(tmp_path, change=lambda table: table, array=None, names=None, **recipe):
        inputs = finished_run.of(Plan(finished_run.CONFIG | {"results": str(small)}), "data", dataset="shapes")
        inputs |= {"split": small / "splits/shapes/random/seed0.parquet"}
        inputs["given"] = tmp_path / ("given.npy" if array is not None else "given.csv")
        if array is not None:
            np.save(inputs["given"], array)
        else:
            change(table.copy()).to_csv(inputs["given"], index=False, sep=recipe.get("separator", ","))
        if names is not None:
            inputs["names"] = tmp_path / "names.txt"
            inputs["names"].write_text("\n".join(names))
        defaults = {"values": None, "item_column": None, "separator": ",", "zero": None}
        return adopt.adopted({"recipe": {**defaults, **recipe}}, inputs)

    read.classes = contracts.read_reference(small / "data/shapes/reference.parquet").classes
    read.table = table
    return read


def softmax(table, classes):
    q = np.exp(table[classes].to_numpy())
    return table.assign(**dict(zip(classes, (q / q.sum(axis=1, keepdims=True)).T, strict=True)))


def put(table, row, column, value):
    return table.assign(**{column: [value if k == row else old for k, old in enumerate(table[column])]})


BROKEN = {
    "no row for 24 of 24 test items": lambda t, c: t[~t.picture.isin(t.picture[:0])].head(0),
    "1 rows? for items that have one already.*line 2 and 122": lambda t, c: pd.concat([t, t.head(1)]),
    "1 of 121 names of no item.*'other'.*is called 'synthetic-": lambda t, c: pd.concat(
        [t, t.head(1).assign(picture="other")]
    ),
    r"line 4 .*found 'n/a', expected finite numbers \(1 such rows\)": lambda t, c: put(t, 2, c[0], "n/a"),
    r"line 3 .*found 1e\+99, expected finite": lambda t, c: put(t, 1, c[1], "1e99"),
    r"no column for the class 'bc' \(1 of 6 classes\).*Did you mean 'b_c'": lambda t, c: t.rename(
        columns={"bc": "b_c"}
    ),
    "2 columns that are no class .*item_column": lambda t, c: t.assign(more=1),
    "0 of 120 rows that are probabilities.*0 rows with negative.*sums from .* Set values": lambda t, c: t.assign(
        **{name: t[name].abs() + 1 for name in c}
    ),
    r"line 2 .*a probability of 0 \(120 such rows\).*zero: 1e-6": lambda t, c: t.assign(
        **{n: float(n == "bc") for n in c}
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_wrong_is_said_once_with_a_count(message, read, tmp_path):
    with pytest.raises(UserError) as error:
        read(tmp_path, lambda table: BROKEN[message](table, read.classes))
    assert re.search(message, str(error.value)), str(error.value)
    assert "given.csv" in str(error.value)


def test_what_values_are_can_be_said(read, tmp_path):
    positive = lambda table: table.assign(**{name: table[name].abs() + 1 for name in read.classes})  # noqa: E731
    assert read(tmp_path, positive, values="logits").facts["values"] == "logits"
    with pytest.raises(UserError, match=r"expected probabilities that sum to 1 \(120 such rows\)"):
        read(tmp_path, positive, values="probabilities")
    found = read(tmp_path, lambda table: softmax(table, read.classes))
    assert (found.facts["values"], found.facts["detected"]) == ("probabilities", True)
    own = read(tmp_path)
    shifted = own.logits - np.log(np.exp(own.logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.logits, shifted, atol=1e-6)


def test_zero_counts_as_it_is_told(read, tmp_path):
    def rounded(table):
        found = softmax(table, read.classes)
        return found.assign(**{read.classes[0]: 0.0}).pipe(
            lambda t: t.assign(**{name: t[name] / t[read.classes].sum(axis=1) for name in read.classes})
        )

    found = read(tmp_path, rounded, zero=1e-6)
    assert found.facts["zeros"] == 120
    np.testing.assert_allclose(found.logits[:, 0], np.log(1e-6))
    assert "120 probabilities of 0 replaced" in found.facts["read"]


def test_rows_of_an_array_are_the_data_set_or_named(read, tmp_path):
    table = read.table.sort_values("picture")
    array = table[read.classes].to_numpy()
    whole = read(tmp_path, array=array)
    chosen = read(tmp_path, array=array[::-1], names=list(table.picture)[::-1])
    np.testing.assert_array_equal(whole.logits, chosen.logits)
    with pytest.raises(UserError, match=r"found 119 rows, expected 120.*add a file of 'names'"):
        read(tmp_path, array=array[1:])
    with pytest.raises(UserError, match=r"found an array \[120, 5\].*\[N, 6\]"):
        read(tmp_path, array=array[:, 1:])
    with pytest.raises(UserError, match="names the rows of an array"):
        read(tmp_path, names=["a"])


def _saved(**changes):
    """A function that saves a table as Parquet, with some columns replaced."""
    return lambda path, table: table.assign(**changes).to_parquet(path)


def _array(change):
    return lambda path, table: np.save(path, change(table.drop(columns="picture").to_numpy()))


def _text(change):
    return lambda path, table: path.write_bytes(change(table.to_csv(index=False)).encode("utf-8", "surrogateescape"))


DAMAGED = {
    "an empty file": ("csv", lambda path, table: path.write_bytes(b"")),
    "no rows": ("csv", _text(lambda text: text.splitlines()[0] + "\n")),
    "an empty name": ("csv", _text(lambda text: re.sub("synthetic-00003", "", text))),
    "a blank name": ("csv", _text(lambda text: re.sub("synthetic-00003", " ", text))),
    "a name of dots": ("csv", _text(lambda text: re.sub("synthetic-00003", "./", text))),
    "infinity": ("csv", _text(lambda text: re.sub(r"\n[^,]+,", "\ninf,", text, count=1))),
    "yes and no": ("csv", _text(lambda text: re.sub(r"\n[^,]+,", "\nTrue,", text, count=1))),
    "no UTF-8": ("csv", _text(lambda text: text + "\udcff\n")),
    "a cell too few": ("csv", _text(lambda text: text + "1,2\n")),
    "an open quote": ("csv", _text(lambda text: text + '"')),
    "no gzip": ("csv.gz", _text(lambda text: text)),
    "a folder": ("csv", lambda path, table: path.mkdir()),
    "a link to nothing": ("csv", lambda path, table: path.symlink_to("gone")),
    "a workbook": ("xlsx", _text(lambda text: text)),
    "no Parquet": ("parquet", _text(lambda text: text)),
    "texts": ("parquet", _saved(bc="0.5")),
    "truths": ("parquet", _saved(bc=True)),
    "dates": ("parquet", _saved(bc=pd.Timestamp("2020-01-01"))),
    "lists": ("parquet", lambda path, table: table.assign(bc=[[1.0]] * len(table)).to_parquet(path)),
    "names in lists": ("parquet", lambda path, table: table.assign(picture=[["a"]] * len(table)).to_parquet(path)),
    "names in bytes": ("parquet", _saved(picture=b"\xff")),
    "empty numbers": ("parquet", _saved(bc=np.nan)),
    "no numbers": ("parquet", _saved(bc=None)),
    "an empty Parquet": ("parquet", lambda path, table: table.head(0).to_parquet(path)),
    "an empty array": ("npy", lambda path, table: path.write_bytes(b"")),
    "an archive": ("npy", lambda path, table: np.savez(path.open("wb"), table.bc)),
    "objects": ("npy", lambda path, table: np.save(path, np.array([{}], object))),
    "a header that is cut": ("npy", lambda path, table: path.write_bytes(b"\x93NUMPY\x01\x00\x20\x00{'descr'")),
    "true or false": ("npy", _array(lambda array: array > 0)),
    "complex numbers": ("npy", _array(lambda array: array * 1j)),
    "a row": ("npy", _array(lambda array: array[0])),
    "a stack": ("npy", _array(lambda array: array[None])),
    "a number": ("npy", _array(lambda array: array[0, 0])),
    "a class too many": ("npy", _array(lambda array: np.hstack([array, array]))),
    "an infinite array": ("npy", _array(lambda array: array * np.inf)),
    "too large for float32": ("npy", _array(lambda array: array * 1e300)),
    "records": ("npy", _array(lambda array: array.view([("a", float)]))),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
def test_whatever_is_wrong_with_a_file_is_one_message(damage, read, small, tmp_path):
    suffix, write = DAMAGED[damage]
    inputs = finished_run.of(Plan(finished_run.CONFIG | {"results": str(small)}), "data", dataset="shapes")
    inputs |= {"split": small / "splits/shapes/random/seed0.parquet", "given": tmp_path / f"given.{suffix}"}
    write(inputs["given"], read.table.copy())
    recipe = {"values": None, "item_column": None, "separator": ",", "zero": None}
    with pytest.raises(UserError, match="given") as error:
        adopt.adopted({"recipe": recipe}, inputs)
    assert "\n" not in str(error.value)


def test_names_match_as_those_of_votes_do(read, tmp_path):
    found = read(tmp_path, lambda table: table.assign(picture="/data/images/" + table.picture))
    np.testing.assert_array_equal(found.logits, read(tmp_path).logits)
    assert (
        "120 names matched the first 2 folders of each cut (such as '/data/images/synthetic-00000')"
        in found.facts["read"]
    )


def test_other_columns_and_separators(read, tmp_path):
    more = lambda table: table.assign(confidence=1)  # noqa: E731
    found = read(tmp_path, more, item_column="picture", separator=";")
    np.testing.assert_array_equal(found.logits, read(tmp_path).logits)
    with pytest.raises(UserError, match=r"no column 'file' \(item_column\)"):
        read(tmp_path, item_column="file")


# -- before anything runs ----------------------------------------------------------------------------------------------


def problems_of(raw):
    with pytest.raises(UserError) as error:
        config.resolve(raw)
    return str(error.value)


def test_every_run_of_a_study_has_a_file_of_its_own(given):
    recipe = copy.deepcopy(given[1]["csv"])
    del recipe["predictions"]["soft"][1]
    assert re.search("no file for the label soft, seed 1, .*there is seed 0", problems_of(beside("", {"vit": recipe})))
    recipe["predictions"].pop("soft")
    text = problems_of(beside("", {"vit": recipe}))
    assert re.search("no file for the label soft, seed 0, 1, .*there is label hard", text)
    recipe["predictions"]["soft"] = {0: "hard0.csv", 1: {"file": "a.npy", "names": "b.txt"}}
    assert "hard0.csv is named for hard, seed 0 and for soft, seed 0" in problems_of(beside("", {"vit": recipe}))


@pytest.mark.parametrize("spelt", ["./hard0.csv", "x/../hard0.csv", "{}/hard0.csv"])
def test_one_file_in_two_spellings_is_no_two_networks(given, spelt):
    recipe = copy.deepcopy(given[1]["csv"])
    recipe["predictions"]["soft"][0] = spelt.format(given[0])
    assert "is named for hard, seed 0 and for soft, seed 0" in problems_of(beside(given[0], {"vit": recipe}))


def test_braces_in_paths_are_refused_as_snakemake_would_read_them(given):
    """Once for a recipe, wherever they stand: in its files, or in the folder of all of them."""
    recipe = copy.deepcopy(given[1]["csv"])
    text = problems_of(beside("/a{b}", {"vit": recipe}))
    assert "recipes.vit.predictions: found braces in 4 paths (the first is /a{b}/hard0.csv), expected none" in text
    recipe["predictions"]["soft"][0] = {"file": "a.npy", "names": "{a}.txt"}
    assert "found braces in 1 paths (the first is /c/{a}.txt)" in problems_of(beside("/c", {"vit": recipe}))
    text = problems_of(beside("/c", {"vit": {"network": "compact", "weights": "file", "weights_file": "{w}.pt"}}))
    assert "recipes.vit.weights_file: found braces in 1 paths (the first is /c/{w}.pt), expected none" in text


@pytest.mark.parametrize(("change", "message"), [
    ({"network": "compact"}, "unknown key 'network'; a recipe with 'predictions' trains nothing"),
    ({"epochs": 3}, "unknown key 'epochs'; a recipe with 'predictions' trains nothing"),
    ({"values": "odds"}, 'recipes.vit.values: found "odds"'),
    ({"zero": 0}, "recipes.vit.zero: found 0"),
    ({"predictions": {}}, "recipes.vit.predictions: found {}, expected at least one entry"),
    ({"predictions": {"soft": {0: 3}}}, "recipes.vit.predictions.soft.0: found 3"),
    ({"predictions": {"soft": {0: {"names": "a"}}}}, "recipes.vit.predictions.soft.0: the key 'file' is missing"),
])  # fmt: skip
def test_a_recipe_of_files_has_no_training(given, change, message):
    assert message in problems_of(beside("", {"vit": given[1]["csv"] | change}))


def test_a_recipe_without_a_network_or_predictions_is_said_as_before():
    assert "recipes.vit: the key 'network' is missing" in problems_of(beside("", {"vit": {"epochs": 3}}))


def test_zero_may_be_written_as_yaml_reads_it(given):
    made = config.resolve(beside("", {"vit": given[1]["csv"] | {"zero": "1e-6"}}))
    assert made["recipes"]["vit"]["zero"] == 1e-6
    assert set(made["recipes"]["vit"]) == {"predictions", "values", "item_column", "separator", "zero"}


def test_labels_cannot_be_made_of_networks_that_are_not_here(given, tmp_path):
    entry = {"kind": "aggregate", "about": "", "options": {}, "shared": ["folds", "trained_on", "recipe"], "needs": []}
    (tmp_path / "mine.py").write_text(f"ENTRY = {entry}\n\n\ndef mixed(evidence, options):\n    pass\n")
    raw = beside("", {"vit": given[1]["csv"]}, modules=str(tmp_path))
    raw["labels"] = {"hard": finished_run.HARD, "soft": finished_run.SOFT,
                     "mixed": {"aggregate": {"kind": "mine:mixed", "recipe": "vit"}, "form": "soft"}}  # fmt: skip
    assert "labels.mixed.aggregate.recipe: 'vit' has predictions made elsewhere" in problems_of(raw)


def test_check_looks_at_the_files(given, tmp_path, capsys):
    problems = Problems()
    lines = list(check.check(beside(given[0], {"csv": given[1]["csv"]}), problems))
    assert problems.messages == {}
    read = "logits (detected) of 24 test and 24 validation items, 72 other rows not used"
    assert f"recipes.csv, soft, seed 1: {read}." in lines
    broken = tmp_path / "given"
    broken.mkdir()
    (broken / "hard0.csv").write_text((given[0] / "hard0.csv").read_text().replace("picture", "a,picture", 1))
    problems = Problems()
    list(check.check(beside(broken, {"csv": given[1]["csv"]}), problems))
    text = "\n".join(problems.messages)
    assert len(problems.messages) == 4
    assert "recipes.csv, hard, seed 0" in text and "recipes.csv.predictions.hard.1" in text and "no such file" in text


def test_what_runs_is_announced_and_costs_little(given):
    plan = Plan(beside(given[0], {"csv": given[1]["csv"]}))
    text = launch.announcement(plan)
    assert "4 trainings, 4 files of predictions made elsewhere" in text
    assert "compact for 1 epochs on cpu, predictions made elsewhere" in text
    jobs = list(plan.jobs("small", "adopt"))
    assert [(n["recipe"], n["label"], n["seed"]) for _, n in jobs] == [("csv", k, s) for s in SEEDS for k in LABELS]
    assert all(resources.of(plan, *job[:1], **job[1])["mem_mb"] < 1000 for job in jobs)


def test_only_the_run_whose_file_is_named_differs_is_read_anew(given):
    """Neither a path nor a further seed is part of what the command is told: Snakemake compares the files."""
    recipe = copy.deepcopy(given[1]["csv"])
    before = Plan(beside(given[0], {"csv": recipe})).json("adopt", recipe="csv")
    recipe["predictions"]["soft"][2] = "other.csv"
    assert Plan(beside("elsewhere", {"csv": recipe})).json("adopt", recipe="csv") == before
    assert Plan(beside("", {"csv": recipe | {"values": "logits"}})).json("adopt", recipe="csv") != before


# -- the example -------------------------------------------------------------------------------------------------------


def test_the_example_reads_what_it_names(tmp_path):
    text = (REPOSITORY / "config/README.md").read_text(encoding="utf-8").partition("## Score predictions")[2]
    block = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    source = {"kind": "synthetic", "items": 120, "pixels": 12}
    raw = block | {"datasets": {"synthetic": {"source": source}}, "data_folder": str(tmp_path)}
    names, classes = [f"synthetic-{i:05d}" for i in range(120)], ["rc", "re", "gc", "ge", "bc", "be"]
    logits = np.random.default_rng(0).normal(size=(120, 6))
    table = pd.DataFrame(logits, columns=classes).assign(file=names)
    (tmp_path / "vit").mkdir()
    for name in ("hard0", "hard1"):
        table.to_csv(tmp_path / f"vit/{name}.csv", index=False)
    table.to_parquet(tmp_path / "vit/soft0.parquet")
    np.save(tmp_path / "vit/soft1.npy", logits)
    (tmp_path / "vit/soft1.txt").write_text("".join(f"{name}\n" for name in names))
    problems = Problems()
    lines = list(check.check(raw, problems))
    problems.stop()
    read = "logits of 24 test and 24 validation items, 72 other rows not used."
    assert [line for line in lines if line.startswith("recipes.vit")] == [
        f"recipes.vit, {label}, seed {seed}: {read}" for seed in (0, 1) for label in ("hard", "soft")
    ]


def test_items_that_the_split_keeps_for_calibration_are_read_too(small, given, tmp_path, read):
    plan = Plan(finished_run.CONFIG | {"results": str(small)})
    inputs = finished_run.of(plan, "data", dataset="shapes") | {"given": given[0] / "soft0.csv"}
    config = {"seed": 0, "split": plan.config["splits"]["random"] | {"calibration": 0.5}}
    split.run(config, inputs, {"split": tmp_path / "split.parquet"})
    inputs["split"], kept = (
        tmp_path / "split.parquet",
        contracts.read_split(tmp_path / "split.parquet").items("held_out"),
    )
    recipe = {"values": None, "item_column": None, "separator": ",", "zero": None}
    found = adopt.adopted({"recipe": recipe}, inputs)
    assert found.item[found.part == "held_out"].tolist() == kept.tolist()
    assert f"{len(kept)} items for calibration" in found.facts["read"]
    fewer = tmp_path / "fewer.csv"
    missing = io.read_table(inputs["items"], ["name"])[0].column("name")[int(kept[0])].as_py()
    read.table[read.table.picture != missing].to_csv(fewer, index=False)
    assert adopt.adopted({"recipe": recipe}, inputs | {"given": fewer})
    told = rf"no row for 1 of {len(kept)} items that the split keeps for calibration.*'{missing}'"
    with pytest.raises(UserError, match=told):
        adopt.adopted({"recipe": recipe}, inputs | {"given": fewer}, calibrates=True)
    raw = beside(tmp_path, {"csv": {"predictions": {"hard": {0: fewer.name}, "soft": {0: "all.csv"}}}})
    raw["splits"] = {"random": {"calibration": 0.5}}
    raw["studies"]["small"] |= {"seeds": [0]}
    read.table.to_csv(tmp_path / "all.csv", index=False)
    for metrics, expected in (["macro_acc"], []), (["macro_acc", "label_set_size"], ["recipes.csv, hard, seed 0"]):
        raw["studies"]["small"]["metrics"], problems = metrics, Problems()
        list(check.check(raw, problems))
        assert len(problems.messages) == len(expected)
        assert all(where in text for where, text in zip(expected, problems.messages, strict=True))
