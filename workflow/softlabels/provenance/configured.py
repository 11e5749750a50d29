"""What the configuration says now: needs YAML and JSON Schema, and Snakemake to ask for its view."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .. import registry
from ..errors import UserError
from ..places import CONFIG, PROFILE, SNAKEFILE, started_in
from .evidence import Results

if TYPE_CHECKING:
    from ..plan import Plan

RESULTS = "results"  # where a configuration names no other folder
SECONDS = 120  # for one dry run


class Given(NamedTuple):
    """A configuration that somebody named: its file, and ``key=value`` pairs that replace keys of it."""

    path: Path
    overrides: tuple[str, ...] = ()


class Absent(Exception):
    """Something is not here, so that a check cannot be made: the reason."""


@cache
def _plan(given: Given, folder: Path, results: str | None) -> Plan:
    """The plan of a configuration for a run in a folder, with another results folder if one is given."""
    from ..config import overridden, read
    from ..plan import Plan

    raw = overridden(read(given.path), [*given.overrides]) | ({"results": results} if results else {})
    if isinstance(modules := raw.get("modules", "."), str):
        raw["modules"] = str(folder / modules)
    return Plan(raw)


def results(given: Given | None) -> Path:
    """The results folder of a configuration, as a run from here has it."""
    try:
        from ..config import overridden, read
    except ImportError:
        return Path(RESULTS)
    named = overridden(read(given.path), [*given.overrides]).get("results") if given else None
    return Path(named if isinstance(named, str) else RESULTS)


def own_entries(given: Given, root: Path) -> list[tuple[str, str]]:
    """Kind and name of the user's own entries that the configuration of some results names.

    Their folder is used from here on. None where there is nothing to read it with.

    Raises:
        UserError: a wrong configuration.
    """
    try:
        from .. import schema

        config = _plan(given, started_in(root), None).config
    except ImportError:
        return []
    registry.use_modules(config["modules"])
    named = schema.entries(config, schema.section(""))
    return [(kind, name) for kind, name in named if registry.OWN.fullmatch(name)]


def plan_of(results: Results, study: str, given: Given | None) -> tuple[Given, Plan]:
    """The configuration that defines a study, and its plan, with which its own modules are looked for.

    ``given`` if there is one, else the one beside the package, where the one that names this results folder is
    preferred.

    Raises:
        Absent: no such configuration, or nothing to read it with.
    """
    folder = started_in(results.root)
    here = results.root.relative_to(folder).as_posix() if results.root.is_relative_to(folder) else None
    found = []
    try:
        for one in [given] if given else map(Given, sorted(CONFIG.parent.glob("*.yaml"))):
            try:
                plan = _plan(one, folder, None)
            except UserError:
                continue
            if study in plan.config["studies"]:
                found.append(((folder / plan.root).resolve() != results.root, one))
    except ImportError as error:
        raise Absent(f"the package {error.name} is not installed here") from None
    if not found:
        raise Absent(f"no configuration file here defines the study {study}; name one with --configfile")
    elsewhere, one = min(found)
    plan = _plan(one, folder, here if elsewhere else None)
    registry.use_modules(plan.config["modules"])  # another configuration may have been read since
    return one, plan


def dry_run(given: Given, plan: Plan, studies: list[str], folder: Path) -> str | None:
    """What Snakemake would do in a folder to build the files of some studies, in one line; None for nothing.

    Raises:
        Absent: Snakemake is not here, or cannot plan these studies.
    """
    registry.use_modules(plan.config["modules"])
    targets = [file for study in studies for file in plan.study_files(study)]
    options = ["--dry-run", "--snakefile", str(SNAKEFILE), "--workflow-profile", str(PROFILE)]
    options += ["--configfile", str(given.path), "--config", *given.overrides, f"results={plan.root}"]
    try:
        process = subprocess.run(
            [sys.executable, "-Pm", "snakemake", *targets, *options],
            cwd=folder, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"a dry run of Snakemake did not end ({type(error).__name__})") from None
    text = process.stdout
    if process.returncode:
        reason = next((line for line in reversed(text.splitlines()) if line.strip()), f"status {process.returncode}")
        raise Absent(f"a dry run of Snakemake stopped: {reason.strip()}")
    # A published file that the user put in its place has no record of a download; its hash is in the data's manifest.
    records = r"^(\d+ jobs have \w+ provenance/metadata).*\nRules with .*: (.+)$"
    found = [jobs for jobs, rules in re.findall(records, text, re.MULTILINE) if set(rules.split()) != {"download"}]
    if "Nothing to be done" not in text:
        table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)total", text, re.MULTILINE)
        jobs = [" ".join(line.split()) for line in table[1].splitlines()] if table else ["see snakemake --dry-run"]
        found.append(f"jobs to run: {', '.join(jobs)}")
    return "; ".join(found) or None
