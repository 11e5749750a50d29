"""A user's mistakes, from the command line: status 2, one message with its place and remedy, and no output."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from softlabels import cli
from softlabels.config import resolve
from softlabels.plan import Plan

CONFIG = """
datasets: {shapes: {source: {kind: synthetic}, reference: exact}}
recipes: {quick: {network: compact, epochs: 3}}
studies: {one: {datasets: [shapes], recipes: [quick]}}
"""
COUNTS = "name,cat,dog\na.png,2,1\nb.png,0,3\n"
VOTES = "item,annotator,label\na.png,p1,cat\na.png,p2,dog\nb.png,p1,dog\n"


def run(monkeypatch, capsys, *arguments):
    """Run the command line; its status and message."""
    monkeypatch.setattr(sys, "argv", ["softlabels", *map(str, arguments)])
    try:
        cli.main()
        status = 0
    except SystemExit as error:
        status = error.code
    return status, capsys.readouterr().err


def files(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


# -- the configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        (CONFIG.replace("epochs", "epoch"), "recipes.quick: unknown key 'epoch'", "did you mean 'epochs'?"),
        (CONFIG.replace("epochs: 3", "epochs: ten"), 'recipes.quick.epochs: found "ten"', "a whole number"),
        (CONFIG.replace("epochs: 3", "rate: .nan"), "recipes.quick.rate: found NaN", "a finite number"),
        (CONFIG + "results: a\nresults: b\n", "config.yaml: 'results' is defined twice, in lines 5 and 6", "Remove or"),
        (
            CONFIG.replace("kind: synthetic", "kind: counts, images: i, counts: c"),
            "datasets.shapes.reference: 'exact'",
            "use votes",
        ),
        (
            CONFIG.replace("epochs: 3", "epochs: 3, warmup_epochs: 3"),
            "recipes.quick.warmup_epochs: found 3",
            "less than epochs",
        ),
        (CONFIG.replace("epochs: 3", "weights: file"), "recipes.quick.weights_file: missing", "needs the path"),
        (CONFIG.replace("[quick]", "[slow]"), "studies.one.recipes: 'slow' is not defined", "defined: quick"),
        (CONFIG.replace("compact", "compct"), "recipes.quick.network: Unknown network", "Did you mean 'compact'?"),
        ("a: [", "config.yaml: is not valid YAML", "Correct that line"),
    ],
)
def test_a_wrong_configuration_starts_nothing(monkeypatch, capsys, tmp_path, text, place, remedy):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(text)
    status, message = run(monkeypatch, capsys, "run", "--configfile", "config.yaml")
    assert status == 2
    assert message.count("softlabels: ") == 1
    assert place in message
    assert remedy in message
    assert files(tmp_path) == {tmp_path / "config.yaml"}


# -- data --------------------------------------------------------------------------------------------------------------


def folder_of(tmp_path, sizes=((8, 8), (8, 8))):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size in zip(("a.png", "b.png"), sizes, strict=True):
        Image.new("RGB", size, "red").save(folder / name)
    return folder


def import_data(monkeypatch, capsys, tmp_path, option, path, **source):
    """Run `softlabels data` on a source as the workflow would; status, message and the files that it left."""
    kind = {"--counts": "counts", "--votes": "table"}[option]
    source |= {"kind": kind, "images": "images", option.removeprefix("--"): "file"}
    study = {"datasets": ["people"], "recipes": ["quick"]}
    raw = {
        "datasets": {"people": {"source": source}},
        "recipes": {"quick": {"network": "compact"}},
        "studies": {"one": study},
    }
    config = Plan(raw).json("data", dataset="people")
    out = tmp_path / "out"
    arguments = ["--config", config, "--folder", tmp_path / "images", option, path, "--manifest", out / "m.json"]
    for name, file in (("images", "images.npy"), ("items", "i"), ("annotations", "a"), ("reference", "r")):
        arguments += [f"--{name}", out / file]
    status, message = run(monkeypatch, capsys, "data", *arguments)
    return status, message, files(out)


@pytest.mark.parametrize(
    ("option", "text", "source", "place", "remedy"),
    [
        (
            "--counts",
            COUNTS.replace("2,1", "-2,1"),
            {"order": "name"},
            "counts.csv: line 2, column 'cat': found '-2'",
            "Correct",
        ),
        (
            "--counts",
            COUNTS.replace("2,1", "nan,1"),
            {"order": "name"},
            "counts.csv: line 2, column 'cat': found 'nan'",
            "Correct",
        ),
        (
            "--counts",
            COUNTS.replace("2,1", "0,0"),
            {"order": "name"},
            "a.png: found no vote for this image (1 of 2",
            "Add votes",
        ),
        (
            "--counts",
            COUNTS + "c.png,1,1\n",
            {"order": "name"},
            "counts.csv: line 4: found no image 'c.png'",
            "add the image",
        ),
        ("--votes", VOTES.replace("b.png", "c.png"), {}, "votes.csv: line 4: found no image 'c.png'", "add the image"),
        ("--votes", VOTES.replace("p2,dog", "p2,"), {}, "votes.csv: line 3: the label is empty", "Write one of"),
        ("--votes", VOTES + "b.png,p1,cat\n", {}, "votes.csv: line 4 and line 5 are both votes of 'p1'", "Keep one"),
        ("--votes", VOTES.replace("label", "lable"), {}, "votes.csv", "source.columns.label"),
        ("--votes", "item,annotator,label\na.png,p1,cat\n", {}, "found 1 class", "two or more"),
    ],
)
def test_wrong_votes_leave_no_data_set(monkeypatch, capsys, tmp_path, option, text, source, place, remedy):
    folder_of(tmp_path)
    path = tmp_path / f"{option.removeprefix('--')}.csv"
    path.write_text(text)
    status, message, left = import_data(monkeypatch, capsys, tmp_path, option, path, **source)
    assert status == 2
    assert message.startswith("softlabels: ")
    assert message.count("\n") == 1
    assert place in message
    assert remedy in message
    assert left == set()


def test_nan_in_a_matrix_leaves_no_data_set(monkeypatch, capsys, tmp_path):
    folder_of(tmp_path)
    np.save(tmp_path / "counts.npy", np.array([[2.0, 1.0], [np.nan, 3.0]]))
    status, message, left = import_data(monkeypatch, capsys, tmp_path, "--counts", tmp_path / "counts.npy")
    assert (status, message.count("\n"), left) == (2, 1, set())
    assert "counts.npy: found float64 [2, 2], expected integer counts" in message


def test_images_of_several_sizes_leave_no_data_set(monkeypatch, capsys, tmp_path):
    folder_of(tmp_path, sizes=((8, 8), (8, 9)))
    (tmp_path / "votes.csv").write_text(VOTES)
    status, message, left = import_data(monkeypatch, capsys, tmp_path, "--votes", tmp_path / "votes.csv")
    assert (status, message.count("\n"), left) == (2, 1, set())
    assert "b.png: found 8 × 9 pixels" in message
    assert "Set source.pixels" in message


def test_the_same_sources_without_a_mistake_are_accepted(monkeypatch, capsys, tmp_path):
    # Otherwise the tests above could fail for a reason of their own.
    folder_of(tmp_path, sizes=((8, 8), (8, 9)))
    for option, text, source in (("--counts", COUNTS, {"order": "name"}), ("--votes", VOTES, {})):
        path = tmp_path / f"{option.removeprefix('--')}.csv"
        path.write_text(text)
        status, _, left = import_data(monkeypatch, capsys, tmp_path, option, path, pixels=8, **source)
        assert status == 0
        assert len(left) == 5


def test_a_folder_or_file_that_is_not_there_is_named(monkeypatch, capsys, tmp_path):
    status, message, left = import_data(monkeypatch, capsys, tmp_path, "--votes", tmp_path / "votes.csv")
    assert (status, left) == (2, set())
    assert f"{tmp_path / 'images'}: no such folder. Correct the paths of the source" in message
    folder_of(tmp_path)
    status, message, left = import_data(monkeypatch, capsys, tmp_path, "--votes", tmp_path / "votes.csv")
    assert (status, left) == (2, set())
    assert "votes.csv: no such file. Correct the paths of the source" in message


# -- later steps -------------------------------------------------------------------------------------------------------


def test_too_few_items_for_a_split_leave_no_split(monkeypatch, capsys, tmp_path):
    plan = Plan(
        {
            "datasets": {"shapes": {"source": {"kind": "synthetic", "items": 4, "pixels": 8}, "reference": "exact"}},
            "recipes": {"quick": {"network": "compact"}},
            "studies": {"one": {"datasets": ["shapes"], "recipes": ["quick"]}},
        }
    )
    paths = {name: tmp_path / name for name in ("images", "items", "annotations", "reference")}
    options = [word for name, path in paths.items() for word in (f"--{name}", path)]
    assert run(monkeypatch, capsys, "data", "--config", plan.json("data", dataset="shapes"), *options)[0] == 0
    before = files(tmp_path)
    config = plan.json("split", split="random", seed=0)
    arguments = ["--config", config, *options[2:4], *options[6:], "--split", tmp_path / "split.parquet"]
    status, message = run(monkeypatch, capsys, "split", *arguments)
    assert (status, message.count("\n")) == (2, 1)
    assert "has no item" in message
    assert "Add items" in message
    assert files(tmp_path) == before


def test_a_broken_table_is_named_with_the_way_to_rebuild_it(monkeypatch, capsys, tmp_path):
    for name in ("items", "reference"):
        (tmp_path / name).write_bytes(b"PAR1")
    recipe = {
        "recipes": {"q": {"network": "compact"}},
        "datasets": {"d": {"source": {"kind": "synthetic"}, "reference": "exact"}},
    }
    split = resolve(recipe | {"studies": {"s": {"datasets": ["d"], "recipes": ["q"]}}})["splits"]["random"]
    arguments = ["--config", json.dumps({"split": split, "seed": 0}), "--items", tmp_path / "items"]
    arguments += ["--reference", tmp_path / "reference", "--split", tmp_path / "out" / "split"]
    status, message = run(monkeypatch, capsys, "split", *arguments)
    assert (status, message.count("\n")) == (2, 1)
    assert f"{tmp_path / 'items'}: cannot be read as Parquet" in message
    assert "Delete it and run again" in message
    assert files(tmp_path / "out") == set()
