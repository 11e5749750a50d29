"""Studies whose pages are hard to write."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import finished_run
import numpy as np
import pyarrow as pa
from PIL import Image

from softlabels import contracts, io

HOSTILE = [
    "<img src=x onerror=window.hacked=1>", "</script><script>window.hacked=1</script>", "{{ 7*7 }}",
    r"$\alpha_{x}$ & %", "\u202eright to left \u05d0\u05d1\u05d2", "n" * 200,
]  # fmt: skip


def folder_of_votes(folder: Path, classes: list[str], *, images: int = 60, votes: int = 4, pixels: int = 16) -> Path:
    """Images of noise with names as hostile as a file's may be, and a table of votes; the table's path."""
    (folder / "images").mkdir(parents=True)
    draw, noise = random.Random(0), np.random.default_rng(0)
    rows = []
    for k in range(images):
        name = f"{HOSTILE[k % 3].replace('/', '_')} {k}.png"
        Image.fromarray(noise.integers(0, 256, (pixels, pixels, 3), np.uint8)).save(folder / "images" / name)
        first = classes[k % len(classes)]
        rows += [[name, f"<b>{v}</b>", first if v < votes - 1 else draw.choice(classes)] for v in range(votes)]
    with (folder / "votes.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image", "annotator", "label"], *rows])
    return folder / "votes.csv"


def hostile_study(root: Path) -> Path:
    """A finished study whose classes, annotators and files have hostile names."""
    votes = folder_of_votes(root.parent / "data", HOSTILE)
    images, columns = str(votes.parent / "images"), {"item": "image"}
    source = {"kind": "table", "votes": str(votes), "images": images, "columns": columns, "classes": HOSTILE}
    study = {"datasets": ["votes"], "recipes": ["quick"], "seeds": [0, 1]}
    config = {
        "datasets": {"votes": {"source": source}},
        "splits": {"random": {"allow_missing_class": True}},
        "recipes": {"quick": finished_run.QUICK},
        "studies": {"hostile": {**study, "embedding": {"perplexity": 3, "iterations": 250}}},
    }
    return finished_run.build(root, config, ("card", "embed", "figure"))


def large_study(small: Path, root: Path, *, items: int, pixels: int, classes: int = 10) -> Path:
    """A copy of the finished small study whose test part has so many images of noise, and as many points."""
    shutil.copytree(small, root)
    draw = np.random.default_rng(0)
    names = [f"class {k}" for k in range(classes)]
    item, part = np.arange(items), np.full(items, "test", object)
    reference = draw.dirichlet(np.full(classes, 0.3), items)
    contracts.write_reference(root / "data/shapes/reference.parquet", reference, None, names)
    table = {"item": pa.array(item, pa.int32()), "name": [f"folder/of/images/photograph-{k:06d}.png" for k in item]}
    io.write_table(root / "data/shapes/items.parquet", pa.table(table))
    images = np.lib.format.open_memmap(root / "data/shapes/images.npy", "w+", np.uint8, (items, pixels, pixels, 3))
    smooth = Image.fromarray(draw.integers(0, 256, (9, 9, 3), np.uint8))  # as compressible as a photograph, about
    whole = np.asarray(smooth.resize((2 * pixels, 2 * pixels), Image.Resampling.BICUBIC)).astype(int)
    for k in range(items):
        y, x = draw.integers(0, pixels, 2)
        grain = draw.integers(-12, 13, (pixels, pixels, 1))
        images[k] = (whole[y : y + pixels, x : x + pixels] + grain).clip(0, 255)
    images.flush()
    for label in ("hard", "soft"):
        run = root / f"runs/shapes/random/quick/{label}/seed0"
        logits = np.log(reference + 0.05) + draw.normal(0, 0.5, reference.shape)
        contracts.write_predictions(run / "predictions.parquet", item, part, logits.astype(np.float32), names)
        points = {"item": pa.array(item, pa.int32()), **{axis: draw.normal(size=items).astype("f4") for axis in "xy"}}
        path = root / f"studies/small/tsne/shapes-random-quick-{label}-seed0.parquet"
        io.write_table(path, pa.table(points), {"parameters": {}})
    return root
