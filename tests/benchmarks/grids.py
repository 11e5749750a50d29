"""What a big grid costs: its plan beside that of a bare Snakefile of the same shape, and the overhead of a run.

Up to 1,000 runs are executed, too, with a stand-in for what trains: importing PyTorch alone would take an hour. The
files of more are made empty, and ``--touch`` notes them as finished.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import finished_run
import yaml

from softlabels.plan import Plan

from . import lines

SEEDS, LABELS, CORES, EXECUTED = range(100), ["hard", "soft"], 2, 1000


def configuration(runs: int) -> dict[str, Any]:
    """One data set, one split, 100 seeds, two labels, and as many recipes as the number of runs needs."""
    recipes = {f"recipe{k}": {"network": "compact", "epochs": k + 1} for k in range(runs // len(SEEDS) // len(LABELS))}
    return {
        "results": "results",
        "datasets": {"synthetic": {"source": {"kind": "synthetic", "items": 60, "pixels": 16}, "reference": "exact"}},
        "recipes": recipes,
        "studies": {"grid": {"datasets": ["synthetic"], "recipes": [*recipes], "seeds": list(SEEDS)}},
    }


# The same rules, files, edges and resources as the workflow's, and constants for all else; the same profile, too.
BARE = """
RECIPES, SEEDS, LABELS = {recipes}, range({seeds}), {labels}
DATA, SPLIT = "results/data/{{dataset}}/", "results/splits/{{dataset}}/{{split}}/seed{{seed}}"
LABEL, REFERENCE = "results/labels/{{dataset}}/{{label}}/", "results/references/{{dataset}}/{{split}}/seed{{seed}}"
RUN, STUDY = "results/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/", "results/studies/{{study}}/"
TABLES = [DATA + "reference.parquet", SPLIT + ".parquet"]
TSNE = "tsne/{{dataset}}-{{split}}-{{recipe}}-{{label}}-seed{{seed}}"

def of_study(*files, **fixed):
    grid = {{"dataset": ["synthetic"], "split": ["random"], "recipe": RECIPES, "label": LABELS, "seed": SEEDS, **fixed}}
    return list(dict.fromkeys(expand(files, **grid)))

def of_figure(wildcards):
    dataset, split, recipe = wildcards.block.split("-")[1:]
    names = {{"dataset": dataset, "split": split, "recipe": recipe, "label": LABELS, "study": wildcards.study}}
    if wildcards.figure == "curves":
        return expand(RUN + "history.parquet", seed=SEEDS, **names)
    embeddings = expand(STUDY + TSNE + ".parquet", seed=SEEDS[0], **names)
    scores = expand(RUN + "scores/standard.parquet", seed=SEEDS, **names)
    return embeddings + scores + expand([DATA + "items.parquet", TABLES[0]], dataset=dataset)

