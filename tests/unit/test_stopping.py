"""A training that is asked to stop, at any moment: one message, a status of its own, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training_files import ask_before, before_call, command, contents, fit, outputs_in, recipe, write_data

from softlabels import cli, io, locks, stopping
from softlabels.errors import UserError
from softlabels.provenance import manifest
from softlabels.training import checkpoint, loop, train
from softlabels.training.loop import Trainer

ROOT = Path(__file__).resolve().parents[2]
RECIPE = recipe(epochs=3, select="best_validation", dropout=0.2)
RUN = "runs/d/random/compact/soft/seed0"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    return contents(fit(tmp_path_factory.mktemp("undisturbed"), inputs, RECIPE)[1])


@pytest.fixture(autouse=True)
def handlers():
    """The command line handles signals until the process ends; here another test follows."""
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def taken_over(folder):
    """Let another process take the run over."""
    record = io.read_json(folder / "lock.json") | {"host": "node2", "token": "other"}
    (folder / "lock.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("owner", "name", "call", "number", "place", "resumes"),
    [
        (train, "read_run", 1, "SIGUSR1", "", []),  # while data are read
        (Trainer, "step", 6, "SIGTERM", " in epoch 2 of 3; the state is saved", [[2, 2]]),
        (Trainer, "step", 6, "SIGINT", " in epoch 2 of 3; the state is saved", [[2, 2]]),
        (Trainer, "validate", 2, "SIGTERM", " in epoch 2 of 3; the state is saved", [[2, 4]]),
        (checkpoint.Saver, "save", 3, "SIGTERM", " in epoch 1 of 3; the state is saved", [[1, 4]]),
        (train, "write", 1, "SIGTERM", "", [[4, 0]]),
        (io, "write_table", 2, "SIGUSR1", "", [[4, 0]]),  # between two outputs
        (manifest, "write", 1, "SIGTERM", "", [[4, 0]]),
    ],
)
def test_a_request_to_stop_is_heard_at_any_moment(
    monkeypatch, capsys, tmp_path, inputs, undisturbed, owner, name, call, number, place, resumes
):
    run_folder = tmp_path / RUN
    written = run_folder / "model.manifest.json"
    monkeypatch.setattr(sys, "argv", [*command(run_folder, inputs, RECIPE), "--manifest", str(written)])
    run = train.run
    monkeypatch.setattr(checkpoint, "SAVING_SHARE", float("inf"))
    monkeypatch.setattr(train, "run", lambda *given, **more: run(*given, **more, checkpoint_seconds=0))
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        ask_before(patch, owner, name, call, signal.Signals[number])
        cli.main()
    assert end.value.code == stopping.STATUS == 75
    assert capsys.readouterr().err.splitlines()[-1] == f"softlabels: stopped by {number}{place}. Run again to go on."
    assert not written.exists()
    assert not list(tmp_path.rglob("*.part"))
    assert not (checkpoint.folder_of(run_folder / "model.safetensors") / "lock.json").exists()
    for number in stopping.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    cli.main()
    assert io.read_json(written)["facts"]["resumes"] == resumes
    assert contents(outputs_in(run_folder)) == undisturbed
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN  # what is finished must not look stopped


def test_a_request_while_torch_is_imported_ends_the_process(tmp_path, inputs):
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from softlabels.cli import main; main()"
    words = [sys.executable, "-v", "-c", code, str(ROOT / "workflow"), *command(tmp_path, inputs, RECIPE)[1:]]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("import 'torch._C'") or "torch/_C" in line:
            process.terminate()
            break
    lines += process.stderr.readlines()
    assert process.wait() == stopping.STATUS
    assert "softlabels: stopped by SIGTERM. Run again to go on.\n" in lines


def test_what_a_shell_lets_a_process_ignore_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping.end_at_once()
    with stopping.on_check() as check:
        os.kill(os.getpid(), signal.SIGINT)
        check()
    with pytest.raises(stopping.Stopped, match="stopped by SIGUSR1"):
        os.kill(os.getpid(), signal.SIGUSR1)


def test_a_request_that_nobody_checked_for_ends_the_block():
    reached = []
    with pytest.raises(stopping.Stopped), stopping.on_check():
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append(True)
    assert reached


# -- who trained -------------------------------------------------------------------------------------------------------


def test_facts_list_the_attempts_with_their_jobs_and_where_they_began(monkeypatch, tmp_path, inputs):
    monkeypatch.setattr(locks.socket, "gethostname", lambda: "node1")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with monkeypatch.context() as patch, pytest.raises(stopping.Stopped):
        ask_before(patch, Trainer, "step", 6)
        fit(tmp_path, inputs, RECIPE)
    monkeypatch.setattr(locks.socket, "gethostname", lambda: "node2")
    facts, _ = fit(tmp_path, inputs, RECIPE)
    first, second = facts["attempts"]
    assert (first["host"], first["job"], first["position"]) == ("node1", "12", [1, 0])
    assert (second["host"], second["job"], second["position"]) == ("node2", "12", [2, 2])
    assert facts["resumes"] == [[2, 2]]


@pytest.mark.parametrize(("owner", "name", "call"), [(Trainer, "step", 3), (train, "write", 1)])
def test_a_trainer_whose_run_another_took_over_writes_nothing_more(monkeypatch, tmp_path, inputs, owner, name, call):
    folder = checkpoint.folder_of(tmp_path / "model.safetensors")
    seen = []

    def take_over():
        taken_over(folder)
        seen.append((folder / "state.pt").read_bytes())

    monkeypatch.setattr(checkpoint, "SAVING_SHARE", float("inf"))
    before_call(monkeypatch, owner, name, call, take_over)
    with pytest.raises(UserError, match=r"taken over by process .* on node2"):
        fit(tmp_path, inputs, RECIPE, checkpoint_seconds=0)
    assert (folder / "state.pt").read_bytes() == seen[0]
    assert not (tmp_path / "model.safetensors").exists()
    assert io.read_json(folder / "lock.json")["host"] == "node2"


@pytest.mark.parametrize("last", ["write", "finish"])
def test_a_trainer_whose_run_is_taken_over_at_its_end_leaves_the_other_its_state(monkeypatch, tmp_path, inputs, last):
    folder = checkpoint.folder_of(tmp_path / "model.safetensors")
    write, finished = train.write, []

    def written(*arguments):
        write(*arguments)
        if last == "write":
            taken_over(folder)

    def finish(facts):
        finished.append(facts)
        taken_over(folder)

    monkeypatch.setattr(train, "write", written)
    with pytest.raises(UserError, match=r"taken over by process .* on node2"):
        fit(tmp_path, inputs, RECIPE, finish=finish)
    assert len(finished) == (last == "finish")
    assert (folder / "state.pt").exists()
    assert io.read_json(folder / "lock.json")["host"] == "node2"


def test_saving_that_is_slow_happens_less_often(monkeypatch, tmp_path, inputs):
    now, saves = [0.0], []

    class Clock:
        @staticmethod
        def monotonic():
            return now[0]

    step = Trainer.step

    def slow_step(self, *arguments):
        now[0] += 1
        step(self, *arguments)

    def slow_save(*arguments):
        saves.append(now[0])
        now[0] += 0.09

    for module in (loop, checkpoint):
        monkeypatch.setattr(module, "time", Clock)
    monkeypatch.setattr(Trainer, "step", slow_step)
    monkeypatch.setattr(checkpoint.torch, "save", slow_save)
    fit(tmp_path, inputs, RECIPE | {"epochs": 4}, checkpoint_seconds=2)
    assert saves == pytest.approx([3, 8.09, 13.18, 16.27])  # after 2 s, then each 0.09 s / 0.02 = 4.5 s, and at the end
