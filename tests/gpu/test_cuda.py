"""Training on a GPU; needs no package of the workflow (snakemake, jsonschema, yaml, psutil)."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors import safe_open
from training_files import contents, divergence, fit, recipe, trainer, write_data

from softlabels import io, predict
from softlabels.stopping import Stopped
from softlabels.training import augmentation, train
from softlabels.training.data import Images

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU (CUDA) here")

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), n=1000, size=(32, 32), classes=6)


def options(**changes):
    return recipe(**{"device": "cuda", "epochs": 10, "batch": 64, "rate": 0.05} | changes)


def logits(outputs):
    return io.matrix(io.read_table(outputs["predictions"])[0], "logits")


def test_the_network_runs_in_bfloat16_and_channels_last_by_default(monkeypatch, tmp_path, inputs):
    seen = []
    step = train.Trainer.step

    def note(self, *arguments):
        handle = self.model.body.stem.register_forward_hook(
            lambda layer, given, result: seen.append(
                (result.dtype, result.is_cuda, result.is_contiguous(memory_format=torch.channels_last))
            )
        )
        step(self, *arguments)
        handle.remove()

    monkeypatch.setattr(train.Trainer, "step", note)
    fit(tmp_path / "auto", inputs, options(epochs=1))
    assert set(seen) == {(torch.bfloat16, True, True)}
    seen.clear()
    fit(tmp_path / "float32", inputs, options(epochs=1, precision="float32"))
    assert set(seen) == {(torch.float32, True, True)}


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_two_trainings_give_the_same_bytes(tmp_path, inputs, precision):
    first, second = (fit(tmp_path / str(k), inputs, options(precision=precision, dropout=0.3))[1] for k in range(2))
    assert contents(first) == contents(second)


def test_images_on_the_device_and_from_the_memory_map_give_the_same_bytes(monkeypatch, tmp_path, inputs):
    results = []
    for resident in (True, False):
        monkeypatch.setattr(train, "Images", lambda path, device, resident=resident: Images(path, device, resident))
        results.append(contents(fit(tmp_path / str(resident), inputs, options(epochs=3))[1]))
    assert results[0] == results[1]


def test_small_data_sets_live_on_the_device(inputs):
    images = Images(inputs["images"], CUDA)
    assert images.resident
    assert images.pixels.is_cuda
    assert images[torch.tensor([3, 1], device=CUDA)].is_cuda


def test_weights_and_order_are_those_of_the_cpu(tmp_path, inputs):
    on_gpu, on_cpu = (fit(tmp_path / d, inputs, options(epochs=1, device=d))[0] for d in ("cuda", "cpu"))
    assert on_gpu["initial_sha256"] == on_cpu["initial_sha256"]
    assert on_gpu["order_sha256"] == on_cpu["order_sha256"]


def test_augmentation_on_the_device_is_that_on_the_cpu(inputs):
    everything = options()["augment"] | {
        "zoom": 0.7, "hue": 0.1, "saturation": [0.6, 1.6], "brightness": 0.2, "contrast": [0.5, 1.5],
    }  # fmt: skip
    draw = augmentation.draws(everything, 1000, seed=0, epoch=1)
    images = torch.from_numpy(np.load(inputs["images"]))
    on_gpu = augmentation.apply(images.to(CUDA), {name: values.to(CUDA) for name, values in draw.items()})
    torch.testing.assert_close(on_gpu.cpu(), augmentation.apply(images, draw), atol=1e-4, rtol=0)


def test_an_interrupted_training_resumes_to_the_same_result(monkeypatch, tmp_path, inputs):
    whole = options(epochs=4, select="best_validation", dropout=0.2)
    _, undisturbed = fit(tmp_path / "undisturbed", inputs, whole)
    step, calls = train.Trainer.step, []

    def asked(self, *arguments):
        calls.append(None)
        if len(calls) == 13:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(Stopped, match="state is saved"):
        patch.setattr(train.Trainer, "step", asked)
        fit(tmp_path / "resumed", inputs, whole)
    facts, resumed = fit(tmp_path / "resumed", inputs, whole)
    assert facts["resumes"] == [[2, 4]]  # 9 steps an epoch
    assert logits(resumed) == pytest.approx(logits(undisturbed), abs=1e-3)


def test_the_divergence_is_close_to_that_of_a_float32_training_on_the_cpu(tmp_path, inputs):
    expected = divergence(inputs, fit(tmp_path / "cpu", inputs, options(device="cpu"))[1])
    untrained = divergence(inputs, fit(tmp_path / "untrained", inputs, options(device="cpu", rate=1e-9))[1])
    for precision in ("float32", "bfloat16"):
        found = divergence(inputs, fit(tmp_path / precision, inputs, options(precision=precision))[1])
        print(f"\nKL {precision} on the GPU {found:.4f}, float32 on the CPU {expected:.4f}, untrained {untrained:.4f}")
        assert abs(found - expected) < 0.05 * (untrained - expected)


def test_a_model_from_the_gpu_predicts_the_same_on_the_cpu(tmp_path, inputs):
    _, outputs = fit(tmp_path, inputs, options(precision="float32"))
    images = np.load(inputs["images"])[:200]
    on_cpu = predict.load(outputs["model"])(images)
    assert predict.load(outputs["model"], "cuda")(images) == pytest.approx(on_cpu, abs=1e-4)
    written = torch.from_numpy(logits(outputs)[:200]).softmax(dim=1).numpy()
    assert written == pytest.approx(on_cpu, abs=1e-4)
    with safe_open(outputs["model"], "pt") as file:
        assert json.loads(file.metadata()["softlabels"])["network"] == "compact"


@pytest.mark.parametrize("network", ["densenet121", "resnetv2_50"])
def test_the_papers_networks_train_with_reproducible_arithmetic(tmp_path, network):
    inputs = write_data(tmp_path / "data", n=100, size=(64, 64))
    first, second = (
        fit(tmp_path / str(k), inputs, options(network=network, epochs=1, batch=20, rate=0.01))[1] for k in range(2)
    )
    assert contents(first) == contents(second)


def test_the_cpu_still_trains_beside_a_gpu(inputs):
    made = trainer(inputs, options(device="cpu"))
    assert not next(made.model.parameters()).is_cuda
