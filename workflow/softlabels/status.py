"""`softlabels status`: what is done, running, waiting and failed, from the files of the results folder alone.

It asks neither Snakemake nor SLURM, so it works while a run is in progress, on any machine that sees the folder, and
whatever the jobs run on. A job is done if its manifest is there, which it writes last (Snakemake removes it before the
job runs again and if it fails); of all others the log tells (see :mod:`softlabels.joblog`). Whether what is done is up
to date with configuration and code is what ``snakemake --dry-run`` tells. With ``--watch`` see :mod:`softlabels.watch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import joblog
from .columns import length
from .commands import MAKERS
from .config import overridden, read
from .errors import UserError
from .locks import server_time
from .places import CONFIG, LOGS, PLACES, started_in
from .plan import Plan

STATES = ("done", "running", "waiting", "failed")
UNSEEN = {"state": "waiting"}  # what is found of a job before the first look
SHOWN = 20  # jobs in one list of the printed text


@dataclass(slots=True, eq=False)
class Job:
    """One job of a plan, and what was found of it when it was looked at last."""

    plan: Plan
    command: str
    names: dict[str, Any]  # its wildcards
    job: str  # its place
    last: str  # the file that it writes last
    log: str
    found: dict[str, Any] = field(default_factory=lambda: UNSEEN)
    said: tuple[Any, float] = (None, 0.0)  # how far it said that it was, and when

    @property
    def state(self) -> str:
        """One of STATES."""
        return self.found["state"]

    def look(self, now: float) -> None:
        """Find out how it is.

        Args:
            now: as :func:`softlabels.joblog.read` takes it.
        """
        self.found = {"state": "done"} if Path(self.last).is_file() else joblog.read(Path(self.log), now)
        if "seconds_left" in self.found:
            said = tuple(self.found.get(name) for name in ("started", "epoch", "step", "seconds_left"))
            if self.said[0] != said:  # a sign of life alone says nothing new
                self.said = said, now - self.found["silent"]
            self.found["seconds_left"] = round(max(0.0, said[-1] - (now - self.said[1])), 1)

    def about(self) -> dict[str, Any]:
        """All that is known of it, ready for JSON."""
        return {"command": self.command, "job": self.job, "log": self.log, **self.found}


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
        jobs = (job for study in plan.config["studies"] for job in plan.jobs(study, *MAKERS))
        return any(Path(_log(plan, *job)).exists() for job in jobs)

    return list(filter(begun, plans)) or plans[:1]


def jobs_of(plans: list[Plan]) -> dict[str, list[Job]]:
    """The jobs of each study of plans that share a results folder, none looked at; studies share some of them."""
    known: dict[tuple[str, str], Job] = {}
    studies: dict[str, list[Job]] = {}
    for plan, study in [(one, study) for one in plans for study in one.config["studies"]]:
        if study in studies:  # of the same name, in another configuration
            continue
        jobs = studies.setdefault(study, [])
        for command, names in plan.jobs(study):
            place = PLACES[command]
            job = place.job.format_map(names)
            if (command, job) not in known:
                last, log = f"{plan.root}/{place.last.format_map(names)}", _log(plan, command, names)
                known[command, job] = Job(plan, command, names, job, last, log)
            jobs.append(known[command, job])
    return studies


def each(studies: dict[str, list[Job]]) -> list[Job]:
    """The jobs of all studies, each once."""
    return list(dict.fromkeys(job for jobs in studies.values() for job in jobs))


def now_in(root: Path) -> float:
    """The time by the clock of the file server, which file times are of; this machine's where it may not write there.

    In seconds since 1970.
    """
    try:
        return server_time(root)
    except OSError:
        return datetime.now(UTC).timestamp()


def status(plans: list[Plan]) -> dict[str, Any]:
    """State of every job of plans that share a results folder, ready for JSON, see :func:`summary`."""
    studies, now = jobs_of(plans), now_in(Path(plans[0].root))
    for job in each(studies):
        job.look(now)
    return summary(plans[0].root, studies, now)


def summary(root: str, studies: dict[str, list[Job]], now: float) -> dict[str, Any]:
    """What was found of the jobs of studies, ready for JSON.

    Returns:
        ``results`` (the folder), ``time``, ``studies`` (name to command to state to number of jobs), ``running`` and
        ``failed``: of each such job ``command``, ``job`` (its place), ``log`` and what :func:`joblog.read` tells, with
        ``seconds_left`` from now on.
    """
    counted: dict[str, dict[str, dict[str, int]]] = {}
    for study, jobs in studies.items():
        counts = counted[study] = {}
        for job in jobs:
            counts.setdefault(job.command, dict.fromkeys(STATES, 0))[job.state] += 1
    jobs = each(studies)
    listed = {state: [job.about() for job in jobs if job.state == state] for state in ("running", "failed")}
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return {"results": root, "time": time, "studies": counted, **listed}


def _log(plan: Plan, command: str, names: dict[str, Any]) -> str:
    return f"{plan.root}/{LOGS}/{PLACES[command].log.format_map(names)}.log"


def render(found: dict[str, Any]) -> str:
    """:func:`status` for people."""
    lines = []
    for study, commands in found["studies"].items():
        lines += [*table(study, commands), ""]
    for state in filter(found.get, ("running", "failed")):
        lines.append(f"{state.capitalize()}:")
        for job in found[state][:SHOWN]:
            lines.append(f"  {title(job)}: {', '.join(facts(job))}")
            lines += [f"    | {line}" for line in job.get("lines", [])]
        more = len(found[state]) - SHOWN
        lines += [f"  … and {more} more (--json lists all)"] * (more > 0) + [""]
    return "\n".join(map(plain, lines)).rstrip() + "\n"


def plain(line: str) -> str:
    """A line as a terminal may show it: what a log holds cannot move the cursor, or pass for something else."""
    return "".join(character if character.isprintable() else "?" for character in line.expandtabs(4))


def table(study: str, commands: dict[str, dict[str, int]]) -> Iterator[str]:
    """The lines of a study's table: how many jobs of each command are in each state."""
    yield f"{'study ' + study:<24}" + "".join(f"{state:>9}" for state in STATES)
    for command, states in commands.items():
        yield f"  {command:<22}" + "".join(f"{states[state] or '·':>9}" for state in STATES)


