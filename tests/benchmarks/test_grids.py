"""What a big grid costs: the plan beside that of a bare Snakefile of the same shape, and the overhead of a run.

The number of runs is that of ``SOFTLABELS_GRID`` (default 1,000; 10,000 takes about a quarter of an hour and 1 GB).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
import study_files
import yaml

ROOT = Path(__file__).resolve().parents[2]
RUNS = int(os.environ.get("SOFTLABELS_GRID", "1000"))
SEEDS, LABELS = range(100), ["hard", "soft"]
RECIPES = [f"recipe{k}" for k in range(RUNS // (len(SEEDS) * len(LABELS)))]
ROUNDS = 3 if RUNS <= 1000 else 1
CONFIG = {
    "results": "results",
    "datasets": {"tiny": {"source": {"kind": "synthetic", "items": 60, "pixels": 16}, "reference": "exact"}},
    "recipes": {name: {"network": "compact", "epochs": k + 1} for k, name in enumerate(RECIPES)},
    "studies": {"grid": {"datasets": ["tiny"], "recipes": RECIPES, "seeds": list(SEEDS)}},
}

# The same rules, files and edges as the workflow's, with nothing but constants; the profile is the workflow's, too.
BARE = """
RECIPES, SEEDS, LABELS = {recipes}, range({seeds}), {labels}
DATA, SPLIT = "results/data/{{dataset}}/", "results/splits/{{dataset}}/{{split}}/seed{{seed}}"
LABEL, REFERENCE = "results/labels/{{dataset}}/{{label}}/", "results/references/{{dataset}}/{{split}}/seed{{seed}}"
RUN, STUDY = "results/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/", "results/studies/{{study}}/"
TABLES = [DATA + "reference.parquet", SPLIT + ".parquet"]
TSNE, PANEL = "tsne/{{dataset}}-{{split}}-{{recipe}}-{{label}}-seed{{seed}}", "{{dataset}}-{{split}}-{{recipe}}"

def of_study(*files, **fixed):
    grid = {{"dataset": ["tiny"], "split": ["random"], "recipe": RECIPES, "label": LABELS, "seed": SEEDS, **fixed}}
    return list(dict.fromkeys(expand(files, **grid)))

def of_panel(file):
    return expand(file, label=LABELS, seed=SEEDS, allow_missing=True)

RULES = {{  # name: inputs, outputs
    "data": ([], [DATA + f for f in (
        "images.npy", "items.parquet", "annotations.parquet", "reference.parquet", "images.manifest.json")]),
    "card": (
        [DATA + f for f in ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")]
        + expand(SPLIT + ".parquet", split="random", seed=SEEDS, allow_missing=True),
        [DATA + f for f in ("card.md", "card.json", "card-images.png", "card-votes.png", "card.manifest.json")]),
    "split": ([DATA + "items.parquet", TABLES[0]], [SPLIT + ".parquet", SPLIT + ".manifest.json"]),
    "label": ([DATA + "annotations.parquet", TABLES[0]], [LABEL + "all.parquet", LABEL + "all.manifest.json"]),
    "train": ([DATA + "images.npy", LABEL + "all.parquet", *TABLES], [RUN + f for f in (
        "model.safetensors", "history.parquet", "predictions.parquet", "features.npy", "model.manifest.json")]),
    "evaluate": (
        [RUN + "predictions.parquet", RUN + "features.npy", *TABLES, DATA + "items.parquet", LABEL + "all.parquet"],
        [RUN + "metrics.json", RUN + "metrics.manifest.json"]),
    "references": (TABLES, [REFERENCE + ".json", REFERENCE + ".manifest.json"]),
    "embed": ([RUN + "features.npy", *TABLES], [STUDY + TSNE + ".parquet", STUDY + TSNE + ".manifest.json"]),
    "study": (
        of_study(RUN + "metrics.json", RUN + "predictions.parquet", REFERENCE + ".json")
        + of_study(DATA + "items.parquet", DATA + "reference.parquet"),
        [STUDY + f for f in ("config.json", "table.csv", "table.md", "table.tex", "cells.parquet", "items.csv",
                             "config.manifest.json")]),
    "chain": (
        of_study(*(file + "manifest.json" for file in (
            RUN + "model.", RUN + "metrics.", SPLIT + ".", REFERENCE + ".", LABEL + "all.", DATA + "images.")))
        + [STUDY + "config.manifest.json"],
        [STUDY + "chain.json"]),
    "figure": (
        expand(STUDY + TSNE + ".parquet", label=LABELS, seed=SEEDS[0], allow_missing=True)
        + of_panel(RUN + "metrics.json") + [DATA + "items.parquet", TABLES[0]],
        [STUDY + "figures/embedding-" + PANEL + end for end in (".png", ".pdf", ".manifest.json")]),
    "curves": (
        of_panel(RUN + "history.parquet"),
        [STUDY + "figures/curves-" + PANEL + end for end in (".png", ".pdf", ".manifest.json")]),
}}

wildcard_constraints:
    dataset="[a-z0-9][a-z0-9_]*", split="[a-z0-9][a-z0-9_]*", recipe="[a-z0-9][a-z0-9_]*",
    label="[a-z0-9][a-z0-9_]*", study="[a-z0-9][a-z0-9_]*", seed="[0-9]+"

rule all:
    default_target: True
    input:
        "results/data/tiny/card.md", "results/studies/grid/table.md", "results/studies/grid/chain.json",
        expand("results/studies/grid/figures/{{kind}}-tiny-random-{{recipe}}.png",
            kind=["embedding", "curves"], recipe=RECIPES)

for name, (inputs, outputs) in RULES.items():
    rule:
        name: name
        input: *inputs
        output: *outputs
        log: outputs[0] + ".log"
        benchmark: outputs[0] + ".tsv"
        threads: 1
        resources: gpu=0
        params: config="c" * 600, code="0" * 64
        message: "Making {{wildcards}}"
        shell: "tool {{params.config}} {{input}} {{output}} > {{log}} 2>&1"
"""

# Snakemake in a process that tells what it cost: its processor time, which other work on the machine changes little.
PROCESS = """
import json, sys, time
from pathlib import Path
from snakemake.cli import main
try:
    main(sys.argv[2:])
except SystemExit as end:
    status = end.code
peak = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
cost = {"status": status, "seconds": time.process_time(), "peak": int(peak[0].split()[1]) * 1024}
Path(sys.argv[1]).write_text(json.dumps(cost))
"""


def snakemake(folder: Path, *words: str) -> tuple[dict, str]:
    """Run Snakemake in a folder: its cost (processor seconds, peak memory in bytes) and what it printed."""
    process = subprocess.run(
        [sys.executable, "-c", PROCESS, "cost.json", *words, "--cores", "2"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    cost = json.loads((folder / "cost.json").read_text())
    assert cost["status"] == 0, process.stdout[-3000:]
    return cost, process.stdout
