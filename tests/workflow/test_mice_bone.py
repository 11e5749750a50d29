"""The paper's second half: the way of the MiceBone archive to its tables, on generated data in the same format."""

import json

import numpy as np
import pytest
import yaml
from data_files import votes_of
from dcic_files import write_archive

from softlabels import io
from softlabels.config import read
from softlabels.datasets import data
from softlabels.plan import Plan

CONFIG = "config/small_paper.yaml"
STUDY = "results/studies/paper_mice_bone"


@pytest.fixture(scope="module")
def half(fresh, copy, tmp_path_factory):
    """The second half of config/paper.yaml with a network for a CPU, a small archive in place; and its votes."""
    project = copy(fresh, tmp_path_factory.mktemp("mice_bone") / "project")
    preset = read(project.folder / "config/mice_bone_like.yaml")
    preset["datasets"]["mice_bone_like"]["source"] |= {"items": 250, "pixels": 16, "pure_share": 0.3}
    made = tmp_path_factory.mktemp("made")
    names = ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")
    outputs = {name.split(".")[0]: made / name for name in names}
    data.run(Plan(preset).of("data", dataset="mice_bone_like"), {}, outputs)
    archive = project.folder / "downloads" / "MiceBone.zip"
    archive.parent.mkdir()
    write_archive(archive, "MiceBone", made)

    config = read(project.folder / "config/paper.yaml")
    source = config["datasets"]["paper_mice_bone"]["source"]
    assert source == {"kind": "dcic", "archive": "MiceBone.zip"}
    source |= {"checksum": f"sha256:{io.sha256(archive)}", "published_sizes": False}
    recipe = config["recipes"]["paper_resnetv2_50"]
    recipe |= {"network": "compact", "weights": "none", "epochs": 4, "batch": 16, "rate": 0.05, "device": "cpu"}
    study = config["studies"]["paper_mice_bone"]
    config["studies"] = {"paper_mice_bone": study | {"seeds": [0], "embedding": {"perplexity": 5, "iterations": 250}}}
    (project.folder / CONFIG).write_text(yaml.safe_dump(config))
    return project, outputs


def test_with_the_archive_in_place_the_second_half_runs_to_a_table_that_passes_the_audit(half):
    project, made = half
    project.snakemake(config=CONFIG)
    table = (project.folder / STUDY / "table.md").read_text()
    assert "paper" in table
    folder = project.folder / "results/data/paper_mice_bone"
    imported = {name: folder / f"{name}.parquet" for name in ("items", "annotations", "reference")}
    classes = io.read_table(imported["annotations"])[1]["classes"]
    assert classes == ["g", "nr", "ug"]
    number = [int(name.split("#")[1][:5]) for name in io.read_table(imported["items"])[0].column("name").to_pylist()]
    large = votes_of(made).sum(axis=0).argmax()
    order = [index for index in range(3) if index != large]
    expected = votes_of(made)[number][:, [order[0], large, order[1]]]
    np.testing.assert_array_equal(votes_of(imported), expected)
    assert not list(folder.glob(".*"))  # the unpacked archive is gone
    card = json.loads((folder / "card.json").read_text())
    assert "CC BY-SA 4.0" in json.dumps(card)
    report = json.loads(project.softlabels("audit", "--configfile", CONFIG, "results") and _report(project))
    assert [check["id"] for check in report["checks"] if check["verdict"] == "fail"] == []
    assert project.planned(config=CONFIG) == {}


def _report(project):
    return (project.folder / "results/audit/report.json").read_text()


def test_without_the_archive_it_is_fetched_first_and_the_check_says_from_where(half, copy, tmp_path):
    project = copy(half[0], tmp_path / "project")
    (project.folder / "downloads/MiceBone.zip").unlink()
    target = f"{STUDY}/table.md"
    planned = project.snakemake(target, "--dry-run", "--forceall", config="config/paper.yaml")
    assert "Fetching MiceBone.zip" in planned
    text = project.softlabels("check", CONFIG, status=2)
    assert "downloads/MiceBone.zip: is not there yet" in text
    assert "https://zenodo.org/" in text
    assert "Traceback" not in text


def test_another_archive_in_its_place_is_refused_before_it_is_opened(half, copy, tmp_path):
    project = copy(half[0], tmp_path / "project")
    text = project.softlabels("check", "config/paper.yaml", status=2)
    assert "MiceBone.zip: found " in text
    assert "8a4026c22f07373f022d9ab4818089ec" in text
