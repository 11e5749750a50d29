"""What training costs: ratios measured side by side on the machine at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_files import RECIPE, fit, write_data

from softlabels import config
from softlabels.plan import Plan
from softlabels.provenance import manifest

ROOT = Path(__file__).resolve().parents[2]
PROCESS = """
import json, sys
sys.path[:0] = {path!r}
from pathlib import Path
from training_files import fit
inputs, recipe, folder = json.loads(sys.argv[1])
facts, _ = fit(Path(folder), {{name: Path(path) for name, path in inputs.items()}}, recipe)
status = Path("/proc/self/status")  # of this program only; getrusage also counts what it was forked from
peak = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")] if status.exists() else []
print(json.dumps({{**facts, "peak": int(peak[0].split()[1]) * 1024 if peak else None}}))
"""


def start(inputs: dict[str, Path], recipe: dict, folder: Path) -> subprocess.Popen:
    """Train in a process of its own."""
    script = PROCESS.format(path=[str(ROOT / "workflow"), str(ROOT / "tests")])
    arguments = json.dumps([{name: str(path) for name, path in inputs.items()}, recipe, str(folder)])
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.Popen(
        [sys.executable, "-c", script, arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )


def facts(process: subprocess.Popen) -> dict:
    """What the process says when it is done."""
    output, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(output)


def test_most_of_the_time_is_spent_in_optimiser_steps(tmp_path):
    inputs = write_data(tmp_path / "data", n=4000, size=(32, 32), classes=6)
    measured, _ = fit(tmp_path / "run", inputs, {**RECIPE, "epochs": 4})
    rate = measured["steps"] * RECIPE["batch"] / measured["seconds"]
    print(f"\n{measured['share_in_steps']:.1%} of the time in optimiser steps, {rate:.0f} images a second")
    assert measured["share_in_steps"] >= 0.85


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_two_jobs_of_one_thread_learn_from_more_images_a_second_than_one_job_of_two(tmp_path):
    inputs = write_data(tmp_path / "data", n=4000, size=(32, 32), classes=6)
    recipe = {**RECIPE, "epochs": 3}
    pair = [facts(p) for p in [start(inputs, recipe, tmp_path / f"one{k}") for k in range(2)]]
    single = facts(start(inputs, {**recipe, "threads": 2}, tmp_path / "two"))
    images = single["steps"] * RECIPE["batch"]
    side_by_side, together = sum(images / job["seconds"] for job in pair), images / single["seconds"]
    print(
        f"\ntwo jobs of one thread {side_by_side:.0f} images/s, one job of two threads {together:.0f} images/s: "
        f"{side_by_side / together:.2f} times"
    )
    assert side_by_side > together


def test_memory_stays_below_three_times_the_data_and_a_half_more_than_a_gigabyte(tmp_path):
    inputs = write_data(tmp_path / "data", n=11000, size=(96, 96), classes=6)
    size = inputs["images"].stat().st_size
    peak = facts(start(inputs, {**RECIPE, "epochs": 1}, tmp_path / "run"))["peak"]
    if peak is None:
        pytest.skip("the peak is read from /proc, which this system lacks")
    print(f"\npeak {peak / 1e9:.2f} GB for {size / 1e9:.2f} GB of images")
    assert peak <= 3 * size + 1.5e9


def test_the_manifests_of_the_default_study_cost_little_beside_its_trainings(tmp_path):
    study = Plan(config.read(ROOT / "config" / "config.yaml"))
    jobs = len(study.manifests("hard_vs_soft"))
    recipe = study.recipe("compact")
    inputs = write_data(tmp_path / "results" / "data" / "d", n=4000, size=(32, 32), classes=6)
    run = tmp_path / "results" / "runs" / "d" / "random" / "compact" / "soft" / "seed0"
    measured, outputs = fit(run, inputs, {**recipe, "epochs": 2})
    manifest._git.cache_clear()
    begun = time.perf_counter()
    manifest.write(
        run / "model.manifest.json", "train", {"recipe": recipe, "seed": 0}, inputs, outputs, manifest.now(), measured
    )
    cost = time.perf_counter() - begun
    steps = 6 * recipe["epochs"] * (9000 // recipe["batch"])  # 2 labels x 3 seeds on 60 % of 15,000 items
    training = steps * measured["seconds"] / measured["steps"]
    share = jobs * cost / training
    print(f"\n{jobs} manifests of {1000 * cost:.0f} ms beside {training:.0f} s of training: {share:.2%}")
    assert share < 0.03
