"""What a check finds, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

from .. import places
from ..errors import UserError
from ..registry import OWN
from .configured import Given
from .evidence import Results, entries, names_of, reading

FAIL, UNKNOWN, NOTE = "fail", "unknown", "note"
ASK = "ask whoever trained the networks elsewhere, and say with their numbers what is not known"
LOOK_THERE = (
    "audit where the repository, the configuration and its files are, in the folder where the run was started "
    "(--configfile names the configuration); running again does not change this"
)
NOT_AGAIN = "nothing is to be done: only labels with a formula are made again by the audit, and no run changes that"
NOT_LOOKED_AT = "is no code of ours, and was not looked at; name the configuration that has it with --configfile"


class Finding(NamedTuple):
    """One thing that a check found: it fails, it cannot be known here, or it is worth a note."""

    kind: str
    text: str
    remedy: str = ""  # where that of the check does not fit


Findings = Iterator[Finding]


class Job(NamedTuple):
    """A manifest, where it lies, and the names that its place gives it (dataset, seed …)."""

    path: str
    names: dict[str, str]
    manifest: dict[str, Any]

    def file(self, side: str, name: str) -> str:
        """The path of the only file of a name among the ``inputs`` or ``outputs``.

        Raises:
            UserError: there are several, or none in the results folder.
        """
        found = [entry for key, entry in entries(self.manifest[side]) if key == name]
        if len(found) != 1 or "path" not in found[0]:
            raise UserError(
                f"{self.path}: found {len(found)} {side} named '{name}', expected one in the results folder."
            )
        return found[0]["path"]


def fail(file: str, found: Any, expected: Any) -> Finding:
    """A fault: the file (and place), what was found and what was expected."""
    return Finding(FAIL, f"{file}: found {found}, expected {expected}")


def differs(file: str, found: Any, expected: Any, why: str = "") -> Findings:
    """A fault where two values differ; ``why`` says where the expected one comes from."""
    if found != expected:
        yield fail(file, found, f"{expected}{why}")


unknown = partial(Finding, UNKNOWN)  # something that cannot be checked here, and why
unseen = partial(Finding, UNKNOWN, remedy=LOOK_THERE)  # something that is not here to be looked at
note = partial(Finding, NOTE)  # something that a reader should know, and no fault


def elsewhere(jobs: Iterable[Job], what: str) -> Findings:
    """That nobody knows how the networks behind predictions made elsewhere were trained: never a pass."""
    for job in jobs:
        text = f"{job.path}: its network was trained elsewhere, and {what} is not known"
        yield unknown(text, remedy=ASK)


def each(items: Iterable[Any], check: Callable[[Any], Iterable[Finding]], file: Callable[[Any], str] = str) -> Findings:
    """The findings of every item; content that cannot be read is a finding too, and the next item follows."""
    for item in items:
        found: list[Finding] = []
        try:
            with reading(file(item)):
                found.extend(check(item))  # what was found before an error stays found
        except UserError as error:
            found.append(Finding(FAIL, str(error)))
        yield from found


Check = Callable[["Scope"], Findings]


def each_study(output: str) -> Callable[[Callable[[Scope, str], Findings]], Check]:
    """Make a check of all studies of one of a study; ``output`` is the file that it reads first."""
    file = partial(places.of_study, output=output)
    return lambda check: lambda scope: each(scope.studies, partial(check, scope), file)


def each_job(*commands: str) -> Callable[[Callable[[Scope, Job], Findings]], Check]:
    """Make a check of all jobs, or those of some commands, of one of a job."""
    return lambda check: lambda scope: each(scope.of(*commands), partial(check, scope), lambda job: job.path)


@dataclass(eq=False)
class Scope:
    """The studies to audit in a results folder, and the manifests behind them."""

    results: Results
    studies: list[str]
    given: Given | None = None  # the configuration that defines the studies; None to search beside the package
    dry_run: bool = False  # whether to ask Snakemake
    own: Collection[tuple[str, str]] = ()  # kind and name of the user's own entries that this configuration names

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
        jobs = [Job(path, names_of(path, manifest["command"]), manifest) for path, manifest in found]
        return [job for job in jobs if job.names is not None]

    @property
    def unread(self) -> list[str]:
        """Manifests that are missing, cannot be read, or lie where their command puts none."""
        return sorted(set(self.paths) - {job.path for job in self.jobs})

    def of(self, *commands: str) -> list[Job]:
        """The jobs of some commands, or all."""
        return [job for job in self.jobs if not commands or job.manifest["command"] in commands]

    def of_study(self, study: str, *commands: str) -> list[Job]:
        """The jobs of some commands, or all, behind one study's tables."""
        chain = self.results.chain(study)
        return [job for job in self.of(*commands) if job.path in chain]

    def strangers(self, registered: Iterable[tuple[str, str]]) -> str:
        """Of entries (kind and name), those of users' own whose code no configuration that was named here vouches for.

        Files of a results folder may name any module: what they name is neither imported nor looked for. This says
        so; it is empty if there are none.
        """
        names = sorted({name for kind, name in registered if OWN.fullmatch(name) and (kind, name) not in self.own})
        return f"{', '.join(names)} {NOT_LOOKED_AT}" if names else ""

    @cached_property
    def by_item(self) -> Callable[[str, str], dict[int, Any]]:
        """A column of a table (path, name) by item, read once.

        Raises:
            UserError: an item that is there twice.
        """

        @cache
        def column_of(path: str, column: str) -> dict[int, Any]:
            table, _ = self.results.table(path, ["item", column])
            found = dict(zip(table.column("item").to_pylist(), table.column(column).to_pylist(), strict=True))
            if len(found) != len(table):
                raise UserError(f"{path}: found an item twice, expected one row an item.")
            return found

        return column_of

    def same_hash(self, path: str, sha256: str, witness: str) -> Findings:
        """A fault if a file has not the hash that a witness says."""
        if self.results.sha256(path) != sha256:
            yield fail(path, f"sha256 {self.results.sha256(path)}", f"{sha256} as {witness} says")
