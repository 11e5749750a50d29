"""`softlabels status --watch`: what it tells of trainings and of what is left, and how it is drawn."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import finished_run
import pytest
import yaml

from softlabels import cli, joblog, nvidia, remaining, resources, status, watch
from softlabels.plan import Plan
from softlabels.watch import Watch, fitted, shown

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
SEED = "shapes/random/quick/soft/seed1"
CONFIG = {
    **finished_run.CONFIG,
    "recipes": {"quick": {**finished_run.QUICK, "epochs": 40}, "gpu": {**finished_run.QUICK, "device": "cuda"}},
}
STUDY = {**CONFIG["studies"]["small"], "seeds": list(range(5))}


def files(job):
    return Path(job.last), Path(job.log)


class Results:
    """A results folder of which nothing is there but what a test puts there."""

    def __init__(self, root, recipes=("quick",)):
        self.root = root
        self.config = {**CONFIG, "results": str(root), "studies": {"small": {**STUDY, "recipes": [*recipes]}}}
        self.plan = Plan(self.config)
        self.jobs = status.jobs_of([self.plan])["small"]

    def job(self, command, **names):
        """The first job with these wildcards."""
        return next(j for j in self.jobs if j.command == command and names.items() <= j.names.items())

    def done(self, job, seconds=None, log=""):
        """A job that took so long."""
        last, logged = files(job)
        for path in (last, logged):
            path.parent.mkdir(parents=True, exist_ok=True)
        last.touch()
        logged.write_text(log)
        if seconds is not None:
            benchmark = Path(job.log.replace("/logs/", "/benchmarks/")).with_suffix(".tsv")
            benchmark.parent.mkdir(parents=True, exist_ok=True)
            benchmark.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t1.0\n")

    def running(self, job, *lines, host="node7", pid=71, ago=0.0):
        """A job at work whose log was touched so many seconds ago."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        last, log = files(job)
        last.unlink(missing_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        first = f"softlabels {job.command}: started {at} on {host}, process {pid}"
        log.write_text("".join(f"{line}\n" for line in (first, *lines)))
        os.utime(log, (time.time() - ago,) * 2)

    def waiting(self, job):
        for path in files(job):
            path.unlink()

    def all_done(self, seconds=None):
        for job in self.jobs:
            self.done(job, seconds)


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "out")


HALF = "epoch 20/40: rate 0.1, val_acc_own 0.5, 3.01 s, 1,234 images/s, about 60 s left"


def look(results, clock=time.monotonic, every=2.0):
    return Watch([results.plan], every, clock).look()


# -- what is left ------------------------------------------------------------------------------------------------------


def test_a_training_tells_its_pace_and_the_watch_adds_them_up(results):
    results.running(results.job("train", seed=0, label="soft"), HALF)
    within = "epoch 21/40, step 7/14: 1,000 images/s, about 57 s left, 3,456 MB of GPU memory"
    results.running(results.job("train", seed=1, label="soft"), HALF, within)
    found = look(results)
    first, second = found["running"]
    assert (first["epoch"], first["images_per_second"], first["seconds_left"]) == (20, 1234, pytest.approx(60, abs=5))
    assert (second["epoch"], second["step"], second["gpu_mb"]) == (20, 7, 3456)
    assert found["images_per_second"] == 2234
    text = "\n".join(shown(found))
    assert re.search(r"quick/soft/seed1 +21/40 +51 % +1,000 +5\d s +3,456 MB +process 71, on node7\n", text + "\n")
    assert "2,234 images/s in all" in text
    assert ": epoch 21 of 40, step 7 of 14, 1,000 images/s, about 5" in status.render(status.status([results.plan]))


def test_what_is_left_of_a_training_shrinks_until_it_says_more_and_signs_of_life_change_nothing(results):
    job = results.job("train", seed=0)
    now = time.time()
    results.running(job, HALF, ago=30.0)

    def left(after, touched=None):
        if touched is not None:
            os.utime(job.log, (now + touched,) * 2)
        job.look(now + after)
        return job.found["seconds_left"]

    assert left(0) == pytest.approx(30, abs=1)
    assert left(10) == pytest.approx(20, abs=1)
    assert left(20, touched=20) == pytest.approx(10, abs=1)
    assert left(100, touched=100) == 0
    results.running(job, HALF, HALF.replace("20/", "21/").replace("60 s", "50 s"))
    assert left(100, touched=100) == pytest.approx(50, abs=1)


