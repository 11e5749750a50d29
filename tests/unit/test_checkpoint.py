"""Resume: a training that was interrupted ends with the bytes of one that was not."""

import os
import signal
import socket
import sys

import numpy as np
import pytest
import torch
from training_files import Payload, ask_before, before_call, command, contents, fit, recipe, write_data, write_labels

from softlabels import cli, closure, commands, io
from softlabels.errors import UserError
from softlabels.stopping import Stopped
from softlabels.training import checkpoint, loop, train
from softlabels.training.loop import Trainer

STEPS = 4  # 36 training items in batches of 8
# Everything that draws at random or changes while training runs.
RECIPE = recipe(
    epochs=3,
    dropout=0.3,
    warmup_epochs=0.5,
    schedule={"kind": "warm_restarts", "first_cycle": 1.0, "cycle_factor": 2.0},
    select="best_validation",
    augment={"zoom": 0.8, "hue": 0.05, "brightness": 0.1},
    rate=0.3,
)


class Killed(BaseException):
    """The process ends without a chance to save anything."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    facts, outputs = fit(tmp_path_factory.mktemp("undisturbed"), inputs, RECIPE)
    assert facts["resumes"] == []
    return contents(outputs)


def killed():
    raise Killed


def interrupted(monkeypatch, folder, inputs, method="step", call=STEPS + 3, recipe=RECIPE, **more):
    """Train until the trainer is killed; the state is saved after every step."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint, "SAVING_SHARE", np.inf)
        owner = {"write": train, "write_table": io}.get(method, Trainer)
        before_call(patch, owner, method, call, killed)
        fit(folder, inputs, recipe, checkpoint_seconds=0, **more)


@pytest.mark.parametrize(
    ("method", "call", "position"),
    [
        ("step", 3, [1, 2]),  # in the middle of an epoch
        ("validate", 1, [1, STEPS]),  # after the last step of an epoch, before its validation
        ("step", STEPS + 1, [1, STEPS]),  # between two epochs, after the validation
        ("step", STEPS + 2, [2, 1]),
        ("step", 2 * STEPS + 2, [3, 1]),
        ("validate", 3, [3, STEPS]),
        ("write", 1, [4, 0]),  # trained, but nothing written
        ("write_table", 1, [4, 0]),  # in the middle of writing
    ],
)
def test_a_killed_training_resumes_to_the_same_bytes(
    monkeypatch, tmp_path, inputs, undisturbed, method, call, position
):
    interrupted(monkeypatch, tmp_path, inputs, method, call)
    facts, outputs = fit(tmp_path, inputs, RECIPE)
    assert facts["resumes"] == [position]
    assert contents(outputs) == undisturbed


def test_a_training_killed_again_and_again_counts_its_resumes(monkeypatch, tmp_path, inputs, undisturbed):
    for _ in range(3):
        interrupted(monkeypatch, tmp_path, inputs, call=3)
    facts, outputs = fit(tmp_path, inputs, RECIPE)
    assert facts["resumes"] == [[1, 2], [1, 4], [2, 2]]
    assert contents(outputs) == undisturbed


@pytest.mark.parametrize(("at", "position"), [(2, [1, 2]), (STEPS, [1, STEPS]), (STEPS + 1, [2, 1])])
def test_a_request_to_terminate_saves_the_state_after_the_running_step(
    monkeypatch, tmp_path, inputs, undisturbed, at, position
):
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        ask_before(patch, Trainer, "step", at)
        with pytest.raises(Stopped, match=f"stopped by SIGTERM in epoch {position[0]} of 3; the state is saved"):
            fit(tmp_path, inputs, RECIPE)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "model.safetensors").exists()
    facts, outputs = fit(tmp_path, inputs, RECIPE)
    assert facts["resumes"] == [position]
    assert contents(outputs) == undisturbed


