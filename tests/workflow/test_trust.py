"""What Snakemake takes for fresh although it is not, and what the audit says about it.

Snakemake compares times, and what its own records in ``.snakemake/`` say. The audit reads the files themselves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import yaml
from PIL import Image
from projects import TINY, Project

RUNS = "results/tiny/runs/tiny_synthetic/random/tiny_compact"
LONG_AGO = 1_000_000_000  # seconds: in 2001


def audit(project, status: int, results: str = "results/tiny", config: str = TINY) -> dict[str, dict]:
    """The audit's verdicts by their ids; its exit status must be ``status``."""
    project.softlabels("audit", results, "--configfile", config, status=status)
    report = json.loads((project.folder / results / "audit/report.json").read_text())
    return {verdict["id"]: verdict for verdict in report["checks"]}


def failed(verdicts: dict[str, dict]) -> set[str]:
    """Ids of the checks that failed."""
    return {name for name, verdict in verdicts.items() if verdict["verdict"] == "fail"}


# -- what is no change -------------------------------------------------------------------------------------------------


def test_a_moved_folder_stays_fresh(finished, tmp_path):
    finished.folder.rename(tmp_path / "another place")
    moved = Project(tmp_path / "another place")
    assert moved.planned() == {}
    assert failed(audit(moved, status=0)) == set()


def test_sources_that_git_checked_out_anew_stay_fresh(finished):
    script = finished.folder / "workflow/softlabels/training/train.py"
    before = script.stat().st_mtime_ns
    for name in ("workflow", "config"):
        shutil.rmtree(finished.folder / name)
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=finished.folder, check=True)
    assert script.stat().st_mtime_ns > before
    assert finished.planned() == {}
    assert failed(audit(finished, status=0)) == set()


# -- results that are not what the job wrote ---------------------------------------------------------------------------


def test_predictions_of_another_run_restored_with_an_old_time_are_seen_by_the_audit_only(finished):
    soft, hard = (finished.folder / RUNS / label / "seed0/predictions.parquet" for label in ("soft", "hard"))
    shutil.copy(hard, soft)
    os.utime(soft, (LONG_AGO, LONG_AGO))
    assert finished.planned() == {}
    verdicts = audit(finished, status=1)
    assert {"A04", "A05"} <= failed(verdicts)
    assert any("soft/seed0/predictions.parquet" in line for line in verdicts["A05"]["evidence"])
    os.utime(soft)  # with a new time what follows is made again from the wrong file
    assert finished.planned()["evaluate"] == 1


# -- a changed configuration that Snakemake was told to forget ---------------------------------------------------------


def test_touch_hides_a_changed_configuration_from_snakemake_but_not_from_the_audit(finished):
    finished.edit(TINY, ("epochs: 2", "epochs: 3"))
    assert finished.planned()["train"] == 4
    finished.snakemake("--touch")
    assert finished.planned() == {}
    verdicts = audit(finished, status=1)
    assert failed(verdicts) == {"A07"}
    assert any("epochs" in line for line in verdicts["A07"]["evidence"])


def test_cleanup_metadata_hides_a_changed_configuration_from_snakemake_but_not_from_the_audit(finished):
    finished.edit(TINY, ("perplexity: 10", "perplexity: 12"))
    assert finished.planned() == {"embed": 2, "figure": 1}
    embeddings = sorted((finished.folder / "results/tiny/studies/tiny/tsne").iterdir())
    assert len(embeddings) == 4
    finished.snakemake("--cleanup-metadata", *(str(path.relative_to(finished.folder)) for path in embeddings))
    assert finished.planned() == {}
    verdicts = audit(finished, status=1)
    assert failed(verdicts) == {"A07", "A16"}  # and Snakemake's records are incomplete
    assert any("perplexity" in line for line in verdicts["A07"]["evidence"])


def test_without_its_records_snakemake_says_nothing_to_be_done_whatever_the_configuration(finished):
    shutil.rmtree(finished.folder / ".snakemake")
    assert audit(finished, status=0)["A16"]["verdict"] == "unknown"
    assert finished.planned() == {}  # which makes a new, empty folder for records
    verdicts = audit(finished, status=1)
    assert failed(verdicts) == {"A16"}
    assert any("missing provenance/metadata" in line for line in verdicts["A16"]["evidence"])
    finished.edit(TINY, ("epochs: 2", "epochs: 3"))
    assert finished.planned() == {}
    assert failed(audit(finished, status=1)) == {"A07", "A16"}


# -- sources of data ---------------------------------------------------------------------------------------------------


MINE = {"results": "results/mine", "config": "config/mine.yaml"}


@pytest.fixture(scope="module")
def mine(fresh, copy, tmp_path_factory) -> Project:
    """A finished study of 120 images with 3 votes each; no test may change it."""
    project = copy(fresh, tmp_path_factory.mktemp("mine") / "project")
    folder = project.folder / "mine"
    (folder / "images").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 3), np.uint8)
    votes = ["item,annotator,label"]
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"images/{number:03}.png")
        votes += [f"{number:03}.png,{voter},{'cat' if number % 2 else 'dog'}" for voter in ("Ann", "Bob", "Cem")]
    (folder / "votes.csv").write_text("\n".join(votes) + "\n")
    source = {"kind": "table", "images": "images", "votes": "votes.csv"}
    study = {"datasets": ["mine"], "recipes": ["mine"], "labels": ["soft"], "seeds": [0]}
    config = {
        "data_folder": "mine",
        "results": MINE["results"],
        "datasets": {"mine": {"source": source, "reference": "votes"}},
        "recipes": {"mine": {"network": "compact", "epochs": 1}},
        "studies": {"mine": {**study, "embedding": {"perplexity": 5, "iterations": 250}}},
    }
    (project.folder / MINE["config"]).write_text(yaml.safe_dump(config))
    project.snakemake(config=MINE["config"])
    return project


def change_a_vote(path) -> None:
    path.write_text(path.read_text().replace("007.png,Bob,cat", "007.png,Bob,dog"))


def change_an_image(path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("source", "change"), [("votes.csv", change_a_vote), ("images/007.png", change_an_image)], ids=["votes", "image"]
)
def test_a_source_changed_under_its_old_time_is_seen_by_the_audit_only(mine, copy, tmp_path, source, change):
    project = copy(mine, tmp_path / "project")
    path = project.folder / "mine" / source
    before, content = path.stat(), path.read_bytes()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.read_bytes() != content
    assert project.planned(config=MINE["config"]) == {}
    verdicts = audit(project, status=1, **MINE)
    assert failed(verdicts) == {"A05"}
    assert any(path.name in line for line in verdicts["A05"]["evidence"])
    os.utime(path)  # with a new time Snakemake sees it
    assert project.planned(config=MINE["config"])["data"] == 1


def test_a_study_of_own_votes_passes_the_audit_before_they_change(mine, copy, tmp_path):
    assert failed(audit(copy(mine, tmp_path / "project"), status=0, **MINE)) == set()
