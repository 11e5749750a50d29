"""Runs that are killed, locked or started twice: the next run cleans up, goes on, and ends with the same bytes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time

import psutil
import pytest

CONFIG = "config/long.yaml"
RUN = ("run", "--cores", "2", "--configfile", CONFIG)
TRAINING = "tiny_synthetic/random/long/soft/seed0"
RESULTS = (f"runs/{TRAINING}", "studies/long")


def configure(project):
    """One training of some seconds on the data of the finished tiny study, so that it can be killed midway."""
    project.configure(
        CONFIG,
        recipes={"long": {"network": "compact", "epochs": 100, "batch": 32, "rate": 0.05}},
        studies={
            "long": {
                "datasets": ["tiny_synthetic"],
                "recipes": ["long"],
                "labels": ["soft"],
                "seeds": [0],
                "embedding": {"perplexity": 10, "iterations": 250},
            }
        },
    )
    return project


def processes(project) -> list[psutil.Process]:
    """All processes at work in the project's folder."""
    return [p for p in psutil.process_iter(["cwd", "cmdline"]) if p.info["cwd"] == str(project.folder)]


@pytest.fixture
def project(finished):
    yield configure(finished)
    for process in processes(finished):
        process.kill()


@pytest.fixture(scope="module")
def undisturbed(tiny, copy, tmp_path_factory):
    """The bytes of a run that nobody disturbed."""
    project = configure(copy(tiny, tmp_path_factory.mktemp("undisturbed") / "project"))
    project.softlabels(*RUN)
    contents = project.contents(*RESULTS)
    assert {path.rpartition("/")[2] for path in contents} >= {
        "model.safetensors", "predictions.parquet", "cells.parquet", "table.csv", "table.md",
    }  # fmt: skip
    return contents


def wait_for(what, seconds: float = 60):
    """The first true value of ``what()``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def start_training(project, epoch: int):
    """Start a run; return its launcher and its trainer, which has finished the given epoch."""
    log = project.folder / f"results/tiny/logs/runs/{TRAINING}/train.log"
    log.unlink(missing_ok=True)
    launcher = project.start("-Pm", "softlabels", *RUN)
    wait_for(lambda: log.is_file() and f"epoch {epoch}/100" in log.read_text())
    (trainer,) = [p for p in processes(project) if p.info["cmdline"][1:4] == ["-Pm", "softlabels", "train"]]
    return launcher, trainer


def resumes(project) -> list[list[int]]:
    """Where the training was resumed (epoch and step), as its manifest says."""
    manifest = project.folder / f"results/tiny/runs/{TRAINING}/model.manifest.json"
    return json.loads(manifest.read_text())["facts"]["resumes"]


@pytest.mark.slow
def test_a_terminated_and_then_killed_training_is_resumed_to_the_same_bytes(project, undisturbed):
    state = project.folder / f"results/tiny/.resume/{TRAINING}/state.pt"

    launcher, trainer = start_training(project, epoch=20)
    trainer.terminate()
    assert launcher.wait(60) == 1
    assert re.search(r"stopped by SIGTERM in epoch 2\d of 100; the state is saved\. Run again", project.printed)
    assert "Run the same command again to go on from there." in project.printed
    assert state.is_file()

    launcher, trainer = start_training(project, epoch=40)
    trainer.kill()
    assert launcher.wait(60) == 1
    assert state.is_file()
    assert not project.contents(f"runs/{TRAINING}")

    project.softlabels(*RUN)
    log = (project.folder / f"results/tiny/logs/runs/{TRAINING}/train.log").read_text()
    assert "epoch 20/100" not in log
    assert all(epoch > 20 for epoch, _ in resumes(project))
    assert resumes(project)
    assert not state.exists()
    assert project.contents(*RESULTS) == undisturbed


@pytest.mark.slow
def test_after_a_killed_snakemake_the_next_run_ends_the_orphan_removes_the_lock_and_goes_on(project, undisturbed):
    launcher, trainer = start_training(project, epoch=10)
    (snakemake,) = psutil.Process(launcher.pid).children()
    snakemake.kill()
    launcher.kill()
    launcher.wait()
    # A person's own command in the same folder is no job of the run.
    bystander = project.start("-c", "import time; time.sleep(300)", "softlabels", "predict")
    assert trainer.is_running()
    assert list((project.folder / ".snakemake/locks").iterdir())

    text = project.softlabels(*RUN)
    assert f"A job of a killed run is still at work (process {trainer.pid}): ending it." in text
    assert "Removing the lock that a killed run left behind (.snakemake/locks)." in text
    assert not trainer.is_running()
    assert bystander.poll() is None
    bystander.kill()
    assert resumes(project)
    assert project.contents(*RESULTS) == undisturbed


def test_a_second_run_at_the_same_time_stops_with_one_message(project):
    first = project.start("-Pm", "softlabels", *RUN)
    wait_for((project.folder / "results/tiny/.resume/run.json").is_file)
    text = project.softlabels(*RUN, status=2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    problem = text.splitlines()[-1]
    assert problem.startswith(f"softlabels: A run is at work in this folder already: process {first.pid} on ")
    assert problem.endswith("Wait until it is done, or stop it.")
    assert text.count("softlabels:") == 1
    assert "Traceback" not in text


def test_a_run_beside_a_snakemake_at_work_stops_with_one_message(project):
    project.edit("workflow/Snakefile", ("onstart:\n", "onstart:\n    import time; time.sleep(60)\n"))
    snakemake = project.start("-m", "snakemake", "--cores", "1", "--configfile", CONFIG)
    wait_for(lambda: "Building DAG" in project.printed)
    text = project.softlabels(*RUN, status=2)
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.wait()
    assert f"softlabels: Snakemake is at work in this folder already (process {snakemake.pid})." in text
    assert "Traceback" not in text


def lock_by(project, host: str):
    """Leave behind what a run that was killed on ``host`` leaves behind."""
    lock = project.folder / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("results/tiny/data/tiny_synthetic/images.npy\n")
    (project.folder / ".snakemake/head.json").write_text(json.dumps({"pid": 4711, "host": host}))
    return lock


def test_the_lock_of_another_host_is_refused(project):
    lock = lock_by(project, "elsewhere")
    text = project.softlabels(*RUN, status=2)
    assert text.splitlines()[-1].startswith("softlabels: A run on host elsewhere (process 4711) holds the lock")
    assert "Traceback" not in text
    assert lock.is_file()


def test_a_dry_run_works_while_the_folder_is_locked(project):
    lock_by(project, socket.gethostname())
    assert project.planned(config=CONFIG)["train"] == 1
