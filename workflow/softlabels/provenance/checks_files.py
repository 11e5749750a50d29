"""The checks of the files: unchanged, in one chain, none too many, none missing (A05, A06, A16, A20)."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from .. import io, places
from ..commands import ADOPTED
from ..places import ASIDE, BENCHMARKS, LOGS, PLACES, SNAKEMAKE, of_study, started_in
from . import configured
from .evidence import entries, names_of
from .findings import Finding, Findings, Job, Scope, differs, each, each_job, each_study, fail, unknown, unseen
from .manifest import seal

# -- A05 ---------------------------------------------------------------------------------------------------------------


def files_are_unchanged(scope: Scope) -> Findings:
    """A05: every file of the results folder that a manifest lists has the bytes that it had then."""
    recorded: dict[tuple[str, str, int], str] = {}
    for job in scope.jobs:
        for _, entry in (*entries(job.manifest["inputs"]), *entries(job.manifest["outputs"])):
            if "path" in entry:
                recorded.setdefault((entry["path"], entry["sha256"], entry["bytes"]), job.path)
    yield from each(recorded.items(), lambda item: _unchanged(scope, *item), lambda item: item[0][0])
    for path, reason in scope.results.unreadable.items():
        if path in scope.paths:
            yield Finding("fail", reason)


def _unchanged(scope: Scope, entry: tuple[str, str, int], manifest: str) -> Findings:
    path, sha256, size = entry
    found = scope.results.file(path).stat().st_size
    if found != size:
        yield fail(path, f"{found:,} bytes", f"{size:,} as {manifest} says")
    else:
        yield from scope.same_hash(path, sha256, manifest)


@each_job("data")
def sources_are_unchanged(scope: Scope, job: Job) -> Findings:
    """A05: so have the images and votes that a data set was imported from, where the configuration of today has them.

    Its paths come from the user's own configuration, never from a manifest.
    """
    sources = {name: entry for name, entry in entries(job.manifest["inputs"]) if "source" in entry}
    if not sources:
        return
    dataset = job.names["dataset"]
    studies = [name for name in scope.studies if dataset in scope.results.study_config(name)["datasets"]]
    try:
        _, plan = configured.plan_of(scope.results, studies[0], scope.given)
    except configured.Absent as reason:
        yield unseen(f"the sources of {dataset} were not looked at: {reason}")
        return
    folder = started_in(scope.results.root)
    now = {name: folder / path for name, path in plan.source_files(dataset).items()}
    absent = [str(path) for path in now.values() if not path.exists()]
    if absent:
        yield unseen(
            f"the sources of {dataset} were not looked at: there is no {absent[0]} here; name a "
            f"configuration that says where they are with --configfile"
        )
        return
    due = [(now[name], entry["sha256"]) for name, entry in sources.items() if name != "folder"]
    if "folder" in now:
        folder = now["folder"].resolve()
        items, _ = scope.results.table(job.file("outputs", "items"), ["name", "sha256"])
        due += [((folder / row["name"]).resolve(), row["sha256"]) for row in items.to_pylist()]
        for path, _ in due[-len(items) :]:
            if not path.is_relative_to(folder):
                yield fail(
                    job.file("outputs", "items"), f"the image {path}", f"images in {folder} only; none was opened"
                )
                return
    for path, sha256 in due:
        found = f"sha256 {io.sha256(path)}" if path.is_file() else "no file"
        yield from differs(str(path), found, f"sha256 {sha256}", f" as when {dataset} was imported")


def _sources(scope: Scope, job: Job) -> dict[str, list[str]]:
    """The files of the user's own that a job read, by the names of its inputs, as the configuration of today has them.

    Raises:
        configured.Absent, KeyError: no configuration has them.
    """
    names, axis = job.names, "recipe" if job.manifest["command"] == ADOPTED else "label"
    studies = [name for name in scope.studies if names[axis] in scope.results.study_config(name)[f"{axis}s"]]
    _, plan = configured.plan_of(scope.results, [*studies, *scope.studies][0], scope.given)
    if axis == "recipe":
        return plan.adopted(names["recipe"], names["label"], names["seed"])
    return {"given": [*plan.label_files(names["label"]).values()]}


def source_of(scope: Scope, job: Job, name: str) -> tuple[Path, str]:
    """The file of the user's own that a job read, and why it cannot be read again; nothing where it can."""
    try:
        path = started_in(scope.results.root) / next(iter(_sources(scope, job)[name]), "")
    except (configured.Absent, KeyError) as reason:
        return Path(), str(reason)
    if not path.is_file():
        return path, f"there is no file {path} here"
    sha256 = dict(entries(job.manifest["inputs"]))[name]["sha256"]
    return path, "" if io.sha256(path) == sha256 else f"{path} has changed"


