"""A compiled network: the same training but for rounding, the same bytes again, and an error where it cannot be had."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import torch
from projects import REPOSITORY
from safetensors.torch import load_file
from training_files import ask_before, command, contents, fit, recipe, write_data

from softlabels import io, lacking
from softlabels.errors import UserError
from softlabels.stopping import Stopped
from softlabels.training import compiled
from softlabels.training.loop import Trainer

pytestmark = pytest.mark.skipif(bool([*lacking.of(recipe(compile=True))]), reason="needs a C++ compiler")

OWN = '''
"""Networks that compile in seconds, and one that does not."""

from torch import nn

from softlabels.networks.base import Body

ENTRY = {"kind": "network", "about": "Two layers.", "options": {}}


class Asks(nn.Module):
    """Does something else now and then, which no compiled code can."""

    def forward(self, x):
        return x if x.sum().item() > 0 else -x


def small(options, weights, weights_file):
    layers = nn.Conv2d(3, 4, 5, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return Body(nn.Sequential(*layers), 4)


def asking(options, weights, weights_file):
    return Body(nn.Sequential(Asks(), *small(options, weights, weights_file).module), 4)
'''


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    (folder / "own_layers.py").write_text(OWN)
    return folder


@pytest.fixture
def options(monkeypatch, modules, tmp_path):
    """A recipe of such a network; what is compiled is kept for this test alone."""
    monkeypatch.setenv("SOFTLABELS_MODULES", str(modules))
    monkeypatch.setenv(compiled.CACHE, str(tmp_path / "kept"))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    kind = {"kind": "own_layers:small"}
    return lambda **more: recipe(**{"network": kind, "epochs": 3, "dropout": 0.3, "compile": True} | more)


def test_a_compiled_training_is_the_same_again_wherever_it_was_stopped_and_all_but_the_same_as_any(
    monkeypatch, tmp_path, inputs, options
):
    facts, outputs = fit(tmp_path / "whole", inputs, options())
    expected = contents(outputs)
    assert facts["compiler"] == compiled.compiler(torch.device("cpu"))
    assert [*(tmp_path / "kept").iterdir()], "what was compiled is kept"

    with monkeypatch.context() as patch, pytest.raises(Stopped, match="the state is saved"):
        ask_before(patch, Trainer, "step", 6)
        fit(tmp_path / "stopped", inputs, options())
    facts, again = fit(tmp_path / "stopped", inputs, options())
    assert len(facts["resumes"]) == 1
    assert contents(again) == expected

    words = [sys.executable, "-Pm", *command(tmp_path / "other", inputs, options())]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert contents({name: tmp_path / "other" / path.name for name, path in outputs.items()}) == expected

    facts, plain = fit(tmp_path / "plain", inputs, options(compile=False))
    assert "compiler" not in facts
    first, second = load_file(outputs["model"]), load_file(plain["model"])
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first), "dropout drew the same"
    logits = [io.matrix(io.read_table(found["predictions"])[0], "logits") for found in (outputs, plain)]
    assert logits[0] == pytest.approx(logits[1], abs=1e-3)
    assert np.isfinite(logits[0]).all()


def test_a_network_that_cannot_be_compiled_is_an_error_and_never_trained_otherwise(tmp_path, inputs, options):
    with pytest.raises(UserError, match=r"^The network own_layers:asking cannot be compiled \(.+\)\. Set recipe"):
        fit(tmp_path / "run", inputs, options(network={"kind": "own_layers:asking"}))
    assert not [*tmp_path.rglob("model.safetensors")]


def test_a_folder_that_cannot_be_made_is_named_with_the_way_out(monkeypatch, tmp_path, inputs, options):
    (tmp_path / "file").touch()
    monkeypatch.setenv(compiled.CACHE, str(tmp_path / "file/kept"))
    with pytest.raises(UserError, match=r"file/kept: Not a directory\. .* set TORCHINDUCTOR_CACHE_DIR to a folder"):
        fit(tmp_path / "run", inputs, options())


def test_the_compiler_is_told_in_a_line_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "own-c++").write_text("#!/bin/sh\necho 'own 1.2 ('$1')'\necho There is NO warranty\n")
    (tmp_path / "own-c++").chmod(0o755)
    monkeypatch.setenv("CXX", f"{tmp_path}/own-c++ -O1")
    assert compiled.compiler(torch.device("cpu")) == "own 1.2 (--version)"
    (tmp_path / "own-c++").write_text("#!/bin/sh\nexit 1\n")
    assert compiled.compiler(torch.device("cpu")) == f"{tmp_path}/own-c++"


def test_code_is_kept_apart_for_other_compilers_processors_and_threads(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = compiled._folder(1, "g++ 14")
    assert first.parent == tmp_path / "softlabels" / "compiled"
    assert compiled._folder(1, "g++ 14") == first
    others = {compiled._folder(2, "g++ 14"), compiled._folder(1, "g++ 15")}
    monkeypatch.setattr(lacking, "processor_flags", lambda: {"another"})
    assert len(others | {first, compiled._folder(1, "g++ 14")}) == 4


def test_code_is_kept_where_nobody_else_may_write_whatever_the_umask(monkeypatch, tmp_path):
    before = os.umask(0o002)
    try:
        compiled._make(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700] * 2
    compiled._make(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    (tmp_path / "a" / "b").chmod(0o770)
    for place in ("a/b", "file"):
        with pytest.raises(UserError, match=rf"{place}: expected a folder of user .* that nobody else may write to"):
            compiled._make(tmp_path / place)
    (tmp_path / "a" / "b").chmod(0o755)
    compiled._make(tmp_path / "a" / "b")
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(UserError, match="a/b: expected a folder of user"):
        compiled._make(tmp_path / "a" / "b")