@pytest.mark.parametrize(
    "line", ["epoch 20/40: rate 0.1, val_acc_own 0.5", "epoch 20/40: rate 0.1, 1,2", "", "resumed"]
)
def test_a_log_of_an_older_version_or_half_a_line_tells_no_pace(results, line):
    job = results.job("train", seed=0)
    results.running(job)
    with Path(job.log).open("a") as file:
        file.write(line)
    found = look(results)
    assert not {"images_per_second", "seconds_left"} & found["running"][0].keys()
    assert found["seconds_left"] is None
    assert shown(found)[0].endswith(": time left unknown")


def test_a_line_that_is_being_written_waits_until_it_is_whole(results):
    job = results.job("train", seed=0)
    results.running(job, HALF)
    with Path(job.log).open("a") as file:
        file.write("epoch 21/40: rate 0.1, val_acc")
    (found,) = look(results)["running"]
    assert (found["epoch"], found["images_per_second"]) == (20, 1234)


def test_waiting_trainings_take_as_long_as_finished_ones_of_their_kind(results):
    results.all_done(2.0)
    trainings = [job for job in results.jobs if job.command == "train"]
    for job, seconds in zip(trainings, (80, 100, 400), strict=False):
        results.done(job, seconds)
    for job in trainings[3:]:
        results.waiting(job)
    results.running(trainings[3], HALF)
    results.running(trainings[4], HALF)
    assert len(trainings) == 10
    found = look(results)  # two at a time: two of 60 s, five of the median
    assert found["seconds_left"] == pytest.approx((2 * 60 + 5 * 100) / 2, abs=10)
    assert found["left"] == {"small": found["seconds_left"]}
    assert ": about 5 min left, 2,468 images/s in all" in shown(found)[0]


def test_a_resumed_training_says_less_than_it_took(results):
    results.all_done(2.0)
    for job in (job for job in results.jobs if job.command == "train"):
        results.done(job, 10, log="softlabels train: started\nresumed at epoch 39, step 2\n")
    results.waiting(results.job("train", seed=0))
    results.running(results.job("train", seed=1), HALF)
    found = look(results)
    assert found["seconds_left"] == pytest.approx(60 + 120, abs=10)  # of the one at work, which is half done


def test_without_a_finished_one_the_running_ones_tell_and_other_jobs_are_scaled_alike(results):
    for job in results.jobs:
        if job.command in ("data", "split"):
            results.done(job, 3 * resources.expected(results.plan, job.command, **job.names).seconds)
    results.running(results.job("train", seed=0), HALF)
    found = look(results)
    others = [job for job in results.jobs if job.command not in ("data", "split", "train")]
    # Trainings take 120 s. Of all that has been seen here a set of three numbers is known: 3, 3 and 120 / expected.
    expected = 60 + 9 * 120 + 3 * sum(resources.expected(results.plan, j.command, **j.names).seconds for j in others)
    assert found["seconds_left"] == pytest.approx(expected, rel=0.02)


def test_nothing_is_made_up_where_nothing_is_known(tmp_path):
    results = Results(tmp_path, ["gpu"])
    for job in results.jobs:
        if job.command != "train":
            results.done(job, 5)  # which tells nothing of a GPU
    results.running(results.job("train", seed=0))
    found = look(results)
    assert (found["seconds_left"], found["left"]) == (None, {"small": None})
    results.running(results.job("train", seed=0), HALF)
    assert look(results)["seconds_left"] == pytest.approx(60 + 9 * 120, abs=20)


def test_one_long_job_is_not_shared_by_many(results):
    results.all_done(2.0)
    results.running(results.job("train", seed=0), HALF)
    results.running(results.job("train", seed=1), HALF.replace("60 s", "1 s"))
    assert look(results)["seconds_left"] == pytest.approx(60, abs=5)


def test_benchmarks_are_read_a_few_at_a_time_and_only_until_enough_is_known(results, monkeypatch):
    results.all_done(2.0)
    results.running(results.job("train", seed=0))
    read = []
    original = remaining._benchmark
    monkeypatch.setattr(remaining, "READ", 7)
    monkeypatch.setattr(remaining, "_benchmark", lambda job: read.append(job) or original(job))
    watched = Watch([results.plan], 2.0)
    for most in (7, 14, 21):
        watched.look()
        assert len(read) <= most
    for _ in range(20):
        watched.look()
    assert len(set(read)) == len(read)
    assert sum(job.command == "train" for job in read) == remaining.SAMPLES


