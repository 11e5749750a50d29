"""`softlabels run`: the workflow from one command, also after a crash."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from platformdirs import user_cache_dir

from . import io, locks, places, slurm, stopping
from .commands import ADOPTED, COMMANDS, FITTED, maker
from .config import overridden, read
from .errors import UserError
from .plan import Plan
from .resources import extent
from .varied import values_of

LOCKS = Path(places.SNAKEMAKE, "locks")
HEAD = Path(places.SNAKEMAKE, "head.json")  # beside the lock: both belong to the folder, whatever `results` says
TERMINATION_SECONDS = 60
# Options of Snakemake with which it runs no jobs, or not all.
NOT_RUN = {"-n", "-np", "--dry-run", "--dryrun", "--unlock", "--summary", "--list", "--lint", "--dag", "--rulegraph",
           "--touch", "--until", "--omit-from", "--delete-all-output"}  # fmt: skip


def record_head(head: dict[str, Any]) -> None:
    """Note who runs the workflow here: another host's lock is removed only if that was a SLURM job that has ended."""
    io.write_json(HEAD, head)


def run(cores: str, configfile: Path, overrides: list[str], rest: list[str], report: bool = True) -> int:
    """Say what will run, clear what a killed run left behind, then prepare the data, run everything, audit and report.

    Two invocations, because Snakemake plans all descendants of a job that runs; between two invocations, a data set,
    label or split that was rebuilt to the same bytes leaves the trainings alone.

    The arguments are Snakemake's options ``--cores``, ``--configfile``, ``--config`` (``key=value`` pairs) and further
    ones; returns its exit status.

    Raises:
        stopping.Stopped: by SIGTERM or Ctrl-C.
        UserError: a wrong configuration, no cluster, or none with nodes that are large enough, a home folder that is
            full, a workflow that runs here already, a lock of another host, or links in the results folder.
    """
    plan = Plan(overridden(read(configfile), overrides))
    config = plan.config
    io.refuse_links(config["results"])
    if on_slurm := slurm.asked_for(rest):
        slurm.require_nodes(plan, cores, rest)
    _require_cache()
    print(announcement(plan), f"Results: {Path(config['results']).resolve()}", sep="\n", file=sys.stderr, flush=True)
    lock = Path(config["results"], places.AT_WORK)
    with locks.held(lock, "A run is at work in this folder already", "Wait until it is done, or stop it."):
        _clear_leftovers(on_slurm)
        options = ["--snakefile", str(places.SNAKEFILE), "--cores", cores, "--configfile", str(configfile)]
        if not slurm.profiles_of(rest):  # or Snakemake would take one of the folder where one stands
            options += ["--workflow-profile", str(places.PROFILE)]
        options += ["--config", *overrides] if overrides else []
        for targets in (["prepare"], []):
            status = 1  # unless it ends by itself
            try:
                # What takes several values comes last: a target before it is not read as one of them.
                status = _snakemake([sys.executable, "-Pm", "snakemake", *targets, *rest, *options])
            finally:
                # Interrupted, Snakemake cancels the jobs that it has submitted, and submits those that wait for that.
                if status:
                    slurm.end_orphans(Path.cwd(), certain=on_slurm)
            if status:
                print(f"softlabels: {_reason(status)} Run the same command again to go on from there.", file=sys.stderr)
                return status
        if NOT_RUN & set(rest):  # tables that are there are not of this run
            return 0
        tables = {study: Path(plan.root, places.of_study(study, "table_md")) for study in config["studies"]}
        made = [study for study, table in tables.items() if table.is_file()]  # Snakemake may be asked for other files
        for study in made:
            print(f"Table and figures: {tables[study]}", file=sys.stderr)
        if report and made:
            _audit_and_report(plan, made, configfile, overrides)
    return 0


def _audit_and_report(plan: Plan, studies: list[str], configfile: Path, overrides: list[str]) -> None:
    """Audit the studies of a run and write the page that shows them; what the audit found stands on the page."""
    from .provenance.audit import FAIL, audit, summary, write_report
    from .report.page import write

    root = Path(plan.root)
    print("Auditing …", file=sys.stderr, flush=True)
    verdicts = audit(root, studies, configfile=configfile, overrides=overrides)
    write_report(root, studies, verdicts)
    print(f"Audit: {summary(verdicts)} ({root / places.AUDIT / 'report.md'})", file=sys.stderr, flush=True)
    for verdict in (verdict for verdict in verdicts if verdict.verdict == FAIL):
        print(f"  {verdict.id}: {verdict.title}: {'; '.join(verdict.evidence[:3])}", file=sys.stderr)
    page = write(root, images=plan.config["report"]["images"] == "thumbnails", plans=[plan])
    print(f"Page: {page}", file=sys.stderr)


def _reason(status: int) -> str:
    """Why Snakemake stopped."""
    if status < 0:
        return f"the run stopped, as Snakemake was ended by {signal.Signals(-status).name}."
    return "the run stopped. The reason stands above, and in the log file that the failed job names."


