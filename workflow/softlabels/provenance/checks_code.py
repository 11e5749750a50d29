"""The checks of configuration, code, environment and machine (A07 to A11, A15)."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from .. import closure, commands, places, schema
from ..commands import ADOPTED, ENCODED, FITTED, TRAINED
from ..contracts import metric_of, of_set
from ..io import canonical_json
from ..places import diff, of_study
from ..registry import location
from . import configured
from .findings import Findings, Job, Scope, differs, each, each_job, each_study, elsewhere, fail, unknown, unseen
from .manifest import unpinned

LOCK = "requirements.lock"

# -- A07 ---------------------------------------------------------------------------------------------------------------


def _differences(place: str, found: Any, expected: Any) -> Findings:
    """The keys in which two configurations differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            yield from _differences(f"{place}.{key}", found.get(key), expected.get(key))
    elif canonical_json(found) != canonical_json(expected):
        yield fail(place, canonical_json(found), canonical_json(expected))


# What a study's ``config.json`` says of a job's configuration, by command; of some it says only these keys.
DEFINED: dict[str, Callable[[dict[str, Any], dict[str, str]], dict[str, Any]]] = {
    "data": lambda config, names: config["datasets"][names["dataset"]]["description"],
    "split": lambda config, names: {"split": config["splits"][names["split"]], "seed": _seed(names)},
    "label": lambda config, names: {"label": _without(_label(config, names)), "draw": names["draw"]},
    "train": lambda config, names: (
        {"recipe": config["recipes"][names["recipe"]], "seed": _seed(names)}
        | {key: value for key, value in _label(config, names).items() if key == "delivery"}
    ),
    **dict.fromkeys((ADOPTED, FITTED), lambda config, names: {"recipe": config["recipes"][names["recipe"]]}),
    "evaluate": lambda config, names: _scored(config, names),
    "references": lambda config, names: _scored(config, names) | {"seed": int(names["seed"])},
    "study": lambda config, names: config,
}
IN_PART = ("evaluate", "references", "split")


def _seed(names: dict[str, str]) -> int:
    return int(names["seed"].partition("-")[0])