def test_between_two_jobs_of_a_run_it_still_tells_what_is_left(results):
    results.all_done(2.0)
    results.waiting(results.job("train", seed=1))
    results.running(results.job("train", seed=0), HALF)
    watched = Watch([results.plan], 2.0)
    watched.look()
    results.done(results.job("train", seed=0), 2.0)
    assert watched.look()["seconds_left"] is None  # nobody seems to go on
    record = results.root / ".resume/run.json"
    record.parent.mkdir()
    record.touch()
    assert watched.look()["seconds_left"] == 2.0


# -- looking again -----------------------------------------------------------------------------------------------------


def test_it_sees_what_starts_ends_fails_and_is_made_anew(results, clock):
    watched = Watch([results.plan], 2.0, clock)
    job = results.job("train", seed=0)
    assert watched.look()["running"] == []
    results.running(job, HALF)
    assert [j["job"] for j in watched.look()["running"]] == [job.job]
    results.done(job)
    assert watched.look()["studies"]["small"]["train"] == {"done": 1, "running": 0, "waiting": 9, "failed": 0}
    results.running(job, "softlabels: The loss is nan.")
    found = watched.look()
    assert "    | softlabels: The loss is nan." in shown(found)
    shutil.rmtree(results.root)  # the folder is taken away
    assert watched.look()["studies"]["small"]["train"] == {"done": 0, "running": 0, "waiting": 10, "failed": 0}


def test_a_file_server_that_is_away_leaves_things_as_they_were(results, monkeypatch):
    results.running(results.job("train", seed=0), HALF)
    watched = Watch([results.plan], 2.0)
    watched.look()

    def gone(*arguments):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(joblog, "read", gone)
    assert [j["epoch"] for j in watched.look()["running"]] == [20]


def test_a_large_grid_is_looked_at_in_turns(results, clock, monkeypatch):
    results.all_done()
    for job in results.jobs[::2]:
        results.waiting(job)
    at_work = results.job("train", seed=0)
    results.running(at_work, HALF)
    monkeypatch.setattr(watch, "LEAST", 3)
    looked = []
    original = status.Job.look

    def slow(job, now):
        looked.append(job.job)
        clock.seconds += 1.0  # a file server that takes its time
        original(job, now)

    watched = Watch([results.plan], 2.0, clock)
    monkeypatch.setattr(status.Job, "look", slow)
    watched.look()
    assert len(looked) == len(results.jobs)  # at first everything
    looked.clear()
    watched.look()
    assert len(looked) == 1 + 2 * 3  # what runs, and a few of those that wait and of those that are done
    assert looked[0] == at_work.job
    for _ in range(len(results.jobs)):
        watched.look()
    assert set(looked) == {job.job for job in results.jobs}


def test_the_clock_is_the_file_servers_and_seldom_asked(results, clock, monkeypatch):
    asked = []
    monkeypatch.setattr(watch, "now_in", lambda root: asked.append(root) or 1_700_000_000.0 + clock.seconds + 3600)
    watched = Watch([results.plan], 2.0, clock)
    for _ in range(40):
        found = watched.look()
        clock.seconds += 2.0
    assert found["time"] == "2023-11-14T23:14:38+00:00"
    assert len(asked) == 2


def test_it_ends_when_all_is_done_or_the_run_that_it_saw_has_ended(results):
    watched = Watch([results.plan], 2.0)
    watched.look()
    assert not watched.ended
    record = results.root / ".resume/run.json"
    record.parent.mkdir(parents=True)
    record.touch()
    watched.look()
    assert not watched.ended
    record.unlink()
    watched.look()
    assert watched.ended
    results.all_done()
    watched = Watch([results.plan], 2.0)
    found = watched.look()
    assert watched.ended
    assert shown(found)[0].endswith(": all done")


# -- GPUs --------------------------------------------------------------------------------------------------------------

NVIDIA_SMI = """#!/bin/sh
case $1 in
--query-gpu=index,name,uuid,memory.used,memory.total,utilization.gpu)
    echo '0, NVIDIA H100 80GB HBM3, GPU-a, 12345, 81559, 97'
    echo '1, NVIDIA H100 80GB HBM3, GPU-b, 0, 81559, [N/A]' ;;
--query-compute-apps=pid,used_gpu_memory,gpu_uuid)
    echo "PID, 11800, GPU-a"
    echo '99, [N/A], GPU-a'
    echo 'No devices were found' ;;
*) exit 2 ;;
esac
"""


