"""A study whose trainings last long enough to be disturbed."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
from cluster import SlurmProject
from projects import Project

CONFIG = "config/long.yaml"
STUDY = {"datasets": ["tiny_synthetic"], "recipes": ["long"], "embedding": {"perplexity": 10, "iterations": 250}}
STUDIES = {"long": {**STUDY, "seeds": [0, 1]}, "single": {**STUDY, "labels": ["soft"], "seeds": [0]}}
RESULTS = {
    "long": ("runs", "references", "studies/long"),
    "single": ("runs/tiny_synthetic/random/long/soft/seed0", "studies/single"),
}
EPOCHS = 500


def configure(project, *studies: str):
    """Studies of trainings of some twenty seconds, on the data of the tiny study."""
    project.configure(
        CONFIG,
        recipes={"long": {"network": "compact", "epochs": EPOCHS, "batch": 32, "rate": 0.05}},
        studies={study: STUDIES[study] for study in studies},
    )
    return project


def files_of(label: str, seed: int) -> str:
    """The folder of a run below runs/, logs/runs/ and .resume/."""
    return f"tiny_synthetic/random/long/{label}/seed{seed}"


def job_of(project: SlurmProject, label: str, seed: int) -> str | None:
    """Number of the training's SLURM job, if it is in the queue or runs."""
    return project.jobs().get(f"rule_train_wildcards_tiny_synthetic_random_long_{label}_{seed}")


def state_of(project: SlurmProject, label: str, seed: int) -> Path:
    """Where a training saves its state."""
    return project.folder / "results/tiny/.resume" / files_of(label, seed) / "state.pt"


def log_of(project: SlurmProject, label: str, seed: int) -> Path:
    """The log of a training."""
    return project.folder / "results/tiny/logs/runs" / files_of(label, seed) / "train.log"


def trainer_of(project: SlurmProject, job: str) -> psutil.Process:
    """The process that trains in a SLURM job."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        words, environment = process.info["cmdline"] or [], process.info["environ"] or {}
        if words[1:4] == ["-Pm", "softlabels", "train"] and environment.get("SLURM_JOB_ID") == job:
            return process
    raise AssertionError(f"no training in job {job}")


def resumes(project: SlurmProject, label: str, seed: int) -> list[list[int]]:
    """Where a training was resumed (epoch and step), as its manifest says."""
    manifest = project.folder / "results/tiny/runs" / files_of(label, seed) / "model.manifest.json"
    return json.loads(manifest.read_text())["facts"]["resumes"]


def assert_as_undisturbed(project: SlurmProject, undisturbed: Project, study: str) -> None:
    """The study has the bytes of the undisturbed run, its audit passes, and nothing is left behind."""
    contents, expected = project.contents(*RESULTS[study]), undisturbed.contents(*RESULTS[study])
    assert contents.keys() == expected.keys()
    assert f"studies/{study}/table.csv" in contents
    assert [path for path in contents if contents[path] != expected[path]] == []
    assert project.jobs() == {}
    assert not list((project.folder / "results/tiny/.resume").rglob("state.pt"))
    project.softlabels("audit", f"results/tiny/studies/{study}", "--configfile", CONFIG)
