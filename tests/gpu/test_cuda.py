"""Training on a GPU; needs no package of the workflow (snakemake, jsonschema, yaml, psutil)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from training_files import ask_before, contents, divergence, fit, recipe, trainer, write_data

from softlabels import io, joblog, nvidia, predict
from softlabels.errors import UserError
from softlabels.stopping import Stopped
from softlabels.training import augmentation, train
from softlabels.training.data import Images
from softlabels.training.loop import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU (CUDA) here")

CUDA = torch.device("cuda")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), n=1000, size=(32, 32), classes=6)


def options(**changes):
    return recipe(**{"device": "cuda", "epochs": 10, "batch": 64, "rate": 0.05} | changes)


def logits(outputs):
    return io.matrix(io.read_table(outputs["predictions"])[0], "logits")


def test_the_network_runs_in_bfloat16_and_channels_last_by_default(monkeypatch, tmp_path, inputs):
    seen = []
    step = Trainer.step

    def note(self, *arguments):
        handle = self.model.body.stem.register_forward_hook(
            lambda layer, given, result: seen.append(
                (result.dtype, result.is_cuda, result.is_contiguous(memory_format=torch.channels_last))
            )
        )
        step(self, *arguments)
        handle.remove()

    monkeypatch.setattr(Trainer, "step", note)
    fit(tmp_path / "auto", inputs, options(epochs=1))
    assert set(seen) == {(torch.bfloat16, True, True)}
    seen.clear()
    fit(tmp_path / "float32", inputs, options(epochs=1, precision="float32"))
    assert set(seen) == {(torch.float32, True, True)}


def test_the_log_tells_how_fast_it_is_what_is_left_and_how_much_memory_it_holds(tmp_path, inputs, capsys):
    fit(tmp_path / "run", inputs, options(epochs=2))
    log = tmp_path / "train.log"
    log.write_text(capsys.readouterr().err)
    found = joblog.read(log, log.stat().st_mtime)
    assert found["epoch"] == 2
    assert found["images_per_second"] > 0
    assert found["seconds_left"] >= 0
    assert found["gpu_mb"] > 1
    assert all(gpu["total_mb"] > found["gpu_mb"] for gpu in nvidia.gpus() if gpu["total_mb"])


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_two_trainings_give_the_same_bytes(tmp_path, inputs, precision):
    first, second = (fit(tmp_path / str(k), inputs, options(precision=precision, dropout=0.3))[1] for k in range(2))
    assert contents(first) == contents(second)


def test_images_on_the_device_and_from_the_memory_map_give_the_same_bytes(monkeypatch, tmp_path, inputs):
    results = []
    for resident in (True, False):
        monkeypatch.setattr(train, "Images", lambda *given, kept=resident, **more: Images(*given, kept, **more))
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
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="state is saved"):
        ask_before(patch, Trainer, "step", 13)
        fit(tmp_path / "resumed", inputs, whole)
    facts, resumed = fit(tmp_path / "resumed", inputs, whole)
    assert facts["resumes"] == [[2, 4]]  # 9 steps an epoch
    assert contents(resumed) == contents(undisturbed)


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
    written = torch.from_numpy(logits(outputs)[:200].copy()).softmax(dim=1).numpy()
    assert written == pytest.approx(on_cpu, abs=1e-4)
    with safe_open(outputs["model"], "pt") as file:
        assert json.loads(file.metadata()["softlabels"])["network"] == {"kind": "compact"}


@pytest.mark.parametrize("labels", ["labels", "hard"])
def test_predictions_have_the_precision_of_float32_after_a_training_in_bfloat16(tmp_path, inputs, labels):
    facts, outputs = fit(tmp_path, inputs, options(), labels=labels)
    assert (facts["trained_in"], facts["predicted_in"]) == ("bfloat16", "float32")
    written = logits(outputs)
    images = torch.from_numpy(np.load(inputs["images"])).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        on_cpu = predict.load(outputs["model"]).network(images).numpy()
    assert abs(written - on_cpu).max() < 1e-3
    first, second = np.sort(written, axis=1)[:, :-3:-1].T
    assert (first > second).all()  # of numbers with 8 bits, some would be equal
    history = io.read_table(outputs["history"])[0].to_pylist()[-1]
    validation = io.vector(io.read_table(outputs["predictions"])[0], "split") == "val"
    log_q = torch.from_numpy(on_cpu[validation].astype(float)).log_softmax(dim=1).numpy()
    p = io.matrix(io.read_table(inputs["reference"])[0], "p")[validation]
    assert history["val_ce_reference"] == pytest.approx(-(p * log_q).sum(axis=1).mean(), abs=1e-3)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Images of the size that the paper's networks see; 60 of them for training."""
    return write_data(tmp_path_factory.mktemp("large"), n=100, size=(224, 224))


@pytest.mark.parametrize("network", ["densenet121", "resnetv2_50"])
def test_the_papers_networks_train_in_bfloat16_with_reproducible_arithmetic(monkeypatch, tmp_path, large, network):
    """Also after an interruption."""
    steps = options(network={"kind": network}, epochs=3, batch=20, rate=0.01, precision="bfloat16")
    facts, first = fit(tmp_path / "first", large, steps)
    assert facts["steps"] == 9
    assert contents(fit(tmp_path / "second", large, steps)[1]) == contents(first)
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="in epoch 2 of 3"):
        ask_before(patch, Trainer, "step", 5)
        fit(tmp_path / "resumed", large, steps)
    facts, resumed = fit(tmp_path / "resumed", large, steps)
    assert facts["resumes"] == [[2, 2]]
    assert contents(resumed) == contents(first)
    assert np.isfinite(logits(first)).all()


def test_too_little_memory_on_the_gpu_says_what_to_lower(tmp_path, large):
    try:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(0.002)
        with pytest.raises(UserError) as error:
            fit(tmp_path, large, options(network={"kind": "densenet121"}, batch=60))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    message = str(error.value)
    assert message.startswith(f"Not enough memory (GPU {torch.cuda.get_device_name()}, ")
    assert "with recipe.batch 60. Ask for a GPU with more memory" in message
    assert "lower recipe.batch" in message


VISIBLE = """
import sys
sys.path[:0] = {path!r}
import torch
from training_files import recipe
from softlabels.errors import UserError
from softlabels.training.train import _device
try:
    device = _device(recipe(device="cuda"))
    print(torch.cuda.device_count(), torch.empty(1, device=device).device.index)
except UserError as error:
    print(error)
"""


FIRST = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


@pytest.mark.parametrize(("visible", "printed"), [(FIRST, "1 0\n"), ("", "recipe.device is 'cuda' but torch sees no")])
def test_the_gpus_that_a_job_may_see_are_those_that_it_uses(visible, printed):
    script = VISIBLE.format(path=[str(ROOT / "workflow"), str(ROOT / "tests")])
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": visible}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(printed)


def test_the_cpu_still_trains_beside_a_gpu(inputs):
    made = trainer(inputs, options(device="cpu"))
    assert not next(made.model.parameters()).is_cuda