def smi(folder, monkeypatch, text):
    folder.mkdir(exist_ok=True)
    (folder / "nvidia-smi").write_text(text)
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_memory_of_this_machines_gpus_is_shown_where_a_training_uses_one(tmp_path, monkeypatch):
    results, here = Results(tmp_path / "out", ["gpu"]), socket.gethostname()
    job = results.job("train", seed=0)
    smi(tmp_path / "bin", monkeypatch, NVIDIA_SMI.replace("PID", str(os.getpid())))
    assert look(results)["gpus"] == []  # nobody uses one
    results.running(job, HALF + ", 9,000 MB of GPU memory", host=here, pid=os.getpid())
    found = look(results)
    assert found["gpus"][0] == {
        "index": 0, "name": "NVIDIA H100 80GB HBM3", "used_mb": 12345, "total_mb": 81559, "busy": 97,
        "processes": {os.getpid(): 11800},
    }  # fmt: skip
    assert (found["running"][0]["gpu"], found["running"][0]["gpu_mb"]) == (0, 11800)
    text = "\n".join(shown(found))
    assert "\nGPU 0, NVIDIA H100 80GB HBM3: 12,345 of 81,559 MB, 97 % busy\n" in text
    assert "\nGPU 1, NVIDIA H100 80GB HBM3: 0 of 81,559 MB\n" in text
    assert f"11,800 MB   GPU 0, process {os.getpid()}, on {here}" in text
    results.running(job, HALF + ", 9,000 MB of GPU memory")  # on another machine its log tells
    found = look(results)
    assert (found["gpus"], found["running"][0]["gpu_mb"]) == ([], 9000)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho Failed to initialize NVML\n", "no program"])
def test_an_nvidia_smi_that_fails_shows_nothing(tmp_path, monkeypatch, text):
    smi(tmp_path / "bin", monkeypatch, text)
    assert nvidia.gpus() == []


def test_no_nvidia_smi_shows_nothing(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert nvidia.gpus() == []


# -- how it looks ------------------------------------------------------------------------------------------------------


def wide(results, count=10):
    for job in [job for job in results.jobs if job.command == "train"][:count]:
        results.running(job, HALF, "softlabels: no." if job.names["seed"] == 4 else HALF)
    return look(results)


@pytest.mark.parametrize(("width", "height"), [(200, 60), (80, 24), (60, 12), (30, 8), (20, 3), (5, 1)])
def test_it_fits_into_any_terminal(results, width, height):
    lines = shown(wide(results), width, height)
    assert 0 < len(lines) <= height
    assert max(map(len, lines)) <= width


def test_where_there_is_little_room_names_lose_their_beginning_and_lists_their_end(results):
    found = wide(results)
    whole, small = shown(found, 200, 80), shown(found, 70, 16)
    assert sum(line.startswith("  train shapes/random/") for line in whole) == 10
    assert any(line.startswith("study small: 0 done, 8 running, ") for line in small)
    assert any(re.match(r"  …\S*/seed\d +20/40 +50 % +1,234 ", line) for line in small)
    assert any(re.match(r"  … and \d more$", line) for line in small)
    assert small[small.index("Failed") + 1] == "  train shapes/random/quick/hard/seed4: softlabels: no."


def test_what_a_log_holds_cannot_move_the_cursor(results):
    results.running(results.job("train", seed=0), "softlabels: \x1b[2J\x07 a\tb 図" + "x" * 300)
    lines = shown(look(results), 80, 40)
    assert not any("\x1b" in line or "\x07" in line for line in lines)
    assert fitted("ab図図", 5) == "ab図…"
    assert fitted("ab図図", 6) == "ab図図"
    assert fitted("a\u0301b", 2) == "a\u0301b"


# -- the command -------------------------------------------------------------------------------------------------------


def words(results, tmp_path, *more):
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(results.config))
    return ["softlabels", "status", "--configfile", str(config), "--watch", *more]


@pytest.fixture
def call(results, tmp_path, monkeypatch, clock):
    """Call the command, and press Ctrl-C after some seconds, which pass at once."""

    def called(*more, seconds=0.0):
        clock.seconds = 0.0

        def pause(length):
            clock.seconds += length
            if clock.seconds > seconds:
                raise KeyboardInterrupt

        monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=clock, sleep=pause))
        monkeypatch.setattr(sys, "argv", words(results, tmp_path, *more))
        cli.main()

    return called