RULES = {{  # name: inputs, outputs
    "data": ([], [DATA + f for f in (
        "images.npy", "items.parquet", "annotations.parquet", "reference.parquet", "images.manifest.json")]),
    "card": (
        [DATA + f for f in ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")]
        + expand(SPLIT + ".parquet", split="random", seed=SEEDS, allow_missing=True),
        [DATA + f for f in ("card.md", "card.json", "card-images.png", "card-votes.png", "card.manifest.json")]),
    "split": ([DATA + "items.parquet", TABLES[0]], [SPLIT + ".parquet", SPLIT + ".manifest.json"]),
    "label": ([DATA + "annotations.parquet", TABLES[0]], [LABEL + "all.parquet", LABEL + "all.manifest.json"]),
    "train": ([DATA + "images.npy", DATA + "items.parquet", LABEL + "all.parquet", *TABLES], [RUN + f for f in (
        "model.safetensors", "history.parquet", "predictions.parquet", "features.npy", "model.manifest.json")]),
    "evaluate": (
        [RUN + "predictions.parquet", RUN + "features.npy", DATA + "annotations.parquet", *TABLES,
         DATA + "items.parquet", LABEL + "all.parquet"],
        [RUN + "scores/standard" + end for end in (".parquet", ".terms.parquet", ".manifest.json")]),
    "references": (
        [DATA + "annotations.parquet", *TABLES],
        [REFERENCE + "/standard.parquet", REFERENCE + "/standard.manifest.json"]),
    "embed": ([RUN + "features.npy", *TABLES], [STUDY + TSNE + ".parquet", STUDY + TSNE + ".manifest.json"]),
    "study": (
        of_study(RUN + "scores/standard.parquet", RUN + "scores/standard.terms.parquet", RUN + "predictions.parquet",
                 REFERENCE + "/standard.parquet")
        + of_study(DATA + "items.parquet", DATA + "reference.parquet"),
        [STUDY + f for f in ("config.json", "table.csv", "table.md", "table.tex", "cells.parquet", "items.csv",
                             "config.manifest.json")]),
    "chain": (
        of_study(*(file + "manifest.json" for file in (
            RUN + "model.", RUN + "scores/standard.", SPLIT + ".", REFERENCE + "/standard.", LABEL + "all.",
            DATA + "images.")))
        + [STUDY + "config.manifest.json"],
        [STUDY + "chain.json"]),
    "figure": (of_figure, [STUDY + "figures/{{figure}}{{block}}" + end for end in (".png", ".pdf", ".manifest.json")]),
}}

wildcard_constraints:
    dataset="[a-z0-9][a-z0-9_]*", split="[a-z0-9][a-z0-9_]*", recipe="[a-z0-9][a-z0-9_]*",
    label="[a-z0-9][a-z0-9_]*", study="[a-z0-9][a-z0-9_]*", seed="[0-9]+",
    figure="[a-z]+", block="-.*"

rule all:
    default_target: True
    input:
        "results/data/synthetic/card.md", "results/studies/grid/table.md", "results/studies/grid/chain.json",
        expand("results/studies/grid/figures/{{kind}}-synthetic-random-{{recipe}}.png",
            kind=["embedding", "curves"], recipe=RECIPES)

for name, (inputs, outputs) in RULES.items():
    rule:
        name: name
        input: *(inputs if isinstance(inputs, list) else [inputs])
        output: *outputs
        log: outputs[0] + ".log"
        benchmark: outputs[0] + ".tsv"
        threads: 1
        resources:
            gpu=0,
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 5 * attempt
        params: config="c" * 600, code="0" * 64
        message: "Making {{wildcards}}"
        shell: ": {{params.config:q}} {{params.code:q}} {{log:q}}; touch {{output:q}}"
"""

# In place of the package's own entry: every command but two writes its files at once, empty or from a template.
STAND_IN = """
import shutil, sys
from pathlib import Path

if sys.argv[1] in ("study", "chain"):
    from softlabels.cli import main

    main()
else:
    for option, path in zip(sys.argv[2:], sys.argv[3:]):
        if option.startswith("--") and option not in ("--config", "--threads") and not path.startswith(("@", "--")):
            template = Path("templates", option[2:])
            if not Path(path).exists():
                shutil.copyfile(template if template.exists() else "templates/empty", path)
"""

# Snakemake in a process that tells what it cost: its processor time, which other work on the machine changes little.
PROCESS = """
import json, sys, time
from pathlib import Path
from snakemake.cli import main
from snakemake.executors import touch

touch.Executor.SLEEPING_TIME = 0  # for each job
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
        [sys.executable, "-c", PROCESS, "cost.json", *words, "--cores", str(CORES)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    cost = json.loads((folder / "cost.json").read_text())
    if cost["status"]:
        raise RuntimeError(process.stdout[-3000:])
    return cost, process.stdout


def workflow(config: dict[str, Any]) -> Path:
    """The workflow, in a folder of its own, with the grid as its default configuration."""
    folder = Path(tempfile.mkdtemp())
    for name in ("workflow", "config", "profiles", "envs"):
        shutil.copytree(lines.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(lines.ROOT / "Snakefile", folder)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def bare(config: dict[str, Any]) -> Path:
    """The bare Snakefile with the workflow's profile."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(lines.ROOT / "profiles", folder / "profiles")
    text = BARE.format(recipes=[*config["recipes"]], seeds=len(SEEDS), labels=LABELS)
    (folder / "Snakefile").write_text(text)
    return folder


def executed(folders: dict[str, Path]) -> dict[str, float]:
    """How many seconds each of the two takes to be executed."""
    templates = folders["workflow"] / "templates"
    templates.mkdir()
    (templates / "empty").touch()
    made = Plan({**finished_run.CONFIG, "results": str(finished_run.build(Path(tempfile.mkdtemp())))})
    for name, paths in finished_run.inputs_of(made).items():
        for path in paths[:1]:  # none of what only some tables are made of
            shutil.copy(path, templates / name)
    entry = folders["workflow"] / "workflow" / "softlabels" / "__main__.py"
    own = entry.read_text()
    entry.write_text(STAND_IN)
    seconds = {}
    for name, folder in folders.items():
        seconds[name] = lines.timed(lambda folder=folder: snakemake(folder, "--quiet"))()
    entry.write_text(own)
    return seconds


def emptied(folders: dict[str, Path]) -> None:
    """Finish the two with empty files."""
    for folder in folders.values():
        printed = snakemake(folder, "--summary")[1]
        for path in re.findall(r"^(results/\S+)\t", printed, re.MULTILINE):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        snakemake(folder, "--touch", "--forceall", "--quiet")


def jobs(printed: str) -> dict[str, int]:
    """The number of jobs of each rule in a plan, without the rules that only name targets."""
    table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", printed, re.MULTILINE)
    counts = dict(line.split() for line in table[1].splitlines()) if table else {}
    return {rule: int(count) for rule, count in counts.items() if rule not in ("all", "default", "total")}


def plans(folders: dict[str, Path], runs: int, state: str, times: int, planned: int) -> Iterator[dict[str, Any]]:
    """The plan of both, in turn: processor seconds, and peak memory. So many trainings must be planned."""
    peaks = []

    def seconds(name: str) -> float:
        cost, printed = snakemake(folders[name], "--dry-run")
        counts = jobs(printed)
        if counts.get("train", 0) != planned or "metadata" in printed:  # which would not have been compared
            raise RuntimeError(f"{name}: found {counts}, expected {planned} trainings")
        peaks.extend([cost["peak"] / 1e9] * (name == "workflow"))
        return cost["seconds"]

    name = f"plan of {runs:,} runs, {state}"
    yield lines.compared(
        name, lambda: seconds("workflow"), lambda: seconds("bare"), "s of processor time", 1.3, at_least=False,
        against="a bare Snakefile of the same shape", times=times, warm=False,
    )  # fmt: skip
    yield lines.line(f"{name}, memory", [(max(peaks), 2)], "GB", 1, at_least=False, against="2 GB")


def overhead(folder: Path, seconds: dict[str, float], runs: int) -> dict[str, Any]:
    """What is left of an execution without the stand-in's own time; the bare Snakefile's jobs are ``touch``."""
    benchmarks = folder / "results" / "benchmarks"
    own = {path: float(path.read_text().splitlines()[1].split("\t")[0]) for path in benchmarks.rglob("*.tsv")}
    gathering = sum(own[benchmarks / "studies" / "grid" / f"{name}.tsv"] for name in ("study", "chain"))
    left = seconds["workflow"] - gathering - (sum(own.values()) - gathering) / CORES
    return lines.line(
        f"overhead of a run, of {runs:,}", [(1000 * left / runs, 1000 * seconds["bare"] / runs)], "ms", 1.3,
        at_least=False, against="a bare Snakefile's", seconds=seconds, gathering=gathering,
    )  # fmt: skip


def grid(runs: int, times: int) -> Iterator[dict[str, Any]]:
    """Plans with nothing made and with all made, and the overhead of a run."""
    config = configuration(runs)
    folders = {"workflow": workflow(config), "bare": bare(config)}
    yield from plans(folders, runs, "nothing made", times, runs)
    if runs <= EXECUTED:
        yield overhead(folders["workflow"], executed(folders), runs)
    else:
        emptied(folders)
    yield from plans(folders, runs, "all made", times, 0)


def thousand(quick: bool) -> Iterator[dict[str, Any]]:
    yield from grid(200 if quick else 1000, 1 if quick else 3)


def ten_thousand(quick: bool) -> Iterator[dict[str, Any]]:
    yield from grid(1200 if quick else 10_000, 1 if quick else 3)
