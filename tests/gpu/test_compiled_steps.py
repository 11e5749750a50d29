"""A compiled network on a GPU: part of the CUDA graph of its step, to the same bytes."""

from __future__ import annotations

import pytest
import torch
from training_files import ask_before, contents, fit, recipe, write_data

from softlabels import lacking
from softlabels.stopping import Stopped
from softlabels.training import captured, compiled
from softlabels.training.loop import Trainer

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU (CUDA) here"),
    pytest.mark.skipif(bool([*lacking.of(recipe(device="cuda", compile=True))]), reason="needs Triton, a C compiler"),
]


def test_a_compiled_step_is_captured_and_gives_the_bytes_of_its_kernels_one_by_one(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(compiled.CACHE, str(tmp_path / "kept"))
    inputs = write_data(tmp_path / "data", n=500, size=(32, 32), classes=6)
    steps = recipe(device="cuda", epochs=3, batch=64, rate=0.05, dropout=0.3, compile=True)
    with monkeypatch.context() as patch:
        patch.setattr(captured, "WARM", 10**9)
        expected = contents(fit(tmp_path / "kernels", inputs, steps)[1])
    count, replay = [], torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: (count.append(graph), replay(graph))[1])
    capsys.readouterr()
    facts, outputs = fit(tmp_path / "graph", inputs, steps)
    assert "not captured" not in capsys.readouterr().err
    assert facts["compiler"].startswith("Triton ")
    assert len(count) >= facts["steps"] - captured.WARM
    assert [name for name, found in contents(outputs).items() if found != expected[name]] == []

    with monkeypatch.context() as patch, pytest.raises(Stopped, match="the state is saved"):
        ask_before(patch, Trainer, "step", 9)
        fit(tmp_path / "stopped", inputs, steps)
    _, again = fit(tmp_path / "stopped", inputs, steps)
    assert contents(again) == contents(outputs)