def test_the_kept_weights_are_those_of_the_best_epoch_also_when_it_came_before_the_interruption(
    monkeypatch, tmp_path, inputs, undisturbed
):
    interrupted(monkeypatch, tmp_path, inputs, call=2 * STEPS + 2)
    _, outputs = fit(tmp_path, inputs, RECIPE)
    own = io.vector(io.read_table(outputs["history"])[0], "val_ce_own")
    assert own.argmin() < 2, "the test needs a best epoch before the last"
    table = io.read_table(outputs["predictions"])[0]
    validation = io.vector(table, "split") == "val"
    logits = io.matrix(table, "logits").astype(float)
    log_q = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    p = io.matrix(io.read_table(inputs["labels"])[0], "p")
    assert -(p * log_q).sum(axis=1)[validation].mean() == pytest.approx(own.min(), rel=1e-5)


def with_memory(logits, target, index, state, options):
    """A loss that remembers: from the second epoch on, targets lean on the running predictions of each item."""
    running = state.setdefault("running", logits.new_zeros(state["items"], logits.shape[1]))
    running[index] = options["keep"] * running[index] + (1 - options["keep"]) * logits.softmax(dim=1).detach()
    target = target if state["epoch"] == 1 else (target + running[index]) / 2
    return -(target * logits.log_softmax(dim=1)).sum(dim=1)


def adam(parameters, rate, options):
    return torch.optim.AdamW(parameters, lr=rate, betas=options["betas"])


@pytest.mark.parametrize("call", [3, STEPS + 1, 2 * STEPS + 2])
def test_what_a_loss_and_an_optimiser_remember_is_resumed_to_the_same_bytes(monkeypatch, tmp_path, inputs, call):
    load, own = loop.registry.load, {"remembers": with_memory, "adam": adam}
    monkeypatch.setattr(loop.registry, "load", lambda kind, name: own.get(name) or load(kind, name))
    made = RECIPE | {
        "loss": {"kind": "remembers", "keep": 0.6}, "optimiser": {"kind": "adam", "betas": [0.8, 0.9]}, "rate": 0.01,
    }  # fmt: skip
    whole = contents(fit(tmp_path / "whole", inputs, made)[1])
    interrupted(monkeypatch, tmp_path / "stopped", inputs, call=call, recipe=made)
    state = torch.load(next(tmp_path.rglob("state.pt")), weights_only=True)
    assert state["loss_state"]["running"].any()
    facts, outputs = fit(tmp_path / "stopped", inputs, made)
    assert len(facts["resumes"]) == 1
    assert contents(outputs) == whole


# -- what is not resumed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "more", "resumes"), [
    ({"rate": 0.2}, {}, []), ({"threads": 2}, {}, []), ({"epochs": 4}, {}, []), ({}, {"seed": 1}, []),
    ({}, {"labels": "hard"}, []), ({}, {"code": "b"}, []), ({}, {"code": "a"}, [[2, 2]]),
])  # fmt: skip
def test_the_state_of_another_configuration_input_or_code_is_ignored(
    monkeypatch, tmp_path, inputs, change, more, resumes
):
    interrupted(monkeypatch, tmp_path, inputs, code="a")
    assert fit(tmp_path, inputs, RECIPE | change, **{"code": "a", **more})[0]["resumes"] == resumes


def test_the_state_of_a_changed_input_is_ignored(monkeypatch, tmp_path):
    inputs = write_data(tmp_path / "data")
    interrupted(monkeypatch, tmp_path, inputs)
    write_labels(inputs["labels"], np.full((60, 3), 1 / 3))
    assert fit(tmp_path, inputs, RECIPE)[0]["resumes"] == []


