"""Which finished jobs a run makes again, and why, as their manifests show.

A manifest has the configuration and the code hash that its job ran with, and the hashes of what it read, which are
compared with those of today and with the manifests of the jobs that these files come from. Of files outside of the
results, size and time are looked at, and the content where it is newer. Not looked at: the images of a folder, and
outputs that somebody changed or removed since. Snakemake looks at these, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import io, places
from .errors import UserError
from .plan import Plan

DEFINITION = "their definition has changed"
CODE = "their code has changed"
MADE_OF = "what they are made of has changed"
# A run makes data, labels and splits first: those that come out the same stop there.
MAY_CHANGE = "what they are made of is made again, and may come out otherwise"
UNREADABLE = "their manifests cannot be read"


class Outdated:
    """What is outdated of the finished jobs of a plan; each manifest is read once."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._why: dict[str, str] = {}  # by manifest
        self._hashes: dict[str, str] = {}  # of what jobs wrote, by path, as their manifests say
        self._changes: dict[tuple[str, str], str] = {}  # by path and hash of what a job read

    def why(self, command: str, names: dict[str, Any]) -> str:
        """Why a job is made again: one of the reasons above; nothing where it stays, or has no manifest to say."""
        if not places.PLACES[command].manifest:
            return ""
        path = self._plan.path(command, "manifest", **names)
        if path not in self._why:
            self._why[path] = self._reason(command, names, Path(path))
        return self._why[path]

    def _reason(self, command: str, names: dict[str, Any], path: Path) -> str:
        if not path.is_file():
            return MAY_CHANGE
        try:
            told = io.read_json(path)
            config, code = io.canonical_json(told["config"]), told["code"]["sha256"]
            read, written = ([*_files(told[side])] for side in ("inputs", "outputs"))
            self._hashes |= {entry["path"]: entry["sha256"] for entry in written if "path" in entry}
        except (OSError, ValueError, TypeError, KeyError):
            return UNREADABLE
        try:
            due = self._plan.json(command, **names)
        except (KeyError, UserError):  # of what the configuration does not name any more
            return DEFINITION
        if config != due:
            return DEFINITION
        if code != self._plan.code(command, **names):
            return CODE
        found = {self._changed(entry, path) for entry in read}
        return next((reason for reason in (MADE_OF, MAY_CHANGE, UNREADABLE) if reason in found), "")

    def _changed(self, entry: dict[str, Any], manifest: Path) -> str:
        """Whether an input of a job is another than it was, or will be."""
        if "path" not in entry:
            return MADE_OF if _is_another(entry, manifest) else ""
        key = entry["path"], entry.get("sha256")
        if key not in self._changes:  # the data of a study are read by all of its jobs
            maker = places.parse(entry["path"])
            why = self.why(maker.command, maker.names) if maker else ""
            same = self._hashes.get(entry["path"], key[1]) == key[1]
            self._changes[key] = {DEFINITION: MADE_OF, CODE: MAY_CHANGE}.get(why, why) if same else MADE_OF
        return self._changes[key]


def _files(named: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of a manifest's ``inputs`` or ``outputs``."""
    for value in named.values():
        yield from value if isinstance(value, list) else [value]


def _is_another(entry: dict[str, Any], manifest: Path) -> bool:
    """Whether a file outside of the results has changed since a job read it; a folder, or one that is not here: no."""
    path = Path(entry["source"])
    if "sha256" not in entry or not path.is_file():
        return False
    about = path.stat()
    newer = about.st_mtime > manifest.stat().st_mtime
    return about.st_size != entry["bytes"] or (newer and io.sha256(path) != entry["sha256"])