def title(job: dict[str, Any]) -> str:
    """What a job is called."""
    return f"{job['command']} {job['job'].partition('/')[2]}"


def facts(job: dict[str, Any]) -> Iterator[str]:
    """How far a job is and how fast, where it is or was, and when it was heard of last."""
    yield from pace(job).values()
    yield from whereabouts(job)
    if job["state"] == "failed":
        yield f"{timedelta(seconds=job['silent'])} ago"
        yield f"log {job['log']}"


def pace(job: dict[str, Any]) -> dict[str, str]:
    """How far a training is and how fast, as far as it said so."""
    told = {}
    if "step" in job:
        told["epoch"] = f"epoch {job['epoch'] + 1} of {job['epochs']}, step {job['step']} of {job['steps']}"
    elif "epoch" in job:
        told["epoch"] = f"epoch {job['epoch']} of {job['epochs']}"
    if job["state"] != "running":
        return told
    if "images_per_second" in job:
        told["speed"] = speed(job["images_per_second"])
    if "seconds_left" in job:
        told["left"] = f"about {length(job['seconds_left'])} left"
    if "gpu_mb" in job:
        told["gpu"] = f"{job['gpu_mb']:,.0f} MB of GPU memory"
    return told


def whereabouts(job: dict[str, Any]) -> Iterator[str]:
    """Where a job is or was, and since when."""
    if "host" in job:
        yield f"SLURM job {job['slurm_job']}" if job.get("slurm_job") else f"process {job['pid']}"
        yield f"on {job['host']}"
        yield f"started {job['started']}"


def speed(rate: float) -> str:
    """Images a second, for people."""
    return f"{rate:,.{0 if rate >= 10 else 1}f} images/s"
