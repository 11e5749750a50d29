"""Several trainings on one GPU: the bytes of one alone, and no more memory than is expected of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_files import contents, fit, outputs_in, recipe, write_data

from softlabels import gpus
from softlabels.training.data import Images

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU (CUDA) here")

ROOT = Path(__file__).resolve().parents[2]
# A training in a process of its own that waits, in its place, until all have theirs.
BESIDE = """
import json, sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from training_files import fit, recipe
from softlabels.training import train
made, folder, others = train._trainer, Path(sys.argv[1]), int(sys.argv[2])

def meet(*arguments):
    trainer = made(*arguments)
    (folder.parent / (folder.name + ".there")).touch()
    while len(list(folder.parent.glob("*.there"))) < others:
        time.sleep(0.05)
    return trainer

train._trainer = meet
inputs = {{name: Path(path) for name, path in json.loads(sys.argv[3]).items()}}
print(json.dumps(fit(folder, inputs, json.loads(sys.argv[4]))[0]["place"]))
"""


def options(**changes):
    return recipe(**{"device": "cuda", "epochs": 4, "batch": 64, "rate": 0.05} | changes)


def start(folder, inputs, steps, slots, others):
    """Start a training as Snakemake does; it says on standard output which place it has."""
    script = BESIDE.format(path=[str(ROOT / "workflow"), str(ROOT / "tests")])
    paths = json.dumps({name: str(path) for name, path in inputs.items()})
    words = [sys.executable, "-c", script, str(folder), str(others), paths, json.dumps(steps)]
    first = os.environ.get(gpus.VISIBLE, "0").split(",")[0]
    environment = os.environ | {gpus.SLOTS: str(slots), gpus.VISIBLE: first, "TMPDIR": str(folder.parent)}
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_trainings_that_share_a_gpu_give_the_bytes_of_one_alone(tmp_path):
    """Those that have a place at once, and one that has to wait for it."""
    inputs = write_data(tmp_path / "data", n=1000, size=(32, 32), classes=6)
    expected = contents(fit(tmp_path / "alone", inputs, options())[1])
    together = [start(tmp_path / f"run{k}", inputs, options(), slots=2, others=2) for k in range(3)]
    said = [job.communicate(timeout=300) for job in together]
    assert [job.returncode for job in together] == [0] * len(together), said
    places = [json.loads(printed) for printed, _ in said]
    assert len({place["uuid"] for place in places}) == 1
    assert {(place["slot"], place["slots"]) for place in places} == {(1, 2), (2, 2)}
    assert sum("are taken: waiting for process" in log for _, log in said) == 1
    for k in range(3):
        assert contents(outputs_in(tmp_path / f"run{k}")) == expected


@pytest.mark.parametrize(("network", "pixels", "batch"), [("compact", 32, 128), ("densenet121", 128, 32),
                                                          ("resnetv2_50", 128, 32)])  # fmt: skip
def test_a_training_takes_no_more_memory_than_is_expected(tmp_path, network, pixels, batch):
    inputs = write_data(tmp_path / "data", n=600, size=(pixels, pixels), classes=6)
    steps = options(network={"kind": network}, batch=batch, epochs=2, rate=0.01)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    fit(tmp_path / "run", inputs, steps)
    images = 600 * pixels**2 * 3
    used = torch.cuda.max_memory_reserved() - before - images
    expected = gpus.beside_images(steps, 600, pixels**2, 6)
    print(f"\n{network}, {pixels} pixels, batch {batch}: {used / 2**20:.0f} MB of PyTorch, {expected / 2**20:.0f} MB "
          f"expected with CUDA itself")  # fmt: skip
    assert used < expected


def test_images_stay_in_their_file_where_the_share_of_a_slot_does_not_hold_them(monkeypatch, tmp_path):
    inputs = write_data(tmp_path / "data", n=100, size=(32, 32))
    device = torch.device("cuda")
    for slots, resident in (("1", True), ("64", False)):
        monkeypatch.setenv(gpus.SLOTS, slots)
        beside = torch.cuda.mem_get_info()[1] // 32
        assert Images(inputs["images"], device, beside=lambda shape, taken=beside: taken).resident is resident
