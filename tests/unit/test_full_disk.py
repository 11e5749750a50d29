"""A disk that is full or takes no writing: one message that names the file, and nothing half-written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from training_files import command, contents, fit, recipe, write_data

from softlabels import check, cli, io
from softlabels.closure import code_hash
from softlabels.commands import entries
from softlabels.datasets import contract
from softlabels.training import checkpoint


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def small(tmp_path):
    """A folder on a file system of its own of 300 kB: less than the state of the smallest network."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def train(monkeypatch, capsys, inputs, folder):
    """Train by the command line; returns the last line that it printed. It must fail."""
    monkeypatch.setattr(cli.stopping, "end_at_once", lambda: None)
    monkeypatch.setattr(sys, "argv", command(folder, inputs, recipe()))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_is_named_and_nothing_half_written_stays(monkeypatch, capsys, small, inputs):
    message = train(monkeypatch, capsys, inputs, small)
    assert message.startswith(f"softlabels: {checkpoint.folder_of(small / 'model')}/state.pt: No space left on device.")
    assert message.endswith("The disk is full: free some space, or set `results` to a folder on a larger one. "
                            "Then run again.")  # fmt: skip
    assert files(small) == ["lock"]


def test_a_disk_that_fills_up_while_outputs_are_written_keeps_the_state(monkeypatch, capsys, tmp_path, inputs):
    undisturbed = contents(fit(tmp_path / "undisturbed", inputs, recipe())[1])
    original = type(tmp_path).replace

    def full(self, target):
        if target.name == "features.npy":
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, target)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "replace", full)
        assert f"{run}/features.npy: No space left on device" in train(patch, capsys, inputs, run)
    assert not list(tmp_path.rglob("*.part"))
    facts, outputs = fit(run, inputs, recipe(), code=code_hash(entries("train", {"recipe": recipe(), "seed": 0})))
    assert facts["resumes"] == [[3, 0]]
    assert contents(outputs) == undisturbed


def write_images(path):
    shape = (999, 16, 16, 3)
    with contract.new_images(path, shape) as append:
        append(np.zeros(shape, np.uint8))


def write_table(path):
    io.write_table(path, pa.table({"x": np.random.default_rng(0).random(100_000)}))


@pytest.mark.parametrize("write", [write_images, write_table])
def test_images_and_tables_that_do_not_fit_the_disk_are_named(small, write):
    with pytest.raises(OSError, match="No space left") as error:
        write(small / "file")
    assert error.value.filename == str(small / "file")
    assert files(small) == []


def test_a_file_system_that_takes_no_writing_is_named(monkeypatch, capsys, small, inputs):
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    message = train(monkeypatch, capsys, inputs, small / "run")
    assert message.startswith(f"softlabels: {small}/run")
    assert "Read-only file system. The file system takes no writing here: set `results`" in message


@pytest.mark.parametrize(("number", "words"), [(errno.EDQUOT, "quota is used up"), (errno.EACCES, "may not write")])
def test_a_used_up_quota_and_a_lack_of_rights_say_what_to_do(monkeypatch, capsys, tmp_path, inputs, number, words):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    message = train(monkeypatch, capsys, inputs, tmp_path)
    assert message.startswith(f"softlabels: {tmp_path}/.resume/")
    assert words in message


def test_other_errors_of_the_system_are_no_mistakes_of_the_user(monkeypatch):
    def broken(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "argv", ["softlabels", "check", "config.yaml"])
    monkeypatch.setattr(check, "command", broken)
    with pytest.raises(OSError, match="Input/output"):
        cli.main()
