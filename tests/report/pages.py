"""Studies whose pages are hard to write."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import finished_run
import numpy as np
from PIL import Image

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
