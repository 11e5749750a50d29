"""What a big grid costs: the plan beside that of a bare Snakefile of the same shape, and the overhead of a run.

The number of runs is that of ``SOFTLABELS_GRID`` (default 1,000). Up to 1,000 are executed, too, with a stand-in for
what trains: importing PyTorch alone would take an hour. The files of more are made empty, and ``--touch`` notes them as
finished.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import finished_run
import pytest
import yaml

from softlabels.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
RUNS = int(os.environ.get("SOFTLABELS_GRID", "1000"))
SEEDS, LABELS = range(100), ["hard", "soft"]
RECIPES = [f"recipe{k}" for k in range(RUNS // (len(SEEDS) * len(LABELS)))]
CORES = 2
EXECUTED = 1000
ROUNDS = 3 if RUNS <= EXECUTED else 1
CONFIG = {
    "results": "results",
    "datasets": {"synthetic": {"source": {"kind": "synthetic", "items": 60, "pixels": 16}, "reference": "exact"}},
    "recipes": {name: {"network": "compact", "epochs": k + 1} for k, name in enumerate(RECIPES)},
    "studies": {"grid": {"datasets": ["synthetic"], "recipes": RECIPES, "seeds": list(SEEDS)}},
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
        [RUN + "predictions.parquet", RUN + "features.npy", *TABLES, DATA + "items.parquet", LABEL + "all.parquet"],
        [RUN + "scores/standard.parquet", RUN + "scores/standard.manifest.json"]),
    "references": (TABLES, [REFERENCE + "/standard.parquet", REFERENCE + "/standard.manifest.json"]),
    "embed": ([RUN + "features.npy", *TABLES], [STUDY + TSNE + ".parquet", STUDY + TSNE + ".manifest.json"]),
    "study": (
        of_study(RUN + "scores/standard.parquet", RUN + "predictions.parquet", REFERENCE + "/standard.parquet")
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

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")


def snakemake(folder: Path, *words: str) -> tuple[dict, str]:
    """Run Snakemake in a folder: its cost (processor seconds, peak memory in bytes) and what it printed."""
    process = subprocess.run(
        [sys.executable, "-c", PROCESS, "cost.json", *words, "--cores", str(CORES)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    cost = json.loads((folder / "cost.json").read_text())
    assert cost["status"] == 0, process.stdout[-3000:]
    return cost, process.stdout


def workflow(folder: Path) -> Path:
    """The workflow with the grid as its default configuration."""
    for name in ("workflow", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def bare(folder: Path) -> Path:
    """The bare Snakefile with the workflow's profile."""
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    (folder / "Snakefile").write_text(BARE.format(recipes=RECIPES, seeds=len(SEEDS), labels=LABELS))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The workflow and the bare Snakefile, with nothing made."""
    return {"bare": bare(tmp_path_factory.mktemp("bare")), "workflow": workflow(tmp_path_factory.mktemp("workflow"))}


@pytest.fixture(scope="module")
def executed(folders, tmp_path_factory):
    """How many seconds each of the two took to be executed. This finishes the folders themselves."""
    templates = folders["workflow"] / "templates"
    templates.mkdir()
    (templates / "empty").touch()
    made = Plan({**finished_run.CONFIG, "results": str(finished_run.build(tmp_path_factory.mktemp("made")))})
    for name, paths in finished_run.inputs_of(made).items():
        shutil.copy(paths[0], templates / name)
    entry = folders["workflow"] / "workflow" / "softlabels" / "__main__.py"
    own = entry.read_text()
    entry.write_text(STAND_IN)
    seconds = {}
    for name, folder in folders.items():
        begun = time.perf_counter()
        snakemake(folder, "--quiet")
        seconds[name] = time.perf_counter() - begun
    entry.write_text(own)
    return seconds


@pytest.fixture(scope="module")
def finished(request, folders):
    """The same two, finished: executed if they are small enough, else of empty files."""
    if RUNS <= EXECUTED:
        request.getfixturevalue("executed")
    else:
        for folder in folders.values():
            _, printed = snakemake(folder, "--summary")
            for path in re.findall(r"^(results/\S+)\t", printed, re.MULTILINE):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).touch()
            snakemake(folder, "--touch", "--forceall", "--quiet")
    return folders


def jobs(printed: str) -> dict[str, int]:
    """The number of jobs of each rule in a plan, without the rules that only name targets."""
    table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", printed, re.MULTILINE)
    counts = dict(line.split() for line in table[1].splitlines()) if table else {}
    return {rule: int(count) for rule, count in counts.items() if rule not in ("all", "default", "total")}


def compare(folders: dict[str, Path], what: str) -> dict[str, str]:
    """Plan in both folders, in turn; state and check the ratio; what the last plans printed."""
    costs: dict[str, list] = {name: [] for name in folders}
    printed = {}
    for _ in range(ROUNDS):
        for name, folder in folders.items():
            cost, printed[name] = snakemake(folder, "--dry-run")
            costs[name].append(cost)
    seconds = {name: min(cost["seconds"] for cost in of) for name, of in costs.items()}
    peak = max(cost["peak"] for cost in costs["workflow"])
    ratio = seconds["workflow"] / seconds["bare"]
    print(
        f"\n{RUNS} runs, {what}: planned in {seconds['workflow']:.1f} s and {peak / 1e9:.2f} GB, a bare Snakefile in "
        f"{seconds['bare']:.1f} s: {ratio:.2f} times"
    )
    assert ratio <= 1.3
    assert peak <= 2e9
    return printed


def test_the_plan_of_an_empty_tree_costs_little_more_than_that_of_a_bare_snakefile(folders):
    printed = compare(folders, "nothing made")
    planned = jobs(printed["workflow"])
    assert planned["train"] == planned["evaluate"] == RUNS
    assert planned == jobs(printed["bare"])


def test_the_plan_of_a_finished_tree_costs_little_more_than_that_of_a_bare_snakefile(finished):
    printed = compare(finished, "all made")
    for text in printed.values():
        assert "Nothing to be done" in text
        assert "metadata" not in text  # or parameters and code would not have been compared


@pytest.mark.skipif(RUNS > EXECUTED, reason=f"more than {EXECUTED} runs take hours")
def test_an_executed_run_has_little_overhead(folders, executed):
    benchmarks = folders["workflow"] / "results" / "benchmarks"
    own = {path: float(path.read_text().splitlines()[1].split("\t")[0]) for path in benchmarks.rglob("*.tsv")}
    assert len(own) > 2 * RUNS
    gathering = sum(own[benchmarks / "studies" / "grid" / f"{name}.tsv"] for name in ("study", "chain"))
    work = (sum(own.values()) - gathering) / CORES
    overhead = (executed["workflow"] - gathering - work) / RUNS
    print(
        f"\n{RUNS} runs executed on {CORES} cores in {executed['workflow']:.0f} s: "
        f"{work * CORES / len(own) * 1000:.0f} ms of stand-in a job, {gathering:.0f} s for the study, "
        f"{1000 * overhead:.0f} ms of overhead a run; the bare Snakefile with `touch`: {executed['bare']:.0f} s, "
        f"{1000 * executed['bare'] / RUNS:.0f} ms a run"
    )
    assert executed["workflow"] - gathering - work <= 1.3 * executed["bare"]
