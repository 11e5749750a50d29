"""`./softlabels` where one does not stand in the repository: the same study, the same verdicts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def softlabels(project, folder, *words, status=0):
    """What the command prints that stands in a project, called from a folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [project.folder / "softlabels", *map(str, words)],
        cwd=folder, env=project.environment | {"PATH": path}, text=True, timeout=300, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with a space, in which another workflow's settings and modules lie."""
    folder = tmp_path / "far away"
    (folder / "profiles" / "default").mkdir(parents=True)
    (folder / "profiles" / "default" / "profile.yaml").write_text("no-such-option: 1\n")
    (folder / "Snakefile").write_text("raise SystemExit('another workflow')\n")
    (folder / "yaml.py").write_text("raise SystemExit('another module')\n")
    return folder


def last(text):
    return text.splitlines()[-1]


@pytest.mark.slow
def test_results_are_audited_and_told_from_any_folder(finished, elsewhere):
    results = finished.folder / "results" / "tiny"
    assert last(softlabels(finished, elsewhere, "audit", results)) == "19 pass, 0 fail, 0 unknown"
    found = softlabels(finished, elsewhere, "status", results)
    assert found == softlabels(finished, finished.folder, "status", "results/tiny")
    assert found.startswith("study tiny ")
    refused = softlabels(finished, elsewhere, "explain", "tiny", "soft", "kl", status=2)
    assert f"no such study in {elsewhere}/results" in refused
    study = results / "studies" / "tiny"
    same = softlabels(finished, finished.folder, "explain", "tiny", "soft", "kl")
    assert softlabels(finished, elsewhere, "explain", study, "soft", "kl") == same


@pytest.mark.slow
def test_a_run_that_was_started_elsewhere_is_fresh_and_audited_there(finished, elsewhere):
    for name in ("results", ".snakemake"):  # as a run from that folder leaves them
        shutil.move(finished.folder / name, elsewhere / name)
    (elsewhere / "mine.yaml").write_text((finished.folder / "config" / "tiny.yaml").read_text())
    printed = softlabels(finished, elsewhere, "run", "mine.yaml", "--cores", "1", "--", "--dry-run")
    assert f"Results: {elsewhere}/results/tiny\n" in printed
    assert printed.count("Nothing to be done") == 2
    assert not (finished.folder / ".snakemake").exists()
    audited = softlabels(finished, elsewhere, "audit", "results/tiny", "--configfile", "mine.yaml")
    assert last(audited) == "19 pass, 0 fail, 0 unknown"
    away = softlabels(finished, elsewhere.parent, "audit", elsewhere / "results" / "tiny")
    assert last(away) == "18 pass, 0 fail, 1 unknown"
    assert f"Snakemake was not asked: these results were made in {elsewhere}; audit them from there" in away
    (elsewhere / "mine.yaml").write_text((elsewhere / "mine.yaml").read_text().replace("epochs: 2", "epochs: 3"))
    changed = softlabels(finished, elsewhere, "audit", "results/tiny", "--configfile", "mine.yaml", status=1)
    assert "A16  fail" in changed
