"""What of a finished study a run makes again: counted before it runs, from manifests."""

import copy
import json
import os
import shutil
import time
from collections import Counter

import finished_run as files
import pytest

from softlabels import io, outdated, resources
from softlabels.places import MANIFEST
from softlabels.plan import Plan

CONFIG = copy.deepcopy(files.CONFIG)
CONFIG["datasets"]["shapes"] = {**files.VOTED, "paper": "synthetic"}
CONFIG["labels"] = {"hard": files.HARD, "soft": files.SOFT}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return files.build(tmp_path_factory.mktemp("outdated") / "results", CONFIG)


def extent(root, **changes):
    """What is said of the study of CONFIG in a results folder; ``recipes__quick__epochs=2`` changes a nested key."""
    raw = copy.deepcopy(CONFIG)
    for keys, value in changes.items():
        *parents, last = keys.split("__")
        place = raw
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return resources.extent(Plan({**raw, "results": str(root)}), "small")


def edited(root, pattern, change):
    """Change manifests."""
    paths = sorted(root.glob(pattern))
    for path in paths:
        told = json.loads(path.read_text())
        change(told)
        io.write_json(path, told)
    return len(paths)


def test_what_is_up_to_date_stays(made):
    assert extent(made).startswith("4 trainings, 0 of them new, about 0 minutes of ")  # figures are not drawn


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipes__quick__epochs": 9}, "all 4 to be made again, as their definition has changed, about "),
        ({"datasets__shapes__reference": "exact"}, "all 4 to be made again, as what they are made of has changed, "),
        ({"datasets__shapes__source__seed": 1}, "all 4 to be made again, as what they are made of has changed, "),
        ({"splits": {"random": {"train": 0.5, "val": 0.2, "test": 0.3}}}, "all 4 to be made again, as what they are "),
        ({"labels__soft": {"aggregate": "laplace", "form": "soft"}},
         "0 of them new, 2 to be made again, as what they are made of has changed, about "),
        ({"labels__soft": {"aggregate": "average", "form": "soft", "delivery": "sampled"}},
         "0 of them new, 2 to be made again, as their definition has changed, about "),
        ({"studies__small__seeds": [0, 1, 2], "recipes__quick__epochs": 2},
         "6 trainings, 2 of them new, 4 to be made again, as their definition has changed, about "),
        ({"labels__soft": {"aggregate": "laplace", "form": "soft"}, "studies__small__seeds": [1, 2]},
         "4 trainings, 2 of them new, 1 to be made again, as what they are made of has changed, about "),
    ],
)  # fmt: skip
def test_trainings_whose_definition_or_data_have_changed_are_made_again(made, changes, said):
    assert said in extent(made, **changes)


def test_they_cost_as_much_as_new_ones(made, tmp_path):
    longer = {"recipes__quick__epochs": 900}
    again, new = extent(made, **longer), extent(tmp_path / "nowhere", **longer)
    assert again.partition("about ")[2].partition(" of one CPU")[0] == new.partition("about ")[2].partition(" of")[0]


def test_a_changed_metric_costs_evaluations_and_no_training(made, tmp_path):
    root = shutil.copytree(made, tmp_path / "results")
    assert edited(root, f"runs/**/scores/*{MANIFEST}", lambda told: told["code"].update(sha256="0")) == 4
    assert extent(root).startswith("4 trainings, 0 of them new, about ")


def test_changed_code_of_trainings_is_told_from_that_of_what_they_are_made_of(made, tmp_path):
    root = shutil.copytree(made, tmp_path / "results")
    assert edited(root, f"runs/*/*/*/soft/*/*{MANIFEST}", lambda told: told["code"].update(sha256="0")) == 2
    assert "0 of them new, 2 to be made again, as their code has changed, " in extent(root)
    edited(root, f"data/*/*{MANIFEST}", lambda told: told["code"].update(sha256="0"))
    assert (
        "all 4 to be made again, as what they are made of is made again, and may come out otherwise or their code has "
        "changed, " in extent(root)
    )


def test_a_label_that_was_made_again_since_and_a_manifest_that_is_lost_or_damaged_are_seen(made, tmp_path):
    root = shutil.copytree(made, tmp_path / "results")
    (label,) = root.glob(f"labels/shapes/soft/*{MANIFEST}")
    edited(root, str(label.relative_to(root)), lambda told: told["outputs"]["labels"].update(sha256="0"))
    assert "2 to be made again, as what they are made of has changed, " in extent(root)
    label.unlink()
    assert "2 to be made again, as what they are made of is made again" in extent(root)
    label.write_text("{")
    assert "0 of them new, of 2 nobody knows whether they are up to date, as their manifests cannot" in extent(root)


def test_a_changed_file_outside_of_the_results_is_noticed_by_its_content(tmp_path):
    given, manifest = tmp_path / "votes.csv", tmp_path / "one.manifest.json"
    given.write_text("one")
    entry, later = {"source": str(given), "bytes": 3, "sha256": io.sha256(given)}, time.time() + 60
    manifest.write_text("{}")
    for text, other in (("one", False), ("two", True), ("three", True)):
        given.write_text(text)
        os.utime(given, (later, later))
        assert outdated._is_another(entry, manifest) == other
    given.unlink()
    assert not outdated._is_another(entry, manifest)


def test_each_manifest_is_read_once(made, monkeypatch):
    read = Counter()
    original = io.read_json
    monkeypatch.setattr(io, "read_json", lambda path: read.update([str(path)]) or original(path))
    extent(made)
    assert set(read.values()) == {1} and len(read) == len(list(made.rglob(f"*{MANIFEST}")))
