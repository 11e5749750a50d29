"""The checks of configuration, code, environment and machine (A07 to A11, A15)."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from .. import closure, commands
from ..contracts import of_set
from ..io import canonical_json
from ..places import diff, of_study
from ..registry import location
from . import configured
from .findings import Finding, Job, Scope, each, fail, unknown, where
from .manifest import unpinned

LOCK = "requirements.lock"

# -- A07 ---------------------------------------------------------------------------------------------------------------


def configurations_agree(scope: Scope) -> Iterator[Finding]:
    """A07: each job ran with what its study defines, and what the configuration says now."""
    yield from each(scope.studies, lambda study: _as_the_study_says(scope, study), lambda s: of_study(s, "config"))
    yield from each(scope.studies, lambda study: _as_configured_now(scope, study), lambda s: of_study(s, "config"))


def _differences(place: str, found: Any, expected: Any) -> Iterator[Finding]:
    """The keys in which two configurations differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            yield from _differences(f"{place}.{key}", found.get(key), expected.get(key))
    elif canonical_json(found) != canonical_json(expected):
        yield fail(place, canonical_json(found), canonical_json(expected))


def _as_the_study_says(scope: Scope, study: str) -> Iterator[Finding]:
    config = scope.results.study_config(study)
    jobs = scope.of_study(study, "data", "split", "label", "train", "evaluate", "references", "study")
    for job in jobs:
        yield from _differences(f"{job.path} config", job.manifest["config"], _defined(config, job))


def _defined(config: dict[str, Any], job: Job) -> dict[str, Any]:
    """What a study's ``config.json`` says of a job's configuration; what it does not say is taken as it ran."""
    names = job.names
    match job.manifest["command"]:
        case "data":
            return config["datasets"][names["dataset"]]["description"]
        case "split":
            return {"split": config["splits"][names["split"]], "seed": int(names["seed"])}
        case "label":
            return {"label": config["labels"][names["label"]], "draw": names["draw"]}
        case "train":
            return {"recipe": config["recipes"][names["recipe"]], "seed": int(names["seed"])}
        case "evaluate" | "references" as command:
            metrics = of_set(names["metrics"], config["metric_options"])
            seed = {"seed": int(names["seed"])} if command == "references" else {}
            return {**job.manifest["config"], "set": names["metrics"], "metrics": metrics, **seed}
        case "study":
            return config
    return job.manifest["config"]


def _as_configured_now(scope: Scope, study: str) -> Iterator[Finding]:
    try:
        _, plan = configured.plan_of(scope.results, study, scope.configfile)
    except configured.Absent as reason:
        yield unknown(f"{study} was not compared with the configuration of today: {reason}")
        return
    chain = scope.results.chain(study)
    jobs = [job for job in scope.jobs if job.path in chain or job.names.get("study") == study]
    yield from each(jobs, lambda job: _as_planned(plan, job), where)


def _as_planned(plan: Any, job: Job) -> Iterator[Finding]:
    now = plan.of(job.manifest["command"], **job.names)
    yield from _differences(f"{job.path} config", job.manifest["config"], now)


# -- A08 ---------------------------------------------------------------------------------------------------------------


def code_is_unchanged(scope: Scope) -> Iterator[Finding]:
    """A08: the code that ran is the code that is here, comments and docstrings aside."""
    yield from each(scope.jobs, _code, where)
    yield from each(scope.studies, lambda study: _metric_code(scope, study), lambda s: of_study(s, "cells"))


def _code(job: Job) -> Iterator[Finding]:
    code = job.manifest["code"]
    ran = {
        f"{module}:{name}": digest
        for module, definitions in code["definitions"].items()
        for name, digest in definitions.items()
    }
    if (digest := closure.hash_of(ran)) != code["sha256"]:
        yield fail(f"{job.path} code.sha256", code["sha256"], f"{digest}, that of its definitions")
    now = closure.closure(commands.entries(job.manifest["command"], job.manifest["config"])).definitions
    now = {place: digest[: closure.DIGITS] for place, digest in now.items()}
    for place in sorted(ran.keys() | now.keys()):
        if ran.get(place) != now.get(place):
            yield fail(f"{job.path} code of {place}", ran.get(place, "not run"), f"{now.get(place, 'not reached')} now")


def _metric_code(scope: Scope, study: str) -> Iterator[Finding]:
    rows = scope.results.cells(study).select(["metric", "metric_code"]).to_pylist()
    options = scope.results.study_config(study)["metric_options"]
    for metric, code in sorted({(row["metric"], row["metric_code"]) for row in rows if row["metric_code"]}):
        now = closure.code_hash([":".join(location("metric", options[metric]["kind"]))])
        if code != now:
            yield fail(f"{of_study(study, 'cells')} code of {metric}", code, f"{now} now")


# -- A09, A10, A11: what one table's runs must share -----------------------------------------------------------------


