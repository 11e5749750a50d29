"""Features of a frozen network on a GPU: those of the CPU but for rounding, and the same bytes each time."""

import numpy as np
import pytest
import torch
from training_files import write_data

from softlabels.heads import encode

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def test_features_of_a_gpu_are_those_of_the_cpu_and_the_same_each_time(tmp_path):
    inputs = write_data(tmp_path / "data")
    recipe = {"network": {"kind": "compact"}, "train": "head", "weights": "none", "upscale": 48, "threads": 1}

    def features(device, name):
        outputs = {"features": tmp_path / f"{name}.npy", "encoder": tmp_path / f"{name}.safetensors"}
        facts = encode.run({"recipe": recipe | {"device": device}}, {"images": inputs["images"]}, outputs)
        assert facts["features"] == 64
        return np.load(outputs["features"]), outputs["features"].read_bytes()

    on_gpu, first = features("cuda", "a")
    on_cpu, _ = features("cpu", "b")
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3, atol=1e-4)
    assert features("cuda", "c")[1] == first
