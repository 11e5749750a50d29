"""`softlabels run`: what it says, what it passes on, and what it clears away."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import psutil
import pytest
import yaml

from softlabels import launch, locks, stopping
from softlabels.errors import UserError
from softlabels.places import REPOSITORY
from softlabels.plan import Plan

RAW = {
    "about": "About a second.",
    "datasets": {"shapes": {"source": {"kind": "synthetic"}, "reference": "exact"}},
    "recipes": {"quick": {"network": "compact", "epochs": 3}},
    "studies": {"one": {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1, 2, 3]}},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a configuration, where Snakemake is replaced by a list of its command lines."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(yaml.safe_dump(RAW))
    lines, statuses = [], []

    def snakemake(command):
        lines.append(command)
        return statuses.pop(0) if statuses else 0

    monkeypatch.setattr(launch, "_snakemake", snakemake)
    monkeypatch.setattr(launch.slurm, "end_orphans", lambda folder, certain: None)
    return SimpleNamespace(path=tmp_path, lines=lines, statuses=statuses)


@pytest.fixture
def process():
    """Start `python -Pm module …` in a folder, where the module only waits; it ends with the test."""
    started = []

    def start(folder, module, *arguments):
        (folder / f"{module}.py").write_text("import time; time.sleep(60)")
        words = [sys.executable, "-Pm", module, *arguments]
        started.append(subprocess.Popen(words, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}))
        while psutil.Process(started[-1].pid).cmdline() != words:  # between fork and exec it is this program
            time.sleep(0.01)
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def pids(processes):
    return {process.pid for process in processes}


# -- what it says ------------------------------------------------------------------------------------------------------


def test_the_announcement_counts_the_trainings_and_names_labels_network_and_device():
    text = launch.announcement(Plan(RAW))
    assert "Study one: 8 trainings, about " in text
    assert "(hard and soft labels of shapes, 4 seeds; compact for 3 epochs on cpu)" in text
    assert text.endswith("\nAbout a second.")
    assert not launch.announcement(Plan(RAW | {"about": ""})).endswith("\n")


def test_data_come_first_and_then_everything(folder, capsys):
    assert launch.run("2", Path("config.yaml"), [], ["-n"]) == 0
    first, second = folder.lines
    assert first[1:9] == [
        "-Pm",
        "snakemake",
        "prepare",
        "-n",
        "--snakefile",
        str(REPOSITORY / "Snakefile"),
        "--cores",
        "2",
    ]
    assert first[9:] == ["--configfile", "config.yaml", "--workflow-profile", str(REPOSITORY / "profiles" / "default")]
    assert second == [word for word in first if word != "prepare"]
    err = capsys.readouterr().err
    assert err.startswith("Study one: 8 trainings")
    assert f"\nResults: {folder.path}/results\n" in err
    assert "Table and figures" not in err  # nothing was made


def test_where_tables_are_is_told_of_those_that_are_there(folder, capsys):
    Path("results/studies/one").mkdir(parents=True)
    Path("results/studies/one/table.md").touch()
    assert launch.run("2", Path("config.yaml"), [], [], report=False) == 0
    assert capsys.readouterr().err.endswith("Table and figures: results/studies/one/table.md\n")
    for dry in ("-n", "-np", "--dry-run"):
        launch.run("2", Path("config.yaml"), [], [dry])
        assert "Table and figures" not in capsys.readouterr().err


def test_what_ran_is_audited_and_shown_but_for_dry_runs(folder, capsys):
    Path("results/studies/one").mkdir(parents=True)
    Path("results/studies/one/table.md").touch()
    for rest in (["-n"], ["--until", "train"]):
        assert launch.run("2", Path("config.yaml"), [], rest) == 0
        assert not Path("results/report").exists() and "Auditing" not in capsys.readouterr().err
    assert launch.run("2", Path("config.yaml"), [], ["--keep-going"]) == 0
    assert capsys.readouterr().err.endswith("results/report/index.html\n")
    assert Path("results/audit/report.md").is_file()


def test_a_profile_that_is_named_is_the_only_one(folder):
    assert launch.run("2", Path("config.yaml"), [], ["--workflow-profile", "mine"]) == 0
    assert folder.lines[0].count("--workflow-profile") == 1


def test_a_failed_step_ends_the_run_with_its_status_and_the_next_thing_to_do(folder, capsys):
    folder.statuses.append(1)
    assert launch.run("2", Path("config.yaml"), [], []) == 1
    assert len(folder.lines) == 1
    assert "Run the same command again" in capsys.readouterr().err


def test_overrides_are_checked_announced_and_passed_on(folder, capsys):
    launch.run("1", Path("config.yaml"), ["results=out", "data_folder=../a=b"], [])
    line = folder.lines[0]
    at = line.index("--config")
    assert line[at : at + 3] == ["--config", "results=out", "data_folder=../a=b"]
    assert f"Results: {folder.path}/out\n" in capsys.readouterr().err
    assert Path("out/.resume").is_dir()


@pytest.mark.parametrize(("override", "words"), [
    ("results", "--config results: expected key=value"), ("resluts=out", "did you mean 'results'?"),
    ("results=[1]", "results: found [1], expected text"), ("results=[", "is not YAML"),
])  # fmt: skip
def test_a_wrong_override_starts_nothing(folder, override, words):
    with pytest.raises(UserError) as error:
        launch.run("1", Path("config.yaml"), [override], [])
    assert words in str(error.value)
    assert folder.lines == []


# -- what it clears away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["runs", "data/shapes"])
def test_links_in_the_results_folder_are_refused_before_anything_runs(folder, place):
    link, store = Path("results") / place, folder.path / "store"
    store.mkdir()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(store)
    with pytest.raises(UserError, match=rf"results/{place}: is a link to {store}, which audit .* would not follow"):
        launch.run("1", Path("config.yaml"), [], [])
    assert not folder.lines


def test_a_results_folder_may_itself_be_a_link(folder):
    (folder.path / "store" / "runs").mkdir(parents=True)
    Path("results").symlink_to(folder.path / "store")
    assert launch.run("1", Path("config.yaml"), [], []) == 0


def test_a_home_that_takes_no_writing_is_named_before_snakemake_starts(folder, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with pytest.raises(UserError, match=r"^/proc/nowhere/snakemake: .*set XDG_CACHE_HOME to a folder"):
        launch.run("1", Path("config.yaml"), [], [])
    assert folder.lines == []


def leave_lock():
    launch.LOCKS.mkdir(parents=True)
    (launch.LOCKS / "0.input.lock").touch()


def test_the_lock_of_a_killed_run_on_this_host_is_removed(folder, capsys):
    leave_lock()
    launch.record_head(locks.whoami())
    head = json.loads(launch.HEAD.read_text())
    assert (head["pid"], head["host"]) == (os.getpid(), socket.gethostname())
    launch._clear_leftovers(False)
    assert not launch.LOCKS.exists()
    assert "Removing the lock" in capsys.readouterr().err


def test_the_lock_of_another_host_is_refused_until_its_head_was_a_job_that_has_ended(folder, monkeypatch):
    leave_lock()
    launch.HEAD.write_text(json.dumps({"pid": 7, "host": "node-12", "job": "31", "cluster": "c"}))
    for at_work in (True, None):
        monkeypatch.setattr(launch.locks, "job_at_work", lambda owner, answer=at_work: answer)
        with pytest.raises(UserError, match=r"host node-12 \(process 7\).*snakemake --unlock"):
            launch._clear_leftovers(False)
        assert list(launch.LOCKS.iterdir())
    monkeypatch.setattr(launch.locks, "job_at_work", lambda owner: {"31": False}[owner["job"]])
    launch._clear_leftovers(False)
    assert not launch.LOCKS.exists()


def test_jobs_that_snakemake_left_on_the_cluster_are_ended(folder, monkeypatch):
    calls = []
    monkeypatch.setattr(launch.slurm, "end_orphans", lambda place, certain: calls.append(len(folder.lines)))
    folder.statuses.append(1)
    assert launch.run("2", Path("config.yaml"), [], []) == 1
    assert calls == [0, 1]  # before and after Snakemake

    def stopped(command):
        raise stopping.Stopped("the run was stopped by SIGTERM")

    monkeypatch.setattr(launch, "_snakemake", stopped)
    with pytest.raises(stopping.Stopped):
        launch.run("2", Path("config.yaml"), [], [])
    assert len(calls) == 4


def test_a_signal_that_ends_snakemake_is_named(folder, capsys):
    folder.statuses.append(-9)
    launch.run("2", Path("config.yaml"), [], [])
    assert "the run stopped, as Snakemake was ended by SIGKILL. Run the same" in capsys.readouterr().err


def test_a_request_to_terminate_reaches_snakemake(tmp_path):
    code = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
pathlib.Path({str(tmp_path / "ready")!r}).touch()
time.sleep(60)
"""

    def terminate():
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=terminate).start()
    with pytest.raises(stopping.Stopped, match=r"^the run was stopped by SIGTERM$"):
        launch._snakemake([sys.executable, "-c", code])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_folder_without_leftovers_is_left_alone(folder, capsys):
    launch._clear_leftovers(False)
    assert capsys.readouterr().err == ""


