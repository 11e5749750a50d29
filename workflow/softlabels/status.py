"""`softlabels status`: what is done, running, waiting and failed, from the files of the results folder alone.

It asks neither Snakemake nor SLURM, so it works while a run is in progress, on any machine that sees the folder, and
whatever the jobs run on. A job is done if its manifest is there, which it writes last (Snakemake removes it before the
job runs again and if it fails); of all others the log tells (see :mod:`softlabels.joblog`). Whether what is done is up
to date with configuration and code is what ``snakemake --dry-run`` tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import joblog
from .config import overridden, read
from .errors import UserError
from .locks import server_time
from .plan import Plan
from .provenance.evidence import MANIFEST, PLACES, log_name

DEFAULT = Path("config/config.yaml")
STATES = ("done", "running", "waiting", "failed")
SHOWN = 20  # jobs in one list of the printed text


def plans_of(results: Path | None, configfile: Path | None, overrides: list[str]) -> list[Plan]:
    """The plan of a configuration; without one, of those in ``config/`` that were begun in the results folder.

    Args:
        results: the folder (default: that of the configuration, or of ``config/config.yaml``).
        configfile: the configuration.
        overrides: ``key=value`` pairs that replace keys of it.

    Raises:
        UserError: a wrong configuration, or none that names this folder.
    """
    if configfile:
        raw = overridden(read(configfile), overrides)
        return [Plan(raw | ({"results": str(results)} if results else {}))]
    results = results or Path(Plan(overridden(read(DEFAULT), overrides)).root)
    files = sorted(DEFAULT.parent.glob("*.yaml"), key=lambda path: (path != DEFAULT, path))
    plans = []
    for path in files:
        with suppress(UserError):  # a draft
            plan = Plan(overridden(read(path), overrides))
            if Path(plan.root).resolve() == results.resolve():
                plans.append(plan)
    if not plans:
        raise UserError(
            f"{results}: no configuration in {DEFAULT.parent}/ has these results. Name one with --configfile."
        )
    return [plan for plan in plans if _begun(plan)] or plans[:1]


def _begun(plan: Plan) -> bool:
    """Has a training of the plan left a log?"""
    root = Path(plan.root)
    places = (job for study in plan.config["studies"] for job in jobs(plan, study))
    return any(_log(root, command, place).exists() for command, place in places if command == "train")


def jobs(plan: Plan, study: str) -> Iterator[tuple[str, str]]:
    """Command and place (see ``PLACES``) of every job behind a study, in the order in which data flows."""
    grid = plan.config["studies"][study]
    for dataset in grid["datasets"]:
        yield from ((command, PLACES[command].format(dataset=dataset)) for command in ("data", "card"))
        for label in grid["labels"]:
            yield "label", PLACES["label"].format(dataset=dataset, label=label, draw="all")
    for command, files in (
        ("split", plan.split_files(study, "splits", "")),
        ("references", plan.reference_files(study, "")),
        ("train", plan.run_files(study, "model")),
        ("evaluate", plan.score_files(study, "")),
    ):
        yield from ((command, file.removeprefix(f"{plan.root}/")) for file in files)
    for dataset, split, recipe in plan.blocks(study):
        for file in plan.embeddings(study, dataset, split, recipe):
            yield "embed", file.removeprefix(f"{plan.root}/").removesuffix(".parquet")
        for command in ("figure", "curves"):
            yield command, PLACES[command].format(study=study, dataset=dataset, split=split, recipe=recipe)
    yield "study", PLACES["study"].format(study=study)
    yield "chain", f"studies/{study}/chain"


def status(plans: list[Plan]) -> dict[str, Any]:
    """State of every job of plans that share a results folder, ready for JSON.

    Returns:
        ``results`` (the folder), ``time``, ``studies`` (name to command to state to number of jobs), ``running`` and
        ``failed``: of each such job ``command``, ``job`` (its place), ``log`` and what :func:`joblog.read` tells.
    """
    root = Path(plans[0].root)
    now = _now(root)
    known: dict[tuple[str, str], dict[str, Any]] = {}
    studies: dict[str, dict[str, dict[str, int]]] = {}
    for plan, study in [(one, study) for one in plans for study in one.config["studies"]]:
        if study in studies:  # of the same name, in another configuration
            continue
        counts = studies[study] = {}
        for command, place in jobs(plan, study):
            if (command, place) not in known:
                known[command, place] = _state(root, command, place, now)
            states = counts.setdefault(command, dict.fromkeys(STATES, 0))
            states[known[command, place]["state"]] += 1
    listed = {
        state: [
            {"command": command, "job": place, "log": str(_log(root, command, place)), **about}
            for (command, place), about in known.items()
            if about["state"] == state
        ]
        for state in ("running", "failed")
    }
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return {"results": plans[0].root, "time": time, "studies": studies, **listed}


def _state(root: Path, command: str, place: str, now: float) -> dict[str, Any]:
    last = f"{place}.json" if command == "chain" else f"{place}{MANIFEST}"
    if (root / last).is_file():
        return {"state": "done"}
    return joblog.read(_log(root, command, place), now)


def _log(root: Path, command: str, place: str) -> Path:
    return root / "logs" / f"{log_name(command, place)}.log"


def _now(root: Path) -> float:
    """The time by the file server's clock, which file times are of; this machine's where it may not write there."""
    try:
        return server_time(root)
    except OSError:
        return datetime.now(UTC).timestamp()


def render(found: dict[str, Any]) -> str:
    """:func:`status` for people."""
    lines = []
    for study, commands in found["studies"].items():
        lines.append(f"{'study ' + study:<24}" + "".join(f"{state:>9}" for state in STATES))
        for command, states in commands.items():
            lines.append(f"  {command:<22}" + "".join(f"{states[state] or '·':>9}" for state in STATES))
        lines.append("")
    for state in ("running", "failed"):
        if not found[state]:
            continue
        lines.append(f"{state.capitalize()}:")
        for job in found[state][:SHOWN]:
            place = job["job"].removeprefix("runs/").removesuffix("/model")
            lines += [f"  {job['command']} {place}: {', '.join(_facts(job))}"]
            lines += [f"    | {line}" for line in job.get("lines", [])]
        more = len(found[state]) - SHOWN
        lines += [*([f"  … and {more} more (--json lists all)"] if more > 0 else []), ""]
    return "\n".join(lines).rstrip() + "\n"


def _facts(job: dict[str, Any]) -> Iterator[str]:
    """Where a job is or was, how far it is, and when it was heard of last."""
    if "epoch" in job:
        yield f"epoch {job['epoch']} of {job['epochs']}"
    if "host" in job:
        yield f"SLURM job {job['slurm_job']}" if job.get("slurm_job") else f"process {job['pid']}"
        yield f"on {job['host']}"
        yield f"started {job['started']}"
    if job["state"] == "failed":
        yield f"{timedelta(seconds=job['silent'])} ago"
        yield f"log {job['log']}"
