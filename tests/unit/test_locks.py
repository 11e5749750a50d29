"""The lock of a run: one owner at a time, also where `flock` does not reach and clocks differ."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from softlabels import locks
from softlabels.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def outside_of_slurm(monkeypatch):
    for name in ("JOB_ID", "CLUSTER_NAME"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "folder" / "lock"


@pytest.fixture
def no_flock(monkeypatch):
    """A file system that has no `flock`."""

    def refuse(*arguments):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


def held(lock, patience=0):
    return locks.held(lock, "Busy", "Wait.", patience)


def leave(lock, age=0.0, **owner):
    """Leave the record of an owner, ``age`` seconds without a sign of life."""
    record = lock.with_suffix(".json")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"host": "elsewhere", "pid": 7, "process": "1", "token": "other", **owner}))
    os.utime(record, (time.time() - age,) * 2)
    return record


def squeue(monkeypatch, tmp_path, script):
    """Let `squeue` be a shell script."""
    path = tmp_path / "bin" / "squeue"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "c")


def python(code, *words, **more):
    """Start a process that runs some code."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **more)


def refused(lock, match="Busy"):
    """Somebody else has the lock."""
    with pytest.raises(UserError, match=match):
        taken(lock)


def holder(lock):
    return json.loads(lock.with_suffix(".json").read_text())


def taken(lock):
    with held(lock) as check:
        check()
        assert holder(lock)["pid"] == os.getpid()
    assert sorted(path.name for path in lock.parent.iterdir()) == ["lock"]


# -- on one host -------------------------------------------------------------------------------------------------------