def _snakemake(command: list[str]) -> int:
    """Run Snakemake and return its exit status. After Ctrl-C it is not hurried: it cancels its jobs on a cluster.

    SIGTERM is passed on: Snakemake submits nothing more and ends when its jobs have.

    Raises:
        stopping.Stopped: somebody asked for it, and Snakemake has ended.
    """
    asked: list[str] = []
    with subprocess.Popen(command) as process:

        def terminate(number: int, frame: Any) -> None:
            asked.append("SIGTERM")
            process.terminate()

        before = signal.signal(signal.SIGTERM, terminate)
        try:
            while process.returncode is None:
                try:
                    process.wait()
                except KeyboardInterrupt:
                    asked.append("Ctrl-C")
                    print("softlabels: waiting until Snakemake has stopped.", file=sys.stderr)
        finally:
            signal.signal(signal.SIGTERM, before)
    if asked:
        raise stopping.Stopped(f"the run was stopped by {asked[0]}")
    return process.returncode


def _require_cache() -> None:
    """Snakemake copies its sources to the home folder; where that is full or read-only, it ends with a traceback."""
    folder = Path(user_cache_dir("snakemake"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(100_000))
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror}. Snakemake keeps copies of its sources there: free some space, or set "
            f"XDG_CACHE_HOME to a folder on another file system. Then run again."
        ) from None


def announcement(plan: Plan) -> str:
    """What a configuration will run, and about how long (its ``about``)."""
    lines, config = [], plan.config
    for name, study in config["studies"].items():
        recipes = ", ".join(_shown(config["recipes"][recipe]) for recipe in study["recipes"])
        varied = "".join(f"; {key} {', '.join(values)}" for key, values in values_of(config.grids[name]).items())
        lines.append(
            f"Study {name}: {extent(plan, name)} ({' and '.join(study['labels'])} labels of "
            f"{', '.join(study['datasets'])}, {len(study['seeds'])} seeds; {recipes}{varied}), then evaluation, "
            f"{'t-SNE, ' if plan.embeds(name) else ''}tables and figures. What is finished already, "
            f"and up to date, is not run again."
        )
    return "\n".join([*lines, config["about"]] if config["about"] else lines)


def _shown(recipe: dict[str, Any]) -> str:
    """What a recipe is, in a few words."""
    if maker(recipe) == ADOPTED:
        return "predictions made elsewhere"
    if maker(recipe) == FITTED:
        network = recipe["network"]
        return f"linear heads on the features of a frozen {network.get('name', network['kind'])}"
    return "{network[kind]} for {epochs} epochs on {device}".format_map(recipe)


def _clear_leftovers(on_slurm: bool) -> None:
    """After a killed run: end its orphaned jobs, here and on SLURM (a training saves its state), remove its lock."""
    orphans, heads = _processes_here()
    if heads:
        raise UserError(
            f"Snakemake is at work in this folder already (process {heads[0].pid}). Wait until it is done, or stop it."
        )
    locked = LOCKS.is_dir() and any(LOCKS.iterdir())
    head = io.read_json(HEAD) if HEAD.is_file() else {}
    elsewhere = head.get("host", socket.gethostname()) != socket.gethostname()
    if (orphans or locked) and elsewhere and locks.job_at_work(head) is not False:
        raise UserError(
            f"A run on host {head['host']} (process {head['pid']}) holds the lock of this folder. If it is still "
            f"alive, wait; if it was killed, run `snakemake --unlock` there or here, then run this again."
        )
    slurm.end_orphans(Path.cwd(), certain=on_slurm)  # first: they may be processes of this host too
    orphans = [orphan for orphan in orphans if orphan.is_running()]
    for orphan in orphans:
        print(f"A job of a killed run is still at work (process {orphan.pid}): ending it.", file=sys.stderr)
        with suppress(psutil.NoSuchProcess):
            orphan.terminate()
    for orphan in psutil.wait_procs(orphans, timeout=TERMINATION_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            orphan.kill()
    if locked:
        print("Removing the lock that a killed run left behind (.snakemake/locks).", file=sys.stderr)
        shutil.rmtree(LOCKS)


def _processes_here() -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Jobs without a living Snakemake above them, and living Snakemakes, among this host's processes in this folder."""
    here, own = Path.cwd(), {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    jobs, heads = [], []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words, cwd = process.info["cmdline"] or [], process.info["cwd"]
        if process.pid in own or cwd is None or Path(cwd) != here:
            continue
        names = [Path(word).name for word in words[:5]]
        if "snakemake" in names[:4]:
            if "--target-jobs" not in words:  # not the Snakemake that a head starts in its jobs on a cluster
                heads.append(process)
        elif any(name == "softlabels" and command in COMMANDS for name, command in pairwise(names)):
            jobs.append(process)
    live = {head.pid for head in heads}
    return [job for job in jobs if not live & _parents(job)], heads


def _parents(process: psutil.Process) -> set[int]:
    try:
        return {parent.pid for parent in process.parents()}
    except psutil.NoSuchProcess:
        return set()