class Terminal:
    """A terminal in which the command draws."""

    def __init__(self, command):
        self.master, terminal = pty.openpty()
        # A group of its own in our session: one without a parent beside it could not be halted.
        self.process = subprocess.Popen(
            [sys.executable, "-Pm", *command], stdout=terminal, stderr=terminal, stdin=terminal, process_group=0,
            env=os.environ | {"PYTHONPATH": str(WORKFLOW), "TERM": "xterm"},
        )  # fmt: skip
        os.close(terminal)

    def until(self, text, times=1):
        """The bytes that it shows until ``text`` came so often."""
        seen = b""
        while seen.count(text.encode()) < times:
            seen += os.read(self.master, 100_000)
        return seen

    def rest(self):
        """What it shows until it is closed."""
        seen = b""
        with pytest.raises(OSError, match="Input/output error"):
            while more := os.read(self.master, 100_000):
                seen += more
        return seen

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(results, tmp_path):
    results.running(results.job("train", seed=0), HALF)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run below nohup
    terminal = Terminal(words(results, tmp_path, "--every", "0.2"))
    signal.signal(signal.SIGHUP, before)
    yield terminal
    terminal.close()


def test_it_draws_in_place_until_ctrl_c_and_leaves_the_terminal_as_it_was(terminal):
    seen = terminal.until(watch.HOME, 4)
    terminal.process.send_signal(signal.SIGINT)
    seen += terminal.rest()
    assert terminal.process.wait() == 0
    text = seen.decode()
    assert text.startswith(watch.ENTER + watch.HOME + "Looking at all jobs")
    drawn, after = text.split(watch.LEAVE)
    screens = drawn.removeprefix(watch.ENTER).split(watch.HOME)[2:]
    for screen in screens[:2]:
        lines = screen.removesuffix(watch.BELOW).split("\r\n")
        assert 10 < len(lines) <= 24
        assert all(line.endswith(watch.END_OF_LINE) and len(line) <= 80 + 3 for line in lines)
    assert "1,234" in after
    assert "Traceback" not in text
    assert "\x1b" not in after


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on_and_a_hangup_ends_it(terminal):
    terminal.until(watch.HOME, 2)
    terminal.process.send_signal(signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(terminal.process.pid, os.WUNTRACED)[1])
    assert terminal.until(watch.LEAVE).endswith(watch.LEAVE.encode())
    terminal.process.send_signal(signal.SIGCONT)
    seen = terminal.until(watch.HOME, 2)
    assert seen.startswith((watch.ENTER + watch.HOME).encode())
    assert b"1,234" in seen
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.rest().endswith(watch.LEAVE.encode())
    assert terminal.process.wait() == 128 + signal.SIGHUP


def test_in_the_background_of_a_shell_nothing_is_drawn(results, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: os.getpgrp() + 1)
    with (tmp_path / "shown").open("w") as out, watch._drawn(out) as draw:
        signal.raise_signal(signal.SIGCONT)
        draw(look(results), True)
    assert (tmp_path / "shown").read_text() == f"{watch.ENTER}{watch.HOME}Looking at all jobs …{watch.LEAVE}"


def test_elsewhere_it_writes_blocks_and_ends_by_itself_when_all_is_done(results, call, capsys):
    results.all_done(1.0)
    call()
    text = capsys.readouterr().out
    assert text.count("study small ") == 1
    assert text.endswith("chain                         1        ·        ·        ·\n\n")
    assert "\x1b" not in text


def test_json_is_a_line_each_time_and_ctrl_c_ends_it_quietly(call, capsys):
    call("--json", "--every", "7", seconds=20)
    output = capsys.readouterr()
    found = [json.loads(line) for line in output.out.splitlines()]
    assert len(found) == 3
    assert all(each["running"] == [] and each["seconds_left"] is None for each in found)
    assert output.err == ""


def test_a_reader_that_has_seen_enough_ends_it(results):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        watch.watch([results.plan], 2.0, False, out)  # returns


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--watch", "--every", "0"], "argument --every: found '0', expected seconds, 0.2 or more"),
        (["--watch", "--every", "nan"], "argument --every: found 'nan', expected seconds, 0.2 or more"),
        (["--every", "5"], "softlabels: --every says how often --watch looks. Add --watch, or omit it."),
    ],
)
def test_a_wrong_interval_is_refused(more, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["softlabels", "status", *more])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("line", [
    "epoch 1/2, step 0/0: 3 images/s", "epoch 0/0: 1 s", f"epoch {'9' * 5000}/2: 1 s", f"about {'9' * 400} s left",
])  # fmt: skip
def test_odd_lines_of_a_log_tell_nothing(tmp_path, line):
    log = tmp_path / "train.log"
    log.write_text(f"softlabels train: started yesterday on here, process {'9' * 30}\n{line}\n")
    assert joblog.read(log, log.stat().st_mtime) == {"state": "running", "silent": 0}
