"""How cost grows with items, classes, votes, pixels and runs: each command's work at three sizes of one of them."""

from __future__ import annotations

import importlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import finished_run
import numpy as np
from finished_run import READS, of
from PIL import Image

from softlabels import embedding, status
from softlabels.commands import COMMANDS as MODULES
from softlabels.evaluation import structure
from softlabels.plan import Plan
from softlabels.studies.study import run as write_tables

from . import grids, lines, tsne, votes

COMMANDS = ("data", "label", "split", "card", "references", "train", "evaluate", "embed", "study")
ITEMS = 2000  # where something else grows
RECIPE = {"network": "compact", "epochs": 1, "batch": 64}
Costs = dict[str, dict[str, float]]  # of each command: seconds, and bytes written or at the peak


def of_source(source: dict[str, Any], reference: str = "exact") -> dict[str, Any]:
    """A study of one seed and one label on a data set."""
    study = {"datasets": ["d"], "splits": ["random"], "recipes": ["r"], "labels": ["soft"], "seeds": [0]}
    return {
        "datasets": {"d": {"source": source, "reference": reference}},
        "splits": {"random": {"allow_missing_class": True}},
        "recipes": {"r": RECIPE},
        "studies": {"s": {**study, "embedding": {"perplexity": 10, "iterations": 250}}},
    }


def shapes(**options: int) -> dict[str, Any]:
    """The same on generated images."""
    source = {"kind": "synthetic", "items": ITEMS, "pixels": 32, "seed": 0, **options}
    return of_source(source, "votes" if "votes" in options else "exact")


def with_classes(classes: int) -> dict[str, Any]:
    """The same on image files and a table of ten votes an image, for its class or the next."""
    folder, draw = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    rows = ["item,label,annotator"]
    for item in range(ITEMS):
        Image.fromarray(draw.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{item}.png")
        said = (item + (draw.random(10) < 0.3)) % classes
        rows += [f"{item}.png,class{label},annotator{who}" for who, label in enumerate(said)]
    (folder / "votes.csv").write_text("\n".join(rows) + "\n")
    return of_source(
        {"kind": "table", "images": str(folder), "votes": str(folder / "votes.csv"), "pixels": 16}, "votes"
    )


def seconds_of(work: Callable[[], Any]) -> float:
    """Processor seconds of the work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def size_of(outputs: dict[str, Path]) -> int:
    """Bytes of files."""
    return sum(path.stat().st_size for path in outputs.values() if path.exists())


def spent(config: dict[str, Any]) -> Costs:
    """Processor seconds of each command's work, without start-up and imports, and the bytes of what it wrote."""
    plan = Plan({**config, "results": tempfile.mkdtemp()})
    found = {}
    for command, names in plan.jobs("s", *COMMANDS):
        run, outputs = importlib.import_module(MODULES[command].module).run, of(plan, command, **names)
        told, inputs = plan.told(command, **names), READS[command](plan, names)
        if command == "data":
            inputs = {name: Path(path) for name, path in plan.source_files("d").items()}
        seconds = seconds_of(lambda: run(told, inputs, outputs))  # noqa: B023
        found[command] = {"seconds": seconds, "written": size_of(outputs)}
    shutil.rmtree(plan.root)
    return found


def many_runs(runs: int) -> Costs:
    """The same of what handles all runs of a study: its plan, Snakemake's, its status, its tables.

    The files of all runs are copies of one's, of 120 images.
    """
    made = Plan({**finished_run.CONFIG, "results": tempfile.mkdtemp()})
    finished_run.build(Path(made.root))
    config = grids.configuration(runs)
    config["datasets"]["synthetic"] = finished_run.CONFIG["datasets"]["shapes"]
    plan = Plan({**config, "results": tempfile.mkdtemp()})
    like = {"dataset": "shapes", "recipe": "quick", "seed": 0, "study": "small"}
    for command, names in plan.jobs("grid", "data", "label", "split", "references", "train", "evaluate"):
        for output, path in of(plan, command, **names).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(of(made, command, **{**names, **like})[output], path)
    outputs = of(plan, "study", study="grid")
    works = {
        "plan": lambda: list(Plan({**config, "results": plan.root}).jobs("grid")),
        "status": lambda: status.status([plan]),
        "study": lambda: write_tables(plan.told("study", study="grid"), finished_run.inputs_of(plan), outputs),
    }
    found = {name: {"seconds": seconds_of(work)} for name, work in works.items()}
    found["study"]["written"] = size_of(outputs)
    cost = grids.snakemake(grids.workflow(config), "--dry-run")[0]
    shutil.rmtree(plan.root)
    return {**found, "snakemake --dry-run": {"seconds": cost["seconds"], "peak": cost["peak"]}}


def votes_alone(items: int) -> Costs:
    """The same of labels from 50 votes an item."""
    folder = votes.write_votes(Path(tempfile.mkdtemp()), items)
    cost = votes.measure(votes.OURS, folder)
    shutil.rmtree(folder)
    return {"label": cost}


def test_items(items: int) -> Costs:
    """The same of what compares test items with each other: neighbours are exact."""
    points, draw = tsne.features(items), np.random.default_rng(0)
    p = draw.dirichlet(np.ones(6), items)
    options = {"perplexity": 30, "iterations": 250, "init": "pca", "seed": 0}
    found: list[np.ndarray] = []
    works = {
        "t-SNE, 250 iterations": lambda: found.append(embedding.tsne(points, options)[0]),
        "trustworthiness, label smoothness": lambda: embedding.quality(points, found[0], p, 15),
        "numbers of the feature space": lambda: structure.numbers(points, p, None, None, 15),
    }
    return {name: {"seconds": seconds_of(work)} for name, work in works.items()}


# Of each axis: sizes, what is measured at one of them, and which of its commands depend on it.
AXES: dict[str, tuple[tuple[int, ...], Callable[[int], Costs], tuple[str, ...]]] = {
    "items": ((1000, 4000, 16_000), lambda size: spent(shapes(items=size)), COMMANDS),
    "test items": (
        (1500, 6000, 24_000), test_items,
        ("t-SNE, 250 iterations", "trustworthiness, label smoothness", "numbers of the feature space"),
    ),
    "votes of an item": (
        (10, 100, 1000), lambda size: spent(shapes(votes=size)), ("data", "label", "card", "references", "evaluate")
    ),
    "items of 50 votes": ((20_000, 200_000, 2_000_000), votes_alone, ("label",)),
    "pixels of an image": (
        (32**2, 64**2, 128**2), lambda size: spent(shapes(pixels=math.isqrt(size))), ("data", "train")
    ),
    "classes": (
        (10, 100, 1000), lambda size: spent(with_classes(size)),
        ("label", "split", "card", "references", "train", "evaluate", "study"),
    ),
    "runs of a study": ((200, 800, 3200), many_runs, ("plan", "status", "study", "snakemake --dry-run")),
}  # fmt: skip


def curves(quick: bool) -> Iterator[dict[str, Any]]:
    """A curve a command and axis: cost at each size, and the exponents that it grows with; two sizes where quick."""
    spent(shapes(items=120))  # or the first of each command would be charged for its imports
    for axis, (sizes, measure, chosen) in AXES.items():
        sizes = sizes[: 2 if quick else None]
        costs = [measure(size) for size in sizes]
        for command in chosen:
            yield lines.curve(f"{command}, {axis}", list(sizes), [cost[command] for cost in costs])
