"""Whole studies: what is left of a run's time when all that had to be computed is taken away."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from projects import TINY, Project, copy_sources

from . import lines

CORES = 2
BARE = """
rule all:
    output: "made"
    shell: "touch {output}"
"""


def fresh() -> Project:
    """The sources in a git checkout of their own."""
    project = copy_sources(Path(tempfile.mkdtemp()) / "project")
    project.commit()
    return project


def nothing_to_do(quick: bool) -> Iterator[dict[str, Any]]:
    """What a finished study costs when it is asked for again, or audited, in plans that Snakemake itself makes."""
    project = fresh()
    project.softlabels("run", TINY, "--cores", str(CORES))
    bare = Project(Path(tempfile.mkdtemp()))
    (bare.folder / "Snakefile").write_text(BARE)
    bare.snakemake(config=None)
    plan = lines.timed(lambda: bare.snakemake("--dry-run", config=None))
    for name, words, target in (
        ("plan of a finished study", ("-m", "snakemake", "--dry-run", "--cores", "2", "--configfile", TINY), 1.5),
        ("run of a finished study", ("-Pm", "softlabels", "run", TINY, "--cores", str(CORES)), 3.5),
        ("audit of a finished study", ("-Pm", "softlabels", "audit", "results/tiny"), 3.5),
    ):
        yield lines.compared(
            name, lines.timed(lambda words=words: project.python(*words)), plan, "s", target, at_least=False,
            against="a plan of a Snakefile of one rule", times=1 if quick else 5,
        )  # fmt: skip


def computed(results: Path) -> float:
    """Seconds between start and end of all jobs' work, as their manifests note them, after start-up and imports."""
    spans = []
    for path in results.rglob("*.manifest.json"):
        manifest = json.loads(path.read_text())
        started, ended = (datetime.fromisoformat(manifest[name]) for name in ("started", "ended"))
        spans.append((ended - started).total_seconds())
    return sum(spans)


def default_run(quick: bool) -> Iterator[dict[str, Any]]:
    """The default study, all of it, against what its jobs compute, spread evenly over the cores."""
    pairs, config = [], TINY if quick else "config/config.yaml"
    for _ in range(1 if quick else 3):
        project = fresh()
        seconds = lines.timed(lambda: project.softlabels("run", config, "--cores", str(CORES)))()  # noqa: B023
        pairs.append((seconds, computed(project.folder / "results") / CORES))
    yield lines.line("the default run", pairs, "s", 1.15, at_least=False, against=f"its pure compute on {CORES} cores")
