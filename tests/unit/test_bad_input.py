"""A user's mistakes, from the command line: status 2, one message with its place and remedy, and no output."""

import json
import sys
from pathlib import Path

import pytest

from softlabels import cli
from softlabels.config import resolve
from softlabels.plan import Plan

CONFIG = """
datasets: {shapes: {source: {kind: synthetic}, reference: exact}}
recipes: {quick: {network: compact, epochs: 3}}
studies: {one: {datasets: [shapes], recipes: [quick]}}
"""


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
