"""`softlabels status`: done, running, waiting and failed jobs, told from files alone."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import finished_run
import pytest
import yaml

from softlabels import joblog, status
from softlabels.errors import UserError
from softlabels.plan import Plan

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
RUN = "shapes/random/quick/soft/seed1"
DRAWN = {"card", "embed", "figure"}  # what finished_run leaves out


@pytest.fixture
def root(broken):
    """A finished study, but for what draws."""
    return broken


def look(root):
    return status.status([Plan({**finished_run.CONFIG, "results": str(root)})])


def state(root, command):
    """The states of the jobs of a command and how many there are of each, without those of which there are none."""
    return {name: n for name, n in look(root)["studies"]["small"][command].items() if n}


def unfinished(root, text, age=0.0, command="train"):
    """Take away what a job wrote; its log holds ``text`` and was touched ``age`` seconds ago."""
    first, log = {"train": ("model", "train"), "evaluate": ("scores/standard", "scores/standard")}[command]
    (root / f"runs/{RUN}/{first}.manifest.json").unlink()
    log = root / f"logs/runs/{RUN}/{log}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)
    os.utime(log, (time.time() - age,) * 2)
    return log


def started(host="node7", pid=71, slurm=", SLURM job 5012"):
    return f"softlabels train: started 2026-01-02T03:04:05+00:00 on {host}, process {pid}{slurm}\n"


EPOCHS = "epoch 1/60: rate 0.1000, train_loss 1.2\nepoch 12/60: rate 0.0900, train_loss 0.8\n"


def test_a_finished_study_is_done(root):
    found = look(root)["studies"]["small"]
    assert {command: states["done"] for command, states in found.items() if command not in DRAWN} == {
        "data": 1, "label": 2, "split": 2, "references": 2, "train": 4, "evaluate": 4, "study": 1, "chain": 1,
    }  # fmt: skip
    assert state(root, "figure") == {"waiting": 2}
    assert state(root, "embed") == {"waiting": 2}


def test_nothing_has_run_where_there_is_no_results_folder(tmp_path):
    found = look(tmp_path / "nowhere")
    assert {name for states in found["studies"]["small"].values() for name, n in states.items() if n} == {"waiting"}
    assert not (tmp_path / "nowhere").exists()


def test_looking_changes_nothing(root):
    before = sorted(root.rglob("*"))
    look(root)
    assert sorted(root.rglob("*")) == before


def test_a_job_elsewhere_that_touched_its_log_lately_is_running(root):
    log = unfinished(root, started() + EPOCHS, age=60)
    assert state(root, "train") == {"done": 3, "running": 1}
    (job,) = look(root)["running"]
    assert job == {
        "command": "train", "job": f"runs/{RUN}", "log": str(log), "state": "running",
        "started": "2026-01-02T03:04:05+00:00", "host": "node7", "pid": 71, "slurm_job": "5012",
        "epoch": 12, "epochs": 60, "silent": pytest.approx(60, abs=5),
    }  # fmt: skip
    text = status.render(look(root))
    assert f"  train {RUN}: epoch 12 of 60, SLURM job 5012, on node7, started 2026-01-02T03:04:05+00:00" in text


STOPPED = "softlabels: stopped by SIGTERM in epoch 13 of 60; the state is saved.\n"


@pytest.mark.parametrize(
    ("text", "age", "expected"),
    [
        (started(), joblog.DEAD_SECONDS + 60, "failed"),  # elsewhere, and silent for long
        ("", 0, "running"),  # has not said a word yet
        (started() + EPOCHS + STOPPED, 0, "waiting"),  # was asked to stop
        (started() + "softlabels train: done\n", 1e6, "waiting"),  # its files were removed after it was done
        ("\ufffd\0\r" * 100_000, 0, "running"),  # no text
    ],
)
def test_the_state_of_a_job_is_told_from_its_log(root, text, age, expected):
    unfinished(root, text, age=age)
    assert state(root, "train") == {"done": 3, expected: 1}
    assert all(job["lines"] == ["(ended without a word: killed?)"] for job in look(root)["failed"])


def test_a_job_of_this_host_runs_as_long_as_its_process_lives(root):
    here = socket.gethostname()
    with subprocess.Popen(["sleep", "100"]) as process:
        log = unfinished(root, started(here, process.pid, ""))
        assert state(root, "train") == {"done": 3, "running": 1}
        process.kill()
    assert log.stat().st_mtime > time.time() - joblog.DEAD_SECONDS
    assert state(root, "train") == {"done": 3, "failed": 1}


@pytest.mark.parametrize(
    "words",
    [
        "softlabels: The loss is nan in epoch 1: training diverged. Lower recipe.rate (1e+30).\n",
        "Traceback (most recent call last):\n  File x\nKeyError: 'y'\n",
        "slurmstepd: error: *** JOB 5012 ON node7 CANCELLED DUE TO TIME LIMIT ***\n",
    ],
)
def test_a_failed_job_shows_the_last_lines_of_its_log(root, words):
    log = unfinished(root, started() + EPOCHS + words)
    assert state(root, "train") == {"done": 3, "failed": 1}
    text = status.render(look(root))
    assert f"    | {words.splitlines()[-1]}\n" in text
    assert str(log) in text


def test_what_a_log_holds_cannot_move_the_cursor(root):
    unfinished(root, started() + "softlabels: \x1b[2J\x9b1A\x07 a\tb 図\n")
    text = status.render(look(root))
    assert re.search(r"\n    \| softlabels: \?\[2J\?1A\? a +b 図\n", text)
    assert all(line.isprintable() for line in text.splitlines())


def test_a_long_list_is_cut_in_the_text_and_whole_in_json(root, monkeypatch):
    monkeypatch.setattr(status, "SHOWN", 1)
    for command in ("train", "evaluate"):
        unfinished(root, started() + "softlabels: no.\n", command=command)
    found = look(root)
    assert len(found["failed"]) == 2
    assert "… and 1 more (--json lists all)" in status.render(found)


# -- logs of jobs ------------------------------------------------------------------------------------------------------


def job(folder, code):
    """Run code as a job that writes a log."""
    log = folder / "job.log"
    environment = os.environ | {"PYTHONPATH": str(WORKFLOW), "SLURM_JOB_ID": "77"}
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=file, env=environment)
    return log, process


def test_a_job_says_where_it_is_and_that_it_is_done(tmp_path):
    log, process = job(tmp_path, "from softlabels import joblog\nwith joblog.announced('split'): pass")
    assert process.wait() == 0
    first, last = log.read_text().splitlines()
    assert first.startswith("softlabels split: started 2")
    assert first.endswith(f" on {socket.gethostname()}, process {process.pid}, SLURM job 77")
    assert last == "softlabels split: done"
    assert joblog.read(log, time.time())["state"] == "waiting"


def test_a_job_that_breaks_does_not_say_that_it_is_done(tmp_path):
    log, process = job(tmp_path, "from softlabels import joblog\nwith joblog.announced('split'): 1 / 0")
    assert process.wait() == 1
    assert "done" not in log.read_text()
    found = joblog.read(log, time.time())
    assert (found["state"], found["lines"][-1]) == ("failed", "ZeroDivisionError: division by zero")


def test_a_silent_job_touches_its_log(tmp_path):
    code = """
