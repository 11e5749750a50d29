"""What the jobs of a study really took: each command in a process of its own, with its peak memory and its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from finished_run import READS, of

from softlabels.commands import option
from softlabels.places import PLACES
from softlabels.plan import Plan

WORKFLOW = Path(__file__).resolve().parents[1] / "workflow"
# The peak of this program only; getrusage also counts what it was forked from.
PROCESS = """
import atexit, json, runpy, sys, time
def end():
    peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]
    with open(path, "w") as file:
        json.dump({"mb": int(peak) / 1024, "seconds": time.process_time()}, file)
atexit.register(end)
path = sys.argv.pop(1)
runpy.run_module("softlabels", run_name="__main__", alter_sys=True)
"""


class Cost(NamedTuple):
    """Peak memory in MB and processor time in seconds: time on the clock where nothing else is at work."""

    mb: float
    seconds: float


def words(plan: Plan, command: str, names: dict[str, Any]) -> list[str]:
    """The command line of a job."""
    outputs = of(plan, command, **names)
    line = [command, "--config", plan.json(command, **names)]
    for name, paths in {**READS[command](plan, names), **outputs}.items():
        if paths:
            line += [option(name), *map(str, paths if isinstance(paths, list) else [paths])]
    if PLACES[command].manifest:
        line += ["--manifest", plan.path(command, "manifest", **names)]
    return line


def run(plan: Plan, study: str, folder: Path) -> dict[str, list[Cost]]:
    """Run every job of a study, one after the other on one thread: the costs of each command's jobs."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(WORKFLOW)}
    costs: dict[str, list[Cost]] = {command: [] for command in READS}
    for command in costs:
        for _, names in plan.jobs(study, command):
            for path in of(plan, command, **names).values():
                path.parent.mkdir(parents=True, exist_ok=True)
            process = subprocess.run(
                [sys.executable, "-Pc", PROCESS, folder / "cost.json", *words(plan, command, names)],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert process.returncode == 0, process.stderr
            costs[command].append(Cost(**json.loads((folder / "cost.json").read_text())))
    return costs