def test_the_state_of_another_format_is_ignored(monkeypatch, capsys, tmp_path, inputs):
    interrupted(monkeypatch, tmp_path, inputs)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    assert fit(tmp_path, inputs, RECIPE)[0]["resumes"] == []
    assert "state.pt: the saved state is of another format: starting from the beginning" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_state_is_ignored(monkeypatch, capsys, tmp_path, inputs, undisturbed, share):
    interrupted(monkeypatch, tmp_path, inputs)
    path = checkpoint.folder_of(tmp_path / "model.safetensors") / "state.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    facts, outputs = fit(tmp_path, inputs, RECIPE)
    assert facts["resumes"] == []
    assert contents(outputs) == undisturbed
    assert f"{path}: the saved state is damaged: starting from the beginning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(5, "Input/output error"), r"state\.pt: Input/output error\. The saved state is kept: run again when"),
        (MemoryError(), "Not enough memory .* to train compact"),
        (RuntimeError("[enforce fail] can't allocate memory"), "Not enough memory .* to train compact"),
    ],
)
def test_a_state_that_cannot_be_read_now_is_kept(monkeypatch, tmp_path, inputs, undisturbed, error, message):
    interrupted(monkeypatch, tmp_path, inputs)

    def refuse(*arguments, **more):
        raise error

    with monkeypatch.context() as patch, pytest.raises(UserError, match=message):
        patch.setattr(checkpoint.torch, "load", refuse)
        fit(tmp_path, inputs, RECIPE)
    facts, outputs = fit(tmp_path, inputs, RECIPE)
    assert facts["resumes"] == [[2, 2]]
    assert contents(outputs) == undisturbed


def test_a_state_of_another_format_is_not_used(monkeypatch, tmp_path, inputs, undisturbed, capfd):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT - 1)
        interrupted(monkeypatch, tmp_path, inputs)
    facts, outputs = fit(tmp_path, inputs, RECIPE)
    assert facts["resumes"] == []
    assert contents(outputs) == undisturbed
    assert "the saved state is of another format: starting from the beginning" in capfd.readouterr().err


def test_a_state_with_code_in_it_is_not_run(tmp_path):
    torch.save({"key": "k", "history": Payload(tmp_path / "harm")}, tmp_path / "state.pt")
    assert checkpoint.load(tmp_path, "k") is None
    assert not (tmp_path / "harm").exists()


# -- where it lies, and who may touch it -----------------------------------------------------------------------------


def test_the_state_lies_beside_the_runs_and_is_gone_when_the_run_is_done(monkeypatch, tmp_path, inputs):
    run = tmp_path / "runs/d/random/compact/soft/seed0"
    interrupted(monkeypatch, run, inputs)
    folder = tmp_path / ".resume/d/random/compact/soft/seed0"
    assert (folder / "state.pt").is_file()
    assert not run.exists()
    fit(run, inputs, RECIPE)
    assert not folder.exists()
    assert sorted(path.name for path in run.iterdir()) == [
        "features.npy", "history.parquet", "model.safetensors", "predictions.parquet",
    ]  # fmt: skip


def test_a_second_trainer_of_a_run_stops_and_names_the_first(monkeypatch, tmp_path, inputs):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setattr(checkpoint, "PATIENCE_SECONDS", 0)
    with checkpoint.exclusive(checkpoint.folder_of(tmp_path / "model.safetensors")):
        place = rf"process {os.getpid()} on {socket.gethostname()}, job 4711 holds .*lock since"
        message = rf"{place} .* Wait until it is done, .*scancel 4711"
        with pytest.raises(UserError, match=message):
            fit(tmp_path, inputs, RECIPE)
    assert fit(tmp_path, inputs, recipe(epochs=1))[0]["resumes"] == []


def test_the_command_line_passes_the_hash_of_the_code_that_runs(monkeypatch, tmp_path, inputs):
    passed = {}
    monkeypatch.setattr(train, "run", lambda config, inputs, outputs, **more: passed.update(more))
    monkeypatch.setattr(cli.stopping, "end_at_once", lambda: None)
    monkeypatch.setattr(sys, "argv", command(tmp_path, inputs, RECIPE))
    cli.main()
    assert passed.pop("finish")
    assert passed == {"code": closure.code_hash(commands.entries("train", {"recipe": RECIPE}))}