import sys, time
from softlabels import joblog, locks
locks.BEAT_SECONDS = 0.05
with joblog.announced('split'):
    time.sleep(60)
"""
    log, process = job(tmp_path, code)
    try:
        while not log.read_text():
            time.sleep(0.02)
        os.utime(log, (0, 0))
        end = time.monotonic() + 10
        while log.stat().st_mtime == 0 and time.monotonic() < end:
            time.sleep(0.02)
        assert joblog.read(log, time.time())["state"] == "running"
    finally:
        process.kill()
        process.wait()
    assert joblog.read(log, time.time())["state"] == "failed"


def test_a_terminal_or_a_pipe_hears_nothing(capsys):
    with joblog.announced("split"):
        pass
    assert capsys.readouterr() == ("", "")


# -- which configuration -----------------------------------------------------------------------------------------------


def configurations(folder, monkeypatch):
    """Stand in a folder whose ``config/`` is that of the repository."""
    (folder / "config").mkdir()
    monkeypatch.setattr(status, "CONFIG", folder / "config/config.yaml")
    monkeypatch.chdir(folder)


def test_the_configuration_of_a_results_folder_is_found(tmp_path, monkeypatch):
    configurations(tmp_path, monkeypatch)
    for name in ("one", "two"):
        (tmp_path / f"config/{name}.yaml").write_text(yaml.safe_dump({**finished_run.CONFIG, "results": f"out/{name}"}))
    assert [plan.root for plan in status.plans_of(Path("out/two/"), None, [])] == ["out/two"]
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert [plan.root for plan in status.plans_of(Path("../out/two"), None, [])] == ["../out/two"]
    monkeypatch.chdir(tmp_path)
    assert [plan.root for plan in status.plans_of(None, Path("config/one.yaml"), ["results=x"])] == ["x"]
    assert [plan.root for plan in status.plans_of(Path("copy"), Path("config/one.yaml"), [])] == ["copy"]
    with pytest.raises(UserError, match=r"^other: no configuration in .*/config has these results\. Name one"):
        status.plans_of(Path("other"), None, [])


def test_of_several_configurations_with_the_same_results_those_count_that_were_begun(tmp_path, monkeypatch):
    configurations(tmp_path, monkeypatch)
    for name in ("another", "config", "third"):
        studies = {name: finished_run.CONFIG["studies"]["small"]}
        (tmp_path / f"config/{name}.yaml").write_text(yaml.safe_dump({**finished_run.CONFIG, "studies": studies}))
    root = Path("results")

    def shown():
        return list(status.status(status.plans_of(root, None, []))["studies"])

    assert shown() == ["config"]
    (root / f"logs/runs/{RUN}").mkdir(parents=True)
    (root / f"logs/runs/{RUN}/train.log").touch()
    assert shown() == ["config", "another", "third"]  # the same run serves all three
    (tmp_path / "config/third.yaml").write_text((tmp_path / "config/third.yaml").read_text().replace("quick", "other"))
    assert shown() == ["config", "another"]
    (tmp_path / "config/draft.yaml").write_text("studies: {x: {datasets: [nothing]}}")
    assert shown() == ["config", "another"]


def test_the_command_prints_a_table_or_json(root, tmp_path):
    unfinished(root, started() + EPOCHS)
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(finished_run.CONFIG))
    command = [sys.executable, "-Pm", "softlabels", "status", str(root), "--configfile", str(config)]
    environment = os.environ | {"PYTHONPATH": str(WORKFLOW)}
    text, document = (
        subprocess.run([*command, *more], env=environment, text=True, capture_output=True, check=True).stdout
        for more in ([], ["--json"])
    )
    assert "study small                  done  running  waiting   failed\n" in text
    assert "\n  train                         3        1        ·        ·\n" in text
    assert json.loads(document)["studies"]["small"]["train"] == {"done": 3, "running": 1, "waiting": 0, "failed": 0}
