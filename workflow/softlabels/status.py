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
from .commands import ADOPTED, TRAINED
from .config import overridden, read
from .errors import UserError
from .locks import server_time
from .places import CONFIG, LOGS, PLACES, started_in
from .plan import Plan

STATES = ("done", "running", "waiting", "failed")
SHOWN = 20  # jobs in one list of the printed text


def plans_of(results: Path | None, configfile: Path | None, overrides: list[str]) -> list[Plan]:
    """The plan of a configuration; without one, of the repository's that were begun in the results folder.

    Args:
        results: the folder (default: that of the configuration, or of the repository's ``config/config.yaml``).
        configfile: the configuration.
        overrides: ``key=value`` pairs that replace keys of it.

    Raises:
        UserError: a wrong configuration, or none that names this folder.
    """
    if configfile:
        raw = overridden(read(configfile), overrides)
        return [Plan(raw | ({"results": str(results)} if results else {}))]
    results = results or Path(Plan(overridden(read(CONFIG), overrides)).root)
    folder = started_in(results)
    files = sorted(CONFIG.parent.glob("*.yaml"), key=lambda path: (path != CONFIG, path))
    plans = []
    for path in files:
        with suppress(UserError):  # a draft
            raw = overridden(read(path), overrides)
            if (folder / Plan(raw).root).resolve() == results.resolve():
                plans.append(Plan(raw | {"results": str(results)}))
    if not plans:
        raise UserError(
            f"{results}: no configuration in {CONFIG.parent} has these results. Name one with --configfile."
        )

    def begun(plan: Plan) -> bool:
        jobs = (job for study in plan.config["studies"] for job in plan.jobs(study, TRAINED, ADOPTED))
        return any(_log(Path(plan.root), *job).exists() for job in jobs)

    return list(filter(begun, plans)) or plans[:1]


def status(plans: list[Plan]) -> dict[str, Any]:
    """State of every job of plans that share a results folder, ready for JSON.

    Returns:
        ``results`` (the folder), ``time``, ``studies`` (name to command to state to number of jobs), ``running`` and
        ``failed``: of each such job ``command``, ``job`` (its place), ``log`` and what :func:`joblog.read` tells.
    """
    root = Path(plans[0].root)
    try:  # by the clock of the file server, which file times are of; this machine's where it may not write there
        now = server_time(root)
    except OSError:
        now = datetime.now(UTC).timestamp()
    known: dict[tuple[str, str], dict[str, Any]] = {}
    studies: dict[str, dict[str, dict[str, int]]] = {}
    for plan, study in [(one, study) for one in plans for study in one.config["studies"]]:
        if study in studies:  # of the same name, in another configuration
            continue
        counts = studies[study] = {}
        for command, names in plan.jobs(study):
            place = PLACES[command]
            job, log = place.job.format_map(names), _log(root, command, names)
            if (command, job) not in known:
                done = (root / place.last.format_map(names)).is_file()
                about = {"state": "done"} if done else joblog.read(log, now)
                known[command, job] = {"command": command, "job": job, "log": str(log), **about}
            counts.setdefault(command, dict.fromkeys(STATES, 0))[known[command, job]["state"]] += 1
    listed = {state: [job for job in known.values() if job["state"] == state] for state in ("running", "failed")}
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return {"results": plans[0].root, "time": time, "studies": studies, **listed}


def _log(root: Path, command: str, names: dict[str, Any]) -> Path:
    return root / LOGS / f"{PLACES[command].log.format_map(names)}.log"


def render(found: dict[str, Any]) -> str:
    """:func:`status` for people."""
    lines = []
    for study, commands in found["studies"].items():
        lines.append(f"{'study ' + study:<24}" + "".join(f"{state:>9}" for state in STATES))
        for command, states in commands.items():
            lines.append(f"  {command:<22}" + "".join(f"{states[state] or '·':>9}" for state in STATES))
        lines.append("")
    for state in filter(found.get, ("running", "failed")):
        lines.append(f"{state.capitalize()}:")
        for job in found[state][:SHOWN]:
            lines.append(f"  {job['command']} {job['job'].partition('/')[2]}: {', '.join(_facts(job))}")
            lines += [f"    | {line}" for line in job.get("lines", [])]
        more = len(found[state]) - SHOWN
        lines += [f"  … and {more} more (--json lists all)"] * (more > 0) + [""]
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