@each_job(ADOPTED, "label")
def given_files_are_unchanged(scope: Scope, job: Job) -> Findings:
    """A05: so have files of predictions made elsewhere, and of labels, where the configuration of today has them."""
    if not any("source" in entry for _, entry in entries(job.manifest["inputs"])):
        return
    names, axis = job.names, "recipe" if job.manifest["command"] == ADOPTED else "label"
    run = f"the distributions of the label {names['label']}"
    if axis == "recipe":
        run = f"the predictions of {names['recipe']}, {names['label']}, seed {names['seed']}"
    try:
        now = _sources(scope, job)
    except (configured.Absent, KeyError) as reason:
        yield unseen(f"the file with {run} was not looked at: {reason}")
        return
    for name, entry in entries(job.manifest["inputs"]):
        if "source" not in entry:
            continue
        path = started_in(scope.results.root) / next(iter(now[name]), "")
        if not path.is_file():
            yield unseen(f"{run} were not looked at: there is no file {path} here")
        else:
            yield from differs(
                str(path), f"sha256 {io.sha256(path)}", f"sha256 {entry['sha256']}", " as when it was read"
            )


# -- A06 ---------------------------------------------------------------------------------------------------------------


@each_study("chain")
def chain_is_closed(scope: Scope, study: str) -> Findings:
    """A06: each input is the output of a job here or declared raw data; the chain lists all these jobs, unchanged."""
    results, path = scope.results, of_study(study, "chain")
    listed = results.chain(study)
    named = {path: results.json(path)["study"], of_study(study, "config"): results.study_config(study)["study"]}
    for name, found in named.items():
        if found != study:
            yield fail(name, f"the study {found!r}", repr(study))
    yield from each(listed.items(), lambda item: scope.same_hash(*item, path), lambda item: item[0])

    reached: dict[str, list[str]] = {}  # manifest: those of the jobs whose outputs it read
    open_jobs = [of_study(study, "manifest")]
    while open_jobs:
        manifest_path = open_jobs.pop()
        if manifest_path in reached:
            continue
        reached[manifest_path] = []
        if manifest_path not in results.manifests:
            yield Finding("fail", results.unreadable.get(manifest_path, f"{manifest_path}: found no such manifest"))
            continue
        manifest = results.manifests[manifest_path]
        if names_of(manifest_path, manifest["command"]) is None:
            yield fail(manifest_path, f"the manifest of a '{manifest['command']}'", "one that belongs in this place")
        for name, entry in entries(manifest["inputs"]):
            if "source" in entry:
                continue
            producer = results.producer(entry["sha256"], entry["path"])
            if producer is None:
                yield fail(
                    f"{manifest_path} inputs.{name}", f"{entry['path']} {entry['sha256']}", "what a job here wrote"
                )
            else:
                reached[manifest_path].append(producer[0])
        open_jobs += reached[manifest_path]
    try:
        TopologicalSorter(reached).prepare()
    except CycleError as error:
        yield fail(path, f"a cycle: {' ← '.join(reversed(error.args[1][-3:]))}", "every input older than its output")
    datasets = results.study_config(study)["datasets"]
    drawn = [job for job in scope.jobs if job.names.get("study") == study and job.path not in listed]
    drawn += [job for job in scope.of("card") if job.names["dataset"] in datasets]
    yield from each(drawn, lambda job: _sealed(scope, job), lambda job: job.path)
    for extra in sorted(listed.keys() - reached.keys()):
        yield fail(path, extra, "only manifests behind this study's tables")
    for missing in sorted(reached.keys() - listed.keys()):
        yield fail(path, f"no entry for {missing}", "every manifest behind this study's tables")


