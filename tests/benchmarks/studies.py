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
    project, bare = fresh(), Project(Path(tempfile.mkdtemp()))
    project.softlabels("run", TINY, "--cores", str(CORES))
    (bare.folder / "Snakefile").write_text(BARE)
    bare.snakemake(config=None)
    plan = lines.charged(lambda: project.snakemake("--dry-run"))
    for name, ours, anchor, target, against in (
        ("plan of a finished study", plan, lines.charged(lambda: bare.snakemake("--dry-run", config=None)), 2.5,
         "a plan of a Snakefile of one rule"),
        ("run of a finished study", lines.charged(lambda: project.softlabels("run", TINY, "--cores", str(CORES))),
         lambda: 2 * plan(), 1.2, "two plans of it"),
        ("audit of a finished study", lines.charged(lambda: project.softlabels("audit", "results/tiny")), plan, 2.6,
         "a plan of it"),
    ):  # fmt: skip
        yield lines.compared(
            name, ours, anchor, "s of processor time", target, at_least=False, against=against, times=1 if quick else 5
        )


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
