"""What a check finds, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from .. import places
from ..errors import UserError
from .evidence import Results, entries, names_of, reading

FAIL, UNKNOWN, NOTE = "fail", "unknown", "note"


class Finding(NamedTuple):
    """One thing that a check found: it fails, it cannot be known here, or it is worth a note."""

    kind: str
    text: str


class Job(NamedTuple):
    """A manifest, where it lies, and the names that its place gives it (dataset, seed …)."""

    path: str
    names: dict[str, str]
    manifest: dict[str, Any]


def fail(file: str, found: Any, expected: Any) -> Finding:
    """A fault: the file (and place), what was found and what was expected."""
    return Finding(FAIL, f"{file}: found {found}, expected {expected}")


def unknown(text: str) -> Finding:
    """Something that cannot be checked here, and why."""
    return Finding(UNKNOWN, text)


def note(text: str) -> Finding:
    """Something that a reader should know, and no fault."""
    return Finding(NOTE, text)


def each(
    items: Iterable[Any], check: Callable[[Any], Iterable[Finding]], file: Callable[[Any], str] = str
) -> Iterator[Finding]:
    """The findings of every item; content that cannot be read is a finding too, and the next item follows."""
    for item in items:
        found: list[Finding] = []
        try:
            with reading(file(item)):
                found.extend(check(item))  # what was found before an error stays found
        except UserError as error:
            found.append(Finding(FAIL, str(error)))
        yield from found


def where(job: Job) -> str:
    """The path of a job's manifest."""
    return job.path


class Scope:
    """The studies to audit in a results folder, and the manifests behind them.

    Attributes:
        results: the folder.
        studies: names of the studies.
        configfile: the configuration that defines them, or None to search beside the package.
        dry_run: whether to ask Snakemake.
    """

    def __init__(self, results: Results, studies: list[str], configfile: Path | None, dry_run: bool):
        self.results = results
        self.studies = studies
        self.configfile = configfile
        self.dry_run = dry_run
        self._parts: dict[str, dict[int, str]] = {}

    @cached_property
    def paths(self) -> list[str]:
        """Manifests that the chains of the studies list, that lie in their folders, or that describe their data sets.

        All where a chain is broken.
        """
        wanted: set[str] = set()
        for study in self.studies:
            try:
                wanted |= set(self.results.chain(study))
            except UserError:
                wanted |= set(self.results.manifests)
        folders = tuple(places.PLACES["study"].folder.format(study=study) + "/" for study in self.studies)
        wanted |= {path for path in self.results.manifests if path.startswith(folders)}
        data = [names for names in (names_of(path, "data") for path in wanted) if names]
        cards = {places.path("card", "manifest", **names) for names in data}
        return sorted(wanted | (cards & set(self.results.manifests)))

    @cached_property
    def jobs(self) -> list[Job]:
        """The readable manifests among these, where their command puts them."""
        found = [(path, self.results.manifests[path]) for path in self.paths if path in self.results.manifests]
        named = [(path, names_of(path, manifest["command"]), manifest) for path, manifest in found]
        return [Job(path, names, manifest) for path, names, manifest in named if names is not None]

    @property
    def unread(self) -> list[str]:
        """Manifests that are missing, cannot be read, or lie where their command puts none."""
        return sorted(set(self.paths) - {job.path for job in self.jobs})

    def of(self, *commands: str) -> list[Job]:
        """The jobs of some commands."""
        return [job for job in self.jobs if job.manifest["command"] in commands]

    def of_study(self, study: str, *commands: str) -> list[Job]:
        """The jobs of some commands behind one study's tables."""
        chain = self.results.chain(study)
        return [job for job in self.of(*commands) if job.path in chain]

    def parts(self, path: str) -> dict[int, str]:
        """Which part each item is in, from a split or from predictions.

        Raises:
            UserError: an item that is there twice.
        """
        if path not in self._parts:
            table, _ = self.results.table(path, ["item", "split"])
            items = table.column("item").to_pylist()
            self._parts[path] = dict(zip(items, table.column("split").to_pylist(), strict=True))
            if len(self._parts[path]) != len(items):
                del self._parts[path]
                raise UserError(f"{path}: found an item twice, expected one row an item.")
        return self._parts[path]

    def input(self, job: Job, name: str) -> str:
        """The path of a job's only input of a name."""
        return _only(job, "inputs", name)["path"]

    def output(self, job: Job, name: str) -> str:
        """The path of a job's only output of a name."""
        return _only(job, "outputs", name)["path"]


def _only(job: Job, side: str, name: str) -> dict[str, Any]:
    found = [entry for key, entry in entries(job.manifest[side]) if key == name]
    if len(found) != 1 or "path" not in found[0]:
        raise UserError(f"{job.path}: found {len(found)} {side} named '{name}', expected one in the results folder.")
    return found[0]