def _sealed(scope: Scope, job: Job) -> Findings:
    """A manifest that no chain lists (of a figure, of a data card) still has the bytes that its seal was put on."""
    due = job.manifest | {"seal": seal(job.manifest)}
    if scope.results.text(job.path) != io.json_text(due):
        yield fail(f"{job.path} seal", job.manifest.get("seal"), f"{due['seal']}, that of its content")


# -- A16 ---------------------------------------------------------------------------------------------------------------


def nothing_is_left_over(scope: Scope) -> Findings:
    """A16: there is no file that no job wrote."""
    results = scope.results
    known = set(results.manifests) | set(results.unreadable)
    for manifest in results.manifests.values():
        known |= {entry["path"] for _, entry in entries(manifest["outputs"]) if "path" in entry}
    known |= {of_study(study, "chain") for study in results.studies}
    for path in results.files:
        if path not in known and path.partition("/")[0] not in ASIDE:
            yield fail(path, "a file that no manifest lists", "none")


def nothing_is_to_be_done(scope: Scope) -> Findings:
    """A16: Snakemake, which still has its record of each file, has nothing to do."""
    if not scope.dry_run:
        yield unknown("Snakemake was not asked (--no-dry-run)", remedy="leave --no-dry-run out")
        return
    folder, root = started_in(scope.results.root), scope.results.root
    if not root.is_relative_to(folder) or not (folder / SNAKEMAKE).is_dir():
        yield unseen(f"Snakemake was not asked: it has no record of a run ({SNAKEMAKE}) in a folder above {root}")
        return
    if folder not in (Path.cwd(), places.REPOSITORY):  # its records there may be anybody's
        yield unseen(f"Snakemake was not asked: these results were made in {folder}; audit them from there")
        return
    plans: dict[configured.Given, tuple[Any, list[str]]] = {}
    for study in scope.studies:
        try:
            given, plan = configured.plan_of(scope.results, study, scope.given)
            plans.setdefault(given, (plan, []))[1].append(study)
        except configured.Absent as reason:
            yield unseen(f"Snakemake was not asked about {study}: {reason}")
    for given, (plan, studies) in plans.items():
        try:
            if todo := configured.dry_run(given, plan, studies, folder):
                yield fail(f"snakemake --dry-run --configfile {given.path.name}", todo, "nothing to be done")
        except configured.Absent as reason:
            yield unseen(str(reason))


# -- A20 ---------------------------------------------------------------------------------------------------------------


def logs_are_kept(scope: Scope) -> Findings:
    """A20: each job's log and benchmark are there."""
    names = [(job.path, PLACES[job.manifest["command"]].log.format_map(job.names)) for job in scope.jobs]
    names += [(of_study(study, "chain"), PLACES["chain"].log.format(study=study)) for study in scope.studies]
    present = set(scope.results.files)
    for path, name in names:
        for file in (f"{LOGS}/{name}.log", f"{BENCHMARKS}/{name}.tsv"):
            if file not in present:
                yield fail(file, "no such file", f"that of the job of {path}")


@each_job()
def slurm_jobs_are_known(scope: Scope, job: Job) -> Findings:
    """A20: a SLURM job's number is known."""
    slurm = job.manifest["machine"].get("slurm")
    if slurm is not None and not (isinstance(slurm, dict) and slurm.get("job")):
        yield fail(f"{job.path} machine.slurm", slurm, "the number of the SLURM job")