def _label(config: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A label as commands are told of it."""
    return schema.tracked(config["labels"][names["label"]], schema.section("label"))


def _without(label: dict[str, Any]) -> dict[str, Any]:
    """A label without its delivery, which is the training's."""
    return {key: value for key, value in label.items() if key != "delivery"}


def _scored(config: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {"set": names["metrics"], "metrics": of_set(names["metrics"], config["metric_options"])}


@each_study("config")
def as_the_study_says(scope: Scope, study: str) -> Findings:
    """A07: each job ran with what its study defines."""
    config = scope.results.study_config(study)
    for job in scope.of_study(study, *DEFINED):
        command, ran = job.manifest["command"], job.manifest["config"]
        if any(name not in config[f"{axis}s"] for axis, name in job.names.items() if axis in ("recipe", "label")):
            continue  # behind a label that is made of networks' predictions; what is configured now is compared below
        due = DEFINED[command](config, job.names)
        ran, due = (
            schema.restored(told, schema.of_command()) for told in (ran, ran | due if command in IN_PART else due)
        )
        yield from _differences(f"{job.path} config", ran, due)


@each_study("config")
def as_configured_now(scope: Scope, study: str) -> Findings:
    """A07: each job ran with what the configuration says now."""
    try:
        _, plan = configured.plan_of(scope.results, study, scope.given)
    except configured.Absent as reason:
        yield unseen(f"{study} was not compared with the configuration of today: {reason}")
        return

    def as_planned(job: Job) -> Findings:
        now = plan.of(job.manifest["command"], **job.names)
        yield from _differences(f"{job.path} config", job.manifest["config"], now)

    chain = scope.results.chain(study)
    jobs = [job for job in scope.jobs if job.path in chain or job.names.get("study") == study]
    yield from each(jobs, as_planned, lambda job: job.path)


# -- A08 ---------------------------------------------------------------------------------------------------------------


@each_job()
def code_is_unchanged(scope: Scope, job: Job) -> Findings:
    """A08: the code that ran is the code that is here, comments and docstrings aside."""
    code, command, config = job.manifest["code"], job.manifest["command"], job.manifest["config"]
    ran = {
        f"{module}:{name}": digest
        for module, definitions in code["definitions"].items()
        for name, digest in definitions.items()
    }
    if (digest := closure.hash_of(ran)) != code["sha256"]:
        yield fail(f"{job.path} code.sha256", code["sha256"], f"{digest}, that of its definitions")
    if strangers := scope.strangers(commands.named(command, config)):
        yield unseen(f"{job.path}: {strangers}")
        return
    now = closure.closure(commands.entries(command, config)).definitions
    now = {place: digest[: closure.DIGITS] for place, digest in now.items()}
    for place in sorted(ran.keys() | now.keys()):
        if ran.get(place) != now.get(place):
            yield fail(f"{job.path} code of {place}", ran.get(place, "not run"), f"{now.get(place, 'not reached')} now")


@each_study("cells")
def metric_code_is_unchanged(scope: Scope, study: str) -> Findings:
    """A08: the ledger's metrics are computed by the code that is here."""
    rows = scope.results.cells(study).select(["metric", "metric_code"]).to_pylist()
    options = scope.results.study_config(study)["metric_options"]
    for metric, code in sorted({(row["metric"], row["metric_code"]) for row in rows if row["metric_code"]}):
        metric = metric_of(metric)
        kind = options.get(metric, {"kind": metric})["kind"]
        if strangers := scope.strangers([("metric", kind)]):
            yield unseen(f"{of_study(study, 'cells')}: {strangers}")
            continue
        now = closure.code_hash([":".join(location("metric", kind))])
        yield from differs(f"{of_study(study, 'cells')} code of {metric}", code, now, " now")


# -- A09, A10, A11: what one table's runs must share -----------------------------------------------------------------


def _agree(jobs: list[Job], facts: Callable[[Job], dict[str, Any]]) -> Findings:
    """A fail for each fact that is not the same in all jobs that tell it: the odd one, and the one of the most."""
    told: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        for name, value in facts(job).items():
            told[name][canonical_json(value)].append(job.path)
    for name, values in sorted(told.items()):
        most = max(values, key=lambda value: len(values[value]))
        for value, paths in sorted(values.items()):
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            yield from differs(f"{paths[0]}{more} {name}", value, most, f" as in {len(values[most])} others")


@each_study("chain")
def packages_agree(scope: Scope, study: str) -> Findings:
    """A09: the packages are the same for all jobs of a table.

    Not the hash of the lock file, which also changes with packages that no job loads.
    """

    def versions(job: Job) -> dict[str, Any]:
        environment = job.manifest["environment"]
        return {**environment["packages"], "python": environment.get("python")}

    yield from _agree(scope.of_study(study), versions)


@each_job()
def packages_are_pinned(scope: Scope, job: Job) -> Findings:
    """A09: the packages that ran are those of the lock file."""
    pins = job.manifest["environment"].get("pins")
    different = dict(pins["different"]) if pins else {}
    lock = places.REPOSITORY / LOCK
    if lock.is_file():
        different |= unpinned(job.manifest["environment"]["packages"], lock.read_text(encoding="utf-8"))
    elif pins is None:
        yield unknown(f"{job.path}: there was no lock file when it ran, and there is none here")
    else:
        yield unseen(f"there is no {LOCK} here to compare the packages with")
    for name, (ran, pinned) in sorted(different.items()):
        yield fail(f"{job.path} {name}", ran, f"{pinned} as in {LOCK}")


@each_job()
def modules_are_ours(scope: Scope, job: Job) -> Findings:
    """A10: every module that ran came from Python, the environment, this package, or is hashed with its code."""
    if foreign := job.manifest["environment"]["foreign_modules"]:
        yield fail(f"{job.path} foreign_modules", ", ".join(map(str, foreign)), "none")


@each_study("chain")
def machines_are_alike(scope: Scope, study: str) -> Findings:
    """A11: the trainings of a table ran on the same kind of GPU, with the same driver, torch and determinism."""
    yield from _agree(scope.of_study(study, TRAINED), _hardware)
    yield from _agree(scope.of_study(study, ENCODED), _hardware)
    yield from elsewhere(scope.of_study(study, ADOPTED), "on which machine")


def _hardware(job: Job) -> dict[str, Any]:
    machine = {key: job.manifest["machine"].get(key) for key in ("gpu", "driver", "cuda", "cudnn")}
    torch = {"torch": job.manifest["environment"]["packages"].get("torch")}
    settings = dict(job.manifest["determinism"] or {})
    if settings.get("threads") == job.manifest["config"]["recipe"].get("threads"):
        settings.pop("threads", None)  # as its recipe says, which a study may vary
    return machine | torch | settings


@each_job(TRAINED, ENCODED)
def trainings_are_deterministic(scope: Scope, job: Job) -> Findings:
    """A11: torch was told to be deterministic."""
    settings = job.manifest["determinism"]
    if settings is None:
        yield unknown(f"{job.path}: says nothing of torch's settings")
        return
    for key, due in (("deterministic_algorithms", True), ("cudnn_benchmark", False)):
        if settings[key] is not due:
            yield fail(f"{job.path} determinism.{key}", settings[key], due)


# -- A15 ---------------------------------------------------------------------------------------------------------------


def commits_are_known(scope: Scope) -> Findings:
    """A15: the code that ran is a commit of this repository."""
    commits: dict[str, list[str]] = defaultdict(list)
    for job in scope.jobs:
        commits[job.manifest["code"].get("commit") or ""].append(job.path)
    for commit, paths in sorted(commits.items()):
        known = _known(commit)
        if not commit:
            yield unknown(f"{paths[0]}: ran outside of git ({len(paths)} such jobs)")
        elif known is None:
            yield unseen(f"commit {commit}: there is no git repository here to look in")
        elif not known:
            yield fail(f"{paths[0]} code.commit", commit, "a commit of this repository")


def _known(commit: str) -> bool | None:
    """Whether git knows a commit; None without git, or outside of a repository."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return False
    if not (places.REPOSITORY / ".git").exists():
        return None
    git = ["git", "-C", str(places.REPOSITORY), "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        return subprocess.run(git, check=False, capture_output=True).returncode == 0
    except OSError:
        return None


@each_job()
def changes_are_archived(scope: Scope, job: Job) -> Findings:
    """A15: what differed from the commit is archived."""
    code = job.manifest["code"]
    if not code.get("dirty"):
        return
    if not re.fullmatch(r"[0-9a-f]{64}", str(code.get("diff"))):
        yield fail(f"{job.path} code.diff", code.get("diff"), "the hash of what differed from the commit")
    else:
        yield from scope.same_hash(diff(code["diff"]), code["diff"], job.path)