def test_the_record_names_the_process_its_job_and_when_it_began(monkeypatch, lock):
    for name, value in (("JOB_ID", "12"), ("CLUSTER_NAME", "c")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    with held(lock):
        record = holder(lock)
    assert [record[key] for key in ("host", "pid", "job", "cluster")] == [socket.gethostname(), os.getpid(), "12", "c"]
    assert record["started"].endswith("+00:00")
    assert not lock.with_suffix(".json").exists()


@pytest.mark.usefixtures("no_flock")
def test_a_second_owner_is_refused_also_without_flock(lock):
    with held(lock), pytest.raises(UserError, match=rf"Busy: process {os.getpid()} on .* holds .*lock since .*\. Wait"):
        taken(lock)
    taken(lock)


def test_a_killed_owner_on_this_host_is_followed_at_once(lock):
    code = f"""
from pathlib import Path
from softlabels import locks
with locks.held(Path({str(lock)!r}), "Busy", "Wait."):
    print("held", flush=True)
    input()
"""
    owner = python(code, stdin=subprocess.PIPE)
    assert owner.stdout.readline() == "held\n"
    refused(lock, f"process {owner.pid} on {socket.gethostname()} holds")
    owner.kill()
    owner.wait()
    assert holder(lock)["pid"] == owner.pid
    taken(lock)


@pytest.mark.usefixtures("no_flock")
@pytest.mark.parametrize("process", ["1", None])
def test_a_process_that_got_the_pid_of_a_dead_owner_is_not_the_owner(lock, process):
    leave(lock, host=socket.gethostname(), pid=os.getpid(), process=process)
    taken(lock)


@pytest.mark.usefixtures("no_flock")
def test_a_zombie_is_dead(lock):
    child = subprocess.Popen(["sleep", "60"])
    start = locks._process_start(child.pid)
    leave(lock, host=socket.gethostname(), pid=child.pid, process=start)
    refused(lock)
    child.kill()
    while locks._process_start(child.pid):  # nobody waited for it yet: a zombie
        time.sleep(0.01)
    taken(lock)
    child.wait()


def test_an_owner_that_is_about_to_stop_is_waited_for(lock, capsys):
    with ThreadPoolExecutor() as pool:
        with held(lock):
            second = pool.submit(lambda: held(lock, patience=20).__enter__())
            time.sleep(0.3)
            assert not second.done()
        second.result(10)
    assert "Busy: waiting up to 20 s for process" in capsys.readouterr().err


def test_an_owner_that_is_done_may_take_its_folder_away(monkeypatch, lock):
    original, calls = locks._create, []

    def create(path, record):
        calls.append(path)
        if len(calls) == 2:  # the second owner's first attempt
            shutil.rmtree(lock.parent)
        return original(path, record)

    monkeypatch.setattr(locks, "_create", create)
    with held(lock):
        pass
    taken(lock)
    assert len(calls) == 3


# -- across hosts ------------------------------------------------------------------------------------------------------


def test_an_owner_elsewhere_counts_as_alive_while_it_gives_signs_of_life(lock):
    leave(lock, age=200)
    refused(lock, r"process 7 on elsewhere holds .* last sign of life came 2\d\d s ago.* 300 s")
    leave(lock, age=310)
    taken(lock)


def test_a_job_that_squeue_lists_is_alive_however_silent(monkeypatch, tmp_path, lock):
    squeue(monkeypatch, tmp_path, '[ "$3" = --jobs=12 ] && echo RUNNING')
    leave(lock, age=1e6, job="12", cluster="c")
    refused(lock, r"process 7 on elsewhere, job 12 holds .* To stop it: scancel 12\.")


def test_on_a_login_node_the_cluster_that_answers_tells_of_its_jobs(monkeypatch, tmp_path, lock):
    squeue(monkeypatch, tmp_path, "true")
    monkeypatch.delenv("SLURM_CLUSTER_NAME")
    leave(lock, job="12", cluster="c")
    refused(lock, r"scancel 12\. If that host is gone: .* after 300 s without one the place is")
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.write_text("#!/bin/sh\necho 'ClusterName             = c'\n")
    scontrol.chmod(0o755)
    taken(lock)


@pytest.mark.parametrize("answer", ["true", "echo PENDING", "echo 'error: Invalid job id specified' >&2; exit 1"])
def test_a_job_that_has_ended_or_waits_again_is_dead_however_recent(monkeypatch, tmp_path, lock, answer):
    squeue(monkeypatch, tmp_path, answer)
    leave(lock, job="12", cluster="c")
    taken(lock)


def test_this_job_requeued_follows_its_earlier_self(monkeypatch, tmp_path, lock):
    squeue(monkeypatch, tmp_path, "echo RUNNING")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    leave(lock, job="12", cluster="c")
    taken(lock)


@pytest.mark.parametrize(("answer", "cluster"), [("echo no controller >&2; exit 1", "c"), ("true", "another")])
def test_where_squeue_cannot_tell_the_signs_of_life_decide(monkeypatch, tmp_path, lock, answer, cluster):
    squeue(monkeypatch, tmp_path, answer)
    leave(lock, job="12", cluster=cluster)
    refused(lock)
    leave(lock, age=310, job="12", cluster=cluster)
    taken(lock)


def test_a_damaged_record_keeps_others_out_until_it_is_old(lock):
    record = leave(lock)
    record.write_text("{")
    refused(lock, "process unknown on an unknown host")
    os.utime(record, (1, 1))
    taken(lock)


def test_a_clock_that_is_wrong_changes_nothing(monkeypatch, lock):
    leave(lock, age=100)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert locks._age(lock.with_suffix(".json")) == pytest.approx(100, abs=20)


def test_an_owner_gives_signs_of_life(monkeypatch, lock):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    record = lock.with_suffix(".json")
    with held(lock):
        os.utime(record, (1, 1))
        time.sleep(0.3)
        assert locks._age(record) < 60


def test_an_owner_whose_place_was_taken_notices_and_leaves_the_other_alone(monkeypatch, lock):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    with held(lock) as check:
        check()
        record = leave(lock, age=1000, host="node2", job="13")
        time.sleep(0.1)
        assert locks._age(record) > 900
        with pytest.raises(UserError, match=r"taken over by process 7 on node2, job 13, because this process .* seem"):
            check()
    assert holder(lock)["token"] == "other"


# -- races -------------------------------------------------------------------------------------------------------------

RACER = """
import sys, time
from pathlib import Path
from softlabels import locks
from softlabels.errors import UserError
def refuse(*arguments):
    raise OSError(38, "Function not implemented")
locks.fcntl.flock = refuse
lock, start = Path(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0, start - time.time()))
try:
    with locks.held(lock, "Busy", "Wait.") as check:
        time.sleep(1)
        check()
        print("won")
except UserError:
    print("refused")
"""


@pytest.mark.parametrize("dead_owner", [False, True])
def test_of_several_processes_that_race_for_a_lock_one_wins(lock, dead_owner):
    lock.parent.mkdir()
    if dead_owner:
        leave(lock, age=1000)
    start = str(time.time() + 1)
    racers = [python(RACER, str(lock), start) for _ in range(4)]
    assert sorted(racer.communicate()[0].strip() for racer in racers) == ["refused"] * 3 + ["won"]


def test_a_claim_whose_maker_died_is_given_up(lock):
    record = leave(lock, age=1000)
    claim = record.with_name("lock.json.other")
    claim.write_text("{}")
    refused(lock)
    os.utime(claim, (1, 1))
    refused(lock)  # this time it is cleared away
    taken(lock)


def test_the_place_of_a_dead_owner_that_another_took_meanwhile_is_left_alone(monkeypatch, lock):
    record = leave(lock, age=1000)
    original = locks._alive

    def slow(owner, path):
        alive = original(owner, path)
        leave(lock, token="quicker")
        return alive

    monkeypatch.setattr(locks, "_alive", slow)
    refused(lock)
    assert json.loads(record.read_text())["token"] == "quicker"
    assert sorted(path.name for path in lock.parent.iterdir()) == ["lock", "lock.json"]
