"""What a results folder tells besides its numbers: what was audited, what ran where, what it took, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from .. import places
from ..errors import UserError
from ..provenance.audit import shortened
from ..provenance.evidence import Results

AUDITED = f"{places.AUDIT}/report.json"


class Audit(NamedTuple):
    """What the last audit said of a study.

    Attributes:
        summary: such as "19 pass, 0 fail, 0 unknown"; None where it was not audited.
        passed: whether no check failed.
        open_: checks that did not pass: id, verdict, title and evidence.
        stale: whether its numbers have changed since.
        studies: those that it was about, together.
    """

    summary: str | None
    passed: bool
    open_: list[dict[str, Any]]
    stale: bool
    studies: tuple[str, ...]


NOT_AUDITED = Audit(None, False, [], False, ())


def audit(results: Results, study: str) -> Audit:
    """The verdict of the last audit on a study."""
    try:
        told = results.json(AUDITED)
        if study not in told["studies"]:
            return NOT_AUDITED
        fields = ("id", "verdict", "title", "evidence")
        open_ = [{key: check[key] for key in fields} for check in told["checks"] if check["verdict"] != "pass"]
        failed = any(check["verdict"] != "unknown" for check in open_)
        for check in open_:
            check["evidence"] = shortened([*map(str, check["evidence"])])
        changed = told["ledgers"].get(study) != results.sha256(places.of_study(study, "cells"))
        return Audit(str(told["summary"]), not failed, open_, changed, tuple(map(str, told["studies"])))
    except (UserError, KeyError, TypeError, AttributeError):  # of another version, or edited
        return NOT_AUDITED


class Cost(NamedTuple):
    """What the jobs of one command took, by their manifests."""

    command: str
    jobs: int
    seconds: float
    longest: float


def costs(manifests: Iterable[Mapping[str, Any]]) -> list[Cost]:
    """What all jobs behind a study took, the longest command first."""
    took: dict[str, list[float]] = {}
    for manifest in manifests:
        started, ended = (datetime.fromisoformat(manifest[key]) for key in ("started", "ended"))
        took.setdefault(manifest["command"], []).append((ended - started).total_seconds())
    made = [Cost(command, len(of), sum(of), max(of)) for command, of in took.items()]
    return sorted(made, key=lambda cost: -cost.seconds)


def behind(results: Results, study: str) -> list[dict[str, Any]]:
    """The manifests of the jobs behind a study, as its chain lists them; those that are there.

    Raises:
        UserError: no chain, or none that can be read.
    """
    listed = results.chain(study)
    return [results.manifests[path] for path in listed if path in results.manifests]


def environment(manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where the jobs ran and with what, in a few lines: the most frequent first, and how many jobs had it."""
    machines, packages, commits = Counter(), Counter(), Counter()
    for manifest in manifests:
        machine, versions = manifest["machine"], manifest["environment"]["packages"]
        where = [machine.get(key) for key in ("system", "processor", "gpu")]
        machines[", ".join(str(part) for part in where if part)] += 1
        python = f"Python {manifest['environment'].get('python')}"
        told = [f"{name} {versions[name]}" for name in ("torch", "numpy", "pyarrow") if name in versions]
        packages[", ".join([python, *told])] += 1
        code = manifest["code"]
        commits[f"{code.get('commit') or 'no commit'}{', changed' * bool(code.get('dirty'))}"] += 1
    lines = []
    for what, counted in (("machine", machines), ("packages", packages), ("code", commits)):
        lines += [f"{what}: {text} ({jobs:,} jobs)" for text, jobs in counted.most_common(3)]
    return lines


def missing(plans: list[Any]) -> dict[str, list[str]]:
    """By study, how many of its jobs are not done, or were done otherwise than today's plan; empty where none is."""
    from ..outdated import Outdated  # which read YAML
    from ..status import each, jobs_of, now_in

    studies, now = jobs_of(plans), now_in(Path(plans[0].root))
    of_plan, why = {id(plan): Outdated(plan) for plan in plans}, {}
    for job in each(studies):
        job.look(now)
        why[job] = of_plan[id(job.plan)].why(job.command, job.names) if job.state == "done" else ""
    told = {}
    for study, jobs in studies.items():
        of = Counter((job.command, job.state) for job in jobs)
        total = Counter(job.command for job in jobs)
        told[study] = [
            f"{command}: {count} of {total[command]} {state}"
            for (command, state), count in of.items()
            if state != "done"
        ]
        old = Counter((job.command, why[job]) for job in jobs if why[job])
        told[study] += [
            f"{command}: {count} of {total[command]} old, as {reason}" for (command, reason), count in old.items()
        ]
    return told
