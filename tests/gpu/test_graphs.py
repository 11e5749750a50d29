"""Steps and predictions as CUDA graphs: the bytes of the same work kernel by kernel, or the work kernel by kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_files import ask_before, contents, fit, recipe, trainer, write_data

from softlabels.stopping import Stopped
from softlabels.training import captured, loop, train
from softlabels.training.data import Images
from softlabels.training.loop import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU (CUDA) here")

NEVER = 10**9
COLOUR = {"zoom": 0.7, "hue": 0.1, "saturation": [0.6, 1.6], "brightness": 0.2, "contrast": [0.5, 1.5]}
STEPS = {
    "as by default": {},
    "float32": {"precision": "float32"},
    "dropout": {"dropout": 0.3},
    "all that is drawn": {"dropout": 0.3, "augment": COLOUR, "class_weight": "per_class", "warmup_epochs": 0.5},
    "no momentum": {"optimiser": {"kind": "sgd", "momentum": 0.0, "weight_decay": 0.0}, "select": "best_validation"},
    "an odd batch": {"batch": 37, "augment": {"flips": "horizontal", "quarter_turns": False}},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), n=500, size=(32, 32), classes=6)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("large"), n=100, size=(96, 96))


@pytest.fixture
def replayed(monkeypatch):
    """How often a graph was replayed."""
    count, replay = [], torch.cuda.CUDAGraph.replay

    def counted(graph):
        count.append(graph)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    return count


def options(**changes):
    return recipe(**{"device": "cuda", "epochs": 3, "batch": 64, "rate": 0.05} | changes)


def kernel_by_kernel(folder, inputs, recipe, **more):
    """The outputs of a training that captures nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captured, "WARM", NEVER)
        return contents(fit(folder, inputs, recipe, **more)[1])


def differing(first, second):
    """Names of the outputs that are not the same."""
    return [name for name in first if first[name] != second[name]]


@pytest.mark.parametrize("how", STEPS)
def test_a_graph_gives_the_bytes_of_the_same_steps_kernel_by_kernel(tmp_path, inputs, replayed, how):
    expected = kernel_by_kernel(tmp_path / "kernels", inputs, options(**STEPS[how]))
    assert replayed == []
    facts, outputs = fit(tmp_path / "graph", inputs, options(**STEPS[how]))
    assert len(replayed) >= facts["steps"] - captured.WARM
    assert differing(contents(outputs), expected) == []


@pytest.mark.parametrize("network", ["densenet121", "resnetv2_50"])
def test_a_graph_gives_the_bytes_of_the_papers_networks(tmp_path, large, replayed, network):
    steps = options(network={"kind": network}, epochs=4, batch=20, rate=0.01)
    expected = kernel_by_kernel(tmp_path / "kernels", large, steps)
    _, outputs = fit(tmp_path / "graph", large, steps)
    assert len(replayed) > 9
    assert differing(contents(outputs), expected) == []


def test_images_that_do_not_fit_the_gpu_are_put_where_the_graph_looks_for_them(monkeypatch, tmp_path, inputs, replayed):
    expected = contents(fit(tmp_path / "resident", inputs, options())[1])
    seen = len(replayed)
    monkeypatch.setattr(train, "Images", lambda *given, **more: Images(*given, False, **more))
    assert differing(contents(fit(tmp_path / "file", inputs, options())[1]), expected) == []
    assert len(replayed) == 2 * seen


@pytest.mark.parametrize("call", [2, 6, 13])  # before the capture, after it, in the last epoch
def test_a_training_that_was_stopped_ends_with_the_same_bytes(monkeypatch, tmp_path, inputs, call):
    steps = options(dropout=0.2, select="best_validation", epochs=4)
    expected = contents(fit(tmp_path / "whole", inputs, steps)[1])
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="the state is saved"):
        ask_before(patch, Trainer, "step", call)
        fit(tmp_path / "stopped", inputs, steps)
    facts, outputs = fit(tmp_path / "stopped", inputs, steps)
    assert len(facts["resumes"]) == 1
    assert differing(contents(outputs), expected) == []


def asks(logits, target, index, state, options):
    """A loss that decides by a value on the GPU, which no graph can."""
    scale = 1.0 if logits.abs().max().item() < 1e9 else 2.0
    return -scale * (target * logits.log_softmax(dim=1)).sum(dim=1)


def test_what_cannot_be_captured_goes_on_kernel_by_kernel_and_the_log_says_so(
    monkeypatch, capsys, tmp_path, inputs, replayed
):
    load = loop.registry.load
    monkeypatch.setattr(loop.registry, "load", lambda kind, name: asks if name == "asks" else load(kind, name))
    steps = options(loss={"kind": "asks"}, dropout=0.3, epochs=5)
    expected = kernel_by_kernel(tmp_path / "kernels", inputs, steps)
    assert "not captured" not in capsys.readouterr().err
    _, outputs = fit(tmp_path / "graph", inputs, steps)
    assert capsys.readouterr().err.count("not captured as a CUDA graph") == 1
    assert differing(contents(outputs), expected) == []
    assert len(replayed) > 0, "predictions still are graphs"


OWN = """
ENTRY = {{"kind": "loss", "about": "Cross-entropy.", "options": {{}}{more}}}


def mean(logits, target, index, state, options):
    return -(target * logits.log_softmax(dim=1)).sum(dim=1)
"""


def test_code_of_the_users_own_is_captured_where_it_says_that_it_can_be(monkeypatch, capsys, tmp_path, inputs):
    monkeypatch.setenv("SOFTLABELS_MODULES", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    for name, more in (("silent_loss", ""), ("fit_loss", ', "captured": True')):
        (tmp_path / f"{name}.py").write_text(OWN.format(more=more))
        made = trainer(inputs, options(loss={"kind": f"{name}:mean"}), device="cuda")
        said = "the loss silent_loss:mean does not say that it can be ('captured': True)" in capsys.readouterr().err
        assert (made.work.wanted, said) == (bool(more), not more)


def test_an_optimiser_whose_rate_is_a_number_is_not_captured_and_the_log_says_so(monkeypatch, capsys, tmp_path, inputs):
    monkeypatch.setenv("SOFTLABELS_MODULES", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_steps.py").write_text(
        "import torch\n"
        "ENTRY = {'kind': 'optimiser', 'about': 'Adam.', 'options': {}, 'captured': True}\n"
        "def adam(parameters, rate, options):\n"
        "    return torch.optim.Adam(parameters, lr=rate)\n"
    )
    made = trainer(inputs, options(optimiser={"kind": "own_steps:adam"}), device="cuda")
    said = "networks: the optimiser own_steps:adam has a number as its rate, not a tensor (lr=torch.tensor(…))\n"
    assert capsys.readouterr().err.endswith(said)
    assert not made.work.wanted


@pytest.mark.parametrize("items", [1, 31, 64, 500])
def test_an_item_is_predicted_the_same_by_a_graph_whatever_fills_the_batch(inputs, items):
    made = trainer(inputs, options(), device="cuda")
    chosen = np.arange(items)
    first = made.predict(chosen)
    assert [part.shape for part in first] == [(items, 6), (items, 64)]
    for _ in range(captured.WARM + 1):
        again = made.predict(chosen)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    whole = made.predict(np.arange(500))
    assert whole[0][:items] == pytest.approx(first[0], abs=1e-4)


def test_the_host_does_not_run_far_ahead_of_the_gpu(inputs):
    made = trainer(inputs, options(), device="cuda")
    made.begin_epoch(1)
    for _ in range(200):
        made.step(1, 0)
    assert made.work.graph is not None
    assert len(made.work.under_way) <= 2