def test_a_job_without_a_living_snakemake_is_an_orphan_and_is_ended(folder, process, capsys):
    job = process(folder.path, "softlabels", "train", "--config", "{}")
    assert pids(launch._processes_here()[0]) == {job.pid}
    launch._clear_leftovers(False)
    assert not psutil.pid_exists(job.pid)
    assert f"process {job.pid}" in capsys.readouterr().err


def test_a_living_snakemake_is_not_disturbed(folder, process):
    head = process(folder.path, "snakemake", "all")
    leave_lock()
    with pytest.raises(UserError, match=rf"at work in this folder already \(process {head.pid}\)"):
        launch._clear_leftovers(False)
    assert head.poll() is None
    assert launch.LOCKS.exists()


@pytest.mark.parametrize(("place", "words"), [
    (".", "snakemake --target-jobs train:seed=0"),  # inside a job
    ("other", "softlabels train"), (".", "another softlabels.txt train"),
    (".", "softlabels predict"), (".", "softlabels run"),  # by a person
])  # fmt: skip
def test_other_processes_are_neither_orphans_nor_heads(folder, process, place, words):
    (folder.path / "other").mkdir()
    assert process(folder.path / place, *words.split()).poll() is None
    assert launch._processes_here() == ([], [])


def test_overrides_merge_mappings_and_replace_all_else():
    raw = {"recipes": {"a": {"epochs": 1, "rate": 0.1}}, "results": "results"}
    merged = launch.overridden(raw, ["recipes={a: {epochs: 2}}", "results=elsewhere"])
    assert merged == {"recipes": {"a": {"epochs": 2, "rate": 0.1}}, "results": "elsewhere"}
    assert raw["recipes"]["a"]["epochs"] == 1