def _agree(jobs: list[Job], facts: Callable[[Job], dict[str, Any]]) -> Iterator[Finding]:
    """A fail for each fact that is not the same in all jobs that tell it: the odd one, and the one of the most."""
    told: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        for name, value in facts(job).items():
            told[name][canonical_json(value)].append(job.path)
    for name, values in sorted(told.items()):
        most = max(values, key=lambda value: len(values[value]))
        for value, paths in sorted(values.items()):
            if value != most:
                more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
                yield fail(f"{paths[0]}{more} {name}", value, f"{most} as in {len(values[most])} others")


def packages_are_pinned(scope: Scope) -> Iterator[Finding]:
    """A09: the packages that ran are those of the lock file, and the same for all jobs of a table."""
    yield from each(scope.jobs, _pinned, where)
    yield from each(
        scope.studies,
        lambda study: _agree(scope.of_study(study, *commands.COMMANDS), _environment),
        lambda s: of_study(s, "chain"),
    )


def _environment(job: Job) -> dict[str, Any]:
    """What ran; not the hash of the lock file, which also changes with packages that no job loads."""
    environment = job.manifest["environment"]
    return {**environment["packages"], "python": environment.get("python")}


def _pinned(job: Job) -> Iterator[Finding]:
    pins = job.manifest["environment"].get("pins")
    different = dict(pins["different"]) if pins else {}
    lock = configured.REPOSITORY / LOCK
    if lock.is_file():
        different |= unpinned(job.manifest["environment"]["packages"], lock.read_text(encoding="utf-8"))
    elif pins is None:
        yield unknown(f"{job.path}: there was no lock file when it ran, and there is none here")
    else:
        yield unknown(f"there is no {LOCK} here to compare the packages with")
    for name, (ran, pinned) in sorted(different.items()):
        yield fail(f"{job.path} {name}", ran, f"{pinned} as in {LOCK}")


def modules_are_ours(scope: Scope) -> Iterator[Finding]:
    """A10: every module that ran came from Python, the environment or this package."""
    for job in scope.jobs:
        if job.manifest["environment"]["foreign_modules"]:
            yield fail(
                f"{job.path} foreign_modules",
                ", ".join(map(str, job.manifest["environment"]["foreign_modules"])),
                "none",
            )


def machines_are_alike(scope: Scope) -> Iterator[Finding]:
    """A11: the trainings of a table ran on the same kind of GPU, with the same driver, torch and determinism."""
    yield from each(
        scope.studies,
        lambda study: _agree(scope.of_study(study, "train"), _hardware),
        lambda s: of_study(s, "chain"),
    )
    yield from each(scope.of("train"), _deterministic, where)


def _hardware(job: Job) -> dict[str, Any]:
    machine = {key: job.manifest["machine"].get(key) for key in ("gpu", "driver", "cuda", "cudnn")}
    return {
        **machine,
        "torch": job.manifest["environment"]["packages"].get("torch"),
        **(job.manifest["determinism"] or {}),
    }


def _deterministic(job: Job) -> Iterator[Finding]:
    settings = job.manifest["determinism"]
    if settings is None:
        yield unknown(f"{job.path}: says nothing of torch's settings")
        return
    for key, due in (("deterministic_algorithms", True), ("cudnn_benchmark", False)):
        if settings[key] is not due:
            yield fail(f"{job.path} determinism.{key}", settings[key], due)


# -- A15 ---------------------------------------------------------------------------------------------------------------


def commits_are_known(scope: Scope) -> Iterator[Finding]:
    """A15: the code that ran is a commit of this repository, and what differed from it is archived."""
    commits: dict[str, list[Job]] = defaultdict(list)
    nowhere = [job for job in scope.jobs if not job.manifest["code"].get("commit")]
    if nowhere:
        yield unknown(f"{nowhere[0].path}: ran outside of git ({len(nowhere)} such jobs)")
    for job in scope.jobs:
        if job.manifest["code"].get("commit"):
            commits[job.manifest["code"]["commit"]].append(job)
    for commit, jobs in sorted(commits.items()):
        known = _known(commit)
        if known is None:
            yield unknown(f"commit {commit}: there is no git repository here to look in")
        elif not known:
            yield fail(f"{jobs[0].path} code.commit", commit, "a commit of this repository")
    yield from each(scope.jobs, lambda job: _archived(scope, job), where)


def _known(commit: str) -> bool | None:
    """Whether git knows a commit; None without git, or outside of a repository."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return False
    if not (configured.REPOSITORY / ".git").exists():
        return None
    git = ["git", "-C", str(configured.REPOSITORY), "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        return subprocess.run(git, check=False, capture_output=True).returncode == 0
    except OSError:
        return None


def _archived(scope: Scope, job: Job) -> Iterator[Finding]:
    code = job.manifest["code"]
    if not code.get("dirty"):
        return
    if not re.fullmatch(r"[0-9a-f]{64}", str(code.get("diff"))):
        yield fail(f"{job.path} code.diff", code.get("diff"), "the hash of what differed from the commit")
        return
    path = diff(code["diff"])
    if scope.results.sha256(path) != code["diff"]:
        yield fail(path, f"sha256 {scope.results.sha256(path)}", f"{code['diff']} as {job.path} says")
