"""What a training costs besides its steps, and what its process and its manifest cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training_files import RECIPE, fit, write_data

from softlabels import config
from softlabels.plan import Plan
from softlabels.provenance import manifest

from . import lines

PROCESS = """
import json, sys
from pathlib import Path
from benchmarks import lines
from training_files import fit
inputs, recipe, folder = json.loads(sys.argv[1])
facts, _ = fit(Path(folder), {name: Path(path) for name, path in inputs.items()}, recipe)
print(json.dumps({**facts, "peak": lines.peak()}))
"""


def start(inputs: dict[str, Path], recipe: dict[str, Any]) -> subprocess.Popen:
    """Train in a process of its own."""
    words = json.dumps([{name: str(path) for name, path in inputs.items()}, recipe, tempfile.mkdtemp()])
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.Popen([sys.executable, "-c", PROCESS, words], stdout=subprocess.PIPE, env=environment)


def facts(process: subprocess.Popen) -> dict[str, Any]:
    """What the process says when it is done."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a training ended with status {process.returncode}")
    return json.loads(output)


def data(items: int, pixels: int) -> dict[str, Path]:
    return write_data(Path(tempfile.mkdtemp()), n=items, size=(pixels, pixels), classes=6)


def training(quick: bool) -> Iterator[dict[str, Any]]:
    """Share of the time in steps; two trainings at once; memory; manifests."""
    inputs, epochs = data(4000, 32), 1 if quick else 4
    pairs = []
    for _ in range(3):
        found = fit(Path(tempfile.mkdtemp()) / "run", inputs, {**RECIPE, "epochs": epochs})[0]
        pairs.append((found["share_in_steps"] * found["seconds"], found["seconds"]))
    yield lines.line("time in steps, compact, 32 px", pairs, "s", 0.85, against="all of the training's time")

    pairs = []
    for _ in range(1 if quick else 3):
        two = [start(inputs, {**RECIPE, "epochs": epochs}) for _ in range(2)]
        apart = [facts(process) for process in two]
        together = facts(start(inputs, {**RECIPE, "epochs": epochs, "threads": 2}))
        images = together["steps"] * RECIPE["batch"]
        pairs.append((sum(images / job["seconds"] for job in apart), images / together["seconds"]))
    yield lines.line("two trainings of one thread, compact, 32 px", pairs, "images/s", 1, against="one of two threads")

    large = data(2000 if quick else 11000, 96)
    size = large["images"].stat().st_size
    peak = facts(start(large, {**RECIPE, "epochs": 1}))["peak"]
    yield lines.line(
        f"peak memory of a training on {size / 1e9:.2f} GB of images", [(peak / 1e9, 3 * size / 1e9 + 1.5)], "GB", 1,
        at_least=False, against="three times the images and 1.5 GB",
    )  # fmt: skip
    yield manifests(inputs)


def manifests(inputs: dict[str, Path]) -> dict[str, Any]:
    """All manifests of the default study against its trainings."""
    study = Plan(config.read(lines.ROOT / "config" / "config.yaml"))
    jobs = len(study.manifests("hard_vs_soft"))
    (_, names), *_ = study.jobs("hard_vs_soft", "train")
    recipe = study.told("train", **names)["recipe"]
    steps = 6 * recipe["epochs"] * (9000 // recipe["batch"])  # 2 labels x 3 seeds on 60 % of 15,000 items
    pairs = []
    for _ in range(3):
        run = Path(tempfile.mkdtemp()) / "runs" / "d" / "random" / "compact" / "soft" / "seed0"
        measured, outputs = fit(run, inputs, {**recipe, "epochs": 1})
        manifest._git.cache_clear()
        begun = time.perf_counter()
        manifest.write(
            run / "model.manifest.json", "train", {"recipe": recipe, "seed": 0}, inputs, outputs, manifest.now(),
            measured,
        )  # fmt: skip
        pairs.append((jobs * (time.perf_counter() - begun), steps * measured["seconds"] / measured["steps"]))
    return lines.line("manifests of the default study", pairs, "s", 0.03, at_least=False, against="its trainings")
