"""SLURM from where Snakemake runs: is it here, do its nodes suffice, and what did a killed Snakemake leave behind?"""

from __future__ import annotations

import argparse
import getpass
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from . import resources
from .commands import COMMANDS
from .config import read
from .errors import Problems, UserError
from .places import REPOSITORY
from .plan import Plan
from .varied import SECTIONS, named

# Snakemake's executor gives each of its jobs a comment that begins so.
COMMENT = "rule_"
# A cancelled job may take SLURM's KillWait (30 s unless set otherwise) to save its state.
ENDING_SECONDS = 180
ANSWER_TRIES, ANSWER_PAUSE_SECONDS = 5, 10


class Options(NamedTuple):
    """What Snakemake is told of where and how jobs run: by its options, and by the profile that they name."""

    profile: str
    executor: str | None
    limits: dict[str, Any] | None  # of resources in use at once, if the command line says them
    defaults: dict[str, Any]  # resources of rules that do not say
    set: dict[str, dict[str, Any]]  # resources by rule, in place of what the rule says


def _asked(options: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--executor", "-e")
    parser.add_argument("--workflow-profile", type=Path)
    parser.add_argument("--default-resources", "--default-res", nargs="*")
    parser.add_argument("--set-resources", nargs="+")
    parser.add_argument("--resources", "--res", nargs="*")
    return parser.parse_known_args(options)[0]


def profiles_of(options: list[str]) -> list[Path]:
    """Where Snakemake looks for the workflow profile that its options name; none where they name none."""
    named = _asked(options).workflow_profile
    folders = [named, Path("profiles", named), REPOSITORY / "profiles" / named] if named else []
    return [folder / "profile.yaml" for folder in folders]


def told(options: list[str]) -> Options:
    """Read Snakemake's options; on the command line they replace the profile's as Snakemake does it."""
    asked = _asked(options)
    file = next(filter(Path.is_file, profiles_of(options)), None)
    profile = read(file) if file else {}
    defaults = asked.default_resources if asked.default_resources is not None else profile.get("default-resources")
    of_rules: dict[str, dict[str, Any]] = {}
    for key, value in _pairs(asked.set_resources if asked.set_resources is not None else profile.get("set-resources")):
        rule, _, name = key.partition(":")
        of_rules.setdefault(rule, {}).update({name: value} if name else dict(_pairs(value)))
    executor = asked.executor or profile.get("executor")
    limits = None if asked.resources is None else dict(_pairs(asked.resources))
    place = str(asked.workflow_profile or "--executor slurm")
    return Options(place, executor, limits, dict(_pairs(defaults)), of_rules)


def _pairs(value: Any) -> list[tuple[str, Any]]:
    """Keys and values of a mapping, or of a list of ``key=value``."""
    if isinstance(value, dict):
        return list(value.items())
    texts = [text.partition("=") for text in value or [] if isinstance(text, str)] if isinstance(value, list) else []
    return [(key, text) for key, _, text in texts]


def asked_for(options: list[str]) -> bool:
    """Do Snakemake's options ask for SLURM?

    Raises:
        UserError: they do, and there is none here; or jobs of a group could not follow each other.
    """
    asked = told(options)
    if asked.executor == "slurm" and asked.limits is not None and "in_turn" not in asked.limits:
        raise UserError(
            "--resources: replaces the profile's line, without whose in_turn=1 the small jobs of a group ask for the "
            "sum of their CPUs and memory. Add in_turn=1 to the option."
        )
    if asked.executor == "slurm" and not shutil.which("sbatch"):
        raise UserError(
            f"{asked.profile}: submits jobs to SLURM, but there is no sbatch here. Run this on a login node of the "
            f"cluster, or without that option on this machine alone."
        )
    return asked.executor == "slurm"


class Node(NamedTuple):
    """One kind of node in a partition; ``minutes`` is the partition's limit, infinite where it has none."""

    partition: str
    default: bool
    mem_mb: int
    threads: int
    minutes: float
    gpu: int


LACKS = {  # what a job asks for, in words: asked for, and what the largest node has
    "gpu": ("{} GPU", "{} GPU"),
    "threads": ("{} CPU", "{} CPU"),
    "mem_mb": ("{} MB of memory", "{} MB"),
    "minutes": ("{} minutes", "a limit of {} minutes"),
}


def nodes() -> list[Node]:
    """What ``sinfo`` says of the cluster's nodes; nothing where it does not answer."""
    words = ["sinfo", "--noheader", "--exact", "--format", "%P|%m|%c|%l|%G"]
    try:
        listing = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for line in listing.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 5 and all(re.fullmatch(r"\d+\+?", field) for field in fields[1:3]):
            name, memory, processors, limit, generic = fields
            gpus = sum(map(int, re.findall(r"gpu:(?:[^:,()]+:)?(\d+)", generic)))
            sizes = (int(memory.rstrip("+")), int(processors.rstrip("+")), minutes(limit), gpus)
            found.append(Node(name.rstrip("*"), name.endswith("*"), *sizes))
    return found


def minutes(limit: str) -> float:
    """A time limit of SLURM (``30:00``, ``2:00:00``, ``1-00:00:00``) in minutes; infinite where there is none."""
    parts = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not parts:
        return math.inf
    days, hours, rest, seconds = (int(part or 0) for part in parts.groups())
    return days * 1440 + hours * 60 + rest + seconds / 60


def require_nodes(plan: Plan, cores: str, options: list[str]) -> None:
    """Refuse what no node could run in a first attempt, before anything is submitted; silent where SLURM does not say.

    Args:
        plan: the grid.
        cores: a number, the most CPUs of a job, or ``all``.
        options: Snakemake's, which may replace what rules ask for. What they say as an expression is not checked.

    Raises:
        UserError: all rules that ask for too much, each with what the largest node has and the key to lower.
    """
    there, asked, problems = nodes(), told(options), Problems()
    most_threads = int(cores) if cores.isdecimal() else math.inf
    for command in COMMANDS if there else ():
        replaced = {key: _number(value) for key, value in asked.set.get(command, {}).items()}
        replaced["minutes"] = replaced.pop("runtime", None)
        replaced = {key: replaced[key] for key in LACKS if replaced.get(key) is not None}
        where, allowed = _partitions(there, {**asked.defaults, **asked.set.get(command, {})}.get("slurm_partition"))
        worst: dict[str, tuple[float, float, dict[str, Any]]] = {}  # resource: asked for, what there is, whose job
        for amounts, names in _requests(plan, command, most_threads, replaced).items():
            fitting = allowed
            for resource, amount in zip(LACKS, amounts, strict=True):
                enough = [node for node in fitting if getattr(node, resource) >= amount]
                if not enough:
                    most = max(getattr(node, resource) for node in fitting)
                    worst[resource] = max(worst.get(resource, (0,)), (amount, most, names), key=lambda one: one[0])
                    break
                fitting = enough
        for resource, (amount, most, names) in worst.items():
            wanted, largest = LACKS[resource]
            key = "runtime" if resource == "minutes" else resource
            here = f"lower set-resources: {command}: {key} of {asked.profile}"
            change = here if resource in replaced else resources.lever(command, resource, names)
            for section, name in ((SECTIONS.get(axis), name) for axis, name in names.items()):
                change = change.replace(f"{section}.{name}.", f"{named(f'{section}.{name}', plan.config.origins)}.")
            job = ", ".join(f"{axis} {value}" for axis, value in names.items() if axis not in ("seed", "draw"))
            problems.add(
                f"Rule {command} ({job}) asks for {wanted.format(f'{amount:g}')}, the largest node of {where} that "
                f"would do otherwise has {largest.format(f'{most:g}')}: {change}, or name another partition "
                f"(set-resources: {command}: slurm_partition)."
            )
    problems.stop()


def _requests(
    plan: Plan, command: str, most_threads: float, replaced: dict[str, float]
) -> dict[tuple[float, ...], dict[str, Any]]:
    """The different requests of a command's jobs in their first attempt, in the order of ``LACKS``: a job of each."""
    found: dict[tuple[float, ...], dict[str, Any]] = {}
    for study in plan.config["studies"]:
        for _, names in plan.jobs(study, command):
            amounts = {**_asks(plan, command, names), **replaced}
            amounts["threads"] = min(amounts["threads"], most_threads)
            found.setdefault(tuple(amounts[resource] for resource in LACKS), names)
    return found


def _asks(plan: Plan, command: str, names: dict[str, Any]) -> dict[str, int]:
    """All that a job asks for in its first attempt."""
    threads, gpu = plan.asks(command, names)
    return resources.of(plan, command, **names) | {"threads": threads, "gpu": int(gpu)}


def _number(value: Any) -> float:
    """What a profile says of a first attempt: ``8000`` or ``attempt * 8000``; 0 where it says it otherwise."""
    found = re.fullmatch(r"\s*(?:attempt\s*\*\s*)?(\d+)(?:\s*\*\s*attempt)?\s*", str(value))
    return int(found[1]) if found else 0


def _partitions(there: list[Node], named: Any) -> tuple[str, list[Node]]:
    """Where a job may run, in words, and the nodes there: everywhere, where an expression says it."""
    names = str(named).strip("'\"").split(",") if named else [node.partition for node in there if node.default]
    chosen = [node for node in there if node.partition in names]
    return (f"partition {', '.join(dict.fromkeys(names))}", chosen) if chosen else ("the cluster", there)


def end_orphans(folder: Path, *, certain: bool) -> None:
    """Cancel the jobs that Snakemake submitted from ``folder``, and wait until they are gone.

    For a folder in which no Snakemake is at work. A training saves its state when it is cancelled. Where it is
    ``certain`` that SLURM was used, it has to answer.

    Raises:
        UserError: jobs that do not end, or no answer where there has to be one.
    """
    jobs = orphans(folder, told=certain)
    for _ in range(ANSWER_TRIES - 1 if certain else 0):
        if jobs is None:
            time.sleep(ANSWER_PAUSE_SECONDS)
            jobs = orphans(folder)
    if jobs is None and certain:
        raise UserError(
            "SLURM does not answer (squeue), so that jobs which nobody waits for may still be at work here. Run "
            "this again when `squeue` works."
        )
    if not jobs:
        return
    print(f"SLURM jobs that nobody waits for are in the queue ({', '.join(jobs)}): cancelling them.", file=sys.stderr)
    subprocess.run(["scancel", *jobs], check=False)
    end = time.monotonic() + ENDING_SECONDS
    while (left := orphans(folder)) != []:
        jobs = left or jobs  # where SLURM does not answer, they count as there
        if time.monotonic() > end:
            raise UserError(
                f"SLURM jobs that nobody waits for do not end, {ENDING_SECONDS} s after they were cancelled: "
                f"{', '.join(jobs)}. See `squeue --jobs {','.join(jobs)}`, and run this again when they are gone."
            )
        time.sleep(1)


def orphans(folder: Path, told: bool = True) -> list[str] | None:
    """Numbers of this user's queued and running jobs that Snakemake submitted from ``folder``; None without an answer.

    There are none where there is no SLURM. Why it does not answer is ``told``, or not: squeue may have no cluster.
    """
    if shutil.which("squeue") is None:
        return []
    # The long option's fields would be cut to 20 characters. The folder comes last: it may hold any character.
    words = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%k|%Z"]
    try:
        listing = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        why = f" within {error.timeout} s" if late else f": {error.stderr.strip()}"
        if told:
            print(f"SLURM does not answer{why}.", file=sys.stderr)
        return None
    jobs = [line.split("|", 2) for line in listing.stdout.splitlines()]
    return [
        number
        for number, comment, place in jobs
        if comment.startswith(COMMENT) and place == str(folder) and number != os.environ.get("SLURM_JOB_ID")
    ]
