"""Where the files of every job lie: one table, which rules, plan, status, audit, ledger and command line read.

Places start from the results folder, have forward slashes, and hold wildcards in braces. The first output of a command
names its manifest. The log is below ``logs/``, the benchmark below ``benchmarks/``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, NamedTuple

# What comes with the package and is found wherever one stands: the Snakefile, profiles, configurations.
REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "config" / "config.yaml"
SNAKEFILE, PROFILE = REPOSITORY / "Snakefile", REPOSITORY / "profiles" / "default"

NAME = "[a-z0-9][a-z0-9_]*"
SEED = r"\d+(?:-fold\d+of\d+)?"  # of a run; of one that leaves a fold of the training items out, and predicts them
# What each wildcard may be, as a regular expression without groups that capture.
WILDCARDS = {
    **dict.fromkeys(("dataset", "split", "recipe", "label", "study", "figure", "metrics", "encoder"), NAME),
    "seed": SEED,
    "within": f"(?:/{NAME})?",  # the split that a label is made for; nothing where it serves all
    "draw": f"all|seed{SEED}",
    "block": f"(?:-{NAME}-{NAME}-{NAME})?",  # data set, split and recipe of a figure; nothing where it is of a study
}
MANIFEST = ".manifest.json"
LOGS, BENCHMARKS = "logs", "benchmarks"
STATES = ".resume"  # of unfinished trainings
AT_WORK = f"{STATES}/run.lock"  # of `softlabels run`; see locks.py
AUDIT = "audit"
REPORT = "report"  # of the page that shows the results
SNAKEMAKE = ".snakemake"  # Snakemake's own records, in the folder where a run was started
BENCH = "bench"  # what the project's own benchmarks measured (make bench)
ASIDE = (LOGS, BENCHMARKS, STATES, AUDIT, REPORT, BENCH)  # folders of what no manifest lists

SPLIT = "{dataset}/{split}/seed{seed}"
RUN = "{dataset}/{split}/{recipe}/{label}/seed{seed}"


@dataclass(frozen=True)
class Place:
    """The place of a command's files."""

    folder: str  # of the outputs; empty: they lie outside of the results folder
    outputs: dict[str, str]  # file of each output in the folder, by the output's name
    logged: str = ""  # where log and benchmark lie, without suffix, if not as the first output
    manifest: bool = True  # whether a job writes one

    @cached_property
    def stem(self) -> str:
        """The first output without its suffix."""
        return re.sub(r"\.\w+$", "", next(iter(self.files.values())))

    @cached_property
    def files(self) -> dict[str, str]:
        """Every output, and ``manifest``, by name."""
        files = {name: "/".join(filter(None, (self.folder, file))) for name, file in self.outputs.items()}
        first = next(iter(files.values()))
        return files | ({"manifest": re.sub(r"\.\w+$", MANIFEST, first)} if self.manifest else {})

    @property
    def log(self) -> str:
        """Log and benchmark below their folders, without suffix."""
        return self.logged or self.stem

    @cached_property
    def last(self) -> str:
        """What a job writes last: it is done when this is there."""
        return list(self.files.values())[-1]

    @cached_property
    def job(self) -> str:
        """What tells a job from others of its command: the stem, or the folder where the file has a fixed name."""
        return self.stem if "{" in self.stem.rpartition("/")[2] else self.folder

    @cached_property
    def wildcards(self) -> tuple[str, ...]:
        """The wildcards of the outputs, in their order."""
        return tuple(re.findall(r"\{(\w+)\}", self.stem))


_DATA, _RUN, _STUDY = "data/{dataset}", f"runs/{RUN}", "studies/{study}"
PLACES = {
    "download": Place("", {"file": "{file}"}, logged="downloads/{file}", manifest=False),
    "data": Place(_DATA, {
        "images": "images.npy", "items": "items.parquet", "annotations": "annotations.parquet",
        "reference": "reference.parquet",
    }, logged=_DATA),
    "card": Place(_DATA, {
        "card_md": "card.md", "card_json": "card.json", "sheet": "card-images.png", "votes": "card-votes.png",
    }, logged="cards/{dataset}"),
    "label": Place("labels/{dataset}{within}/{label}", {"labels": "{draw}.parquet"}),
    "split": Place("splits/{dataset}/{split}", {"split": "seed{seed}.parquet"}),
    "references": Place(f"references/{SPLIT}", {"references": "{metrics}.parquet"}),
    "train": Place(_RUN, {
        "model": "model.safetensors", "history": "history.parquet", "predictions": "predictions.parquet",
        "features": "features.npy",
    }, logged=f"{_RUN}/train"),
    "adopt": Place(_RUN, {"predictions": "adopted.parquet"}, logged=f"{_RUN}/adopt"),
    "encode": Place("features/{dataset}/{encoder}", {"features": "features.npy", "encoder": "encoder.safetensors"}),
    "fit": Place(_RUN, {"model": "head.safetensors", "predictions": "fitted.parquet"}, logged=f"{_RUN}/fit"),
    "evaluate": Place(f"{_RUN}/scores", {"scores": "{metrics}.parquet", "terms": "{metrics}.terms.parquet"}),
    "embed": Place(f"{_STUDY}/tsne", {"embedding": "{dataset}-{split}-{recipe}-{label}-seed{seed}.parquet"}),
    "figure": Place(f"{_STUDY}/figures", {
        "png": "{figure}{block}.png", "pdf": "{figure}{block}.pdf",
    }, logged=f"{_STUDY}/{{figure}}{{block}}"),
    "study": Place(_STUDY, {
        "config": "config.json", "table_csv": "table.csv", "table_md": "table.md", "table_tex": "table.tex",
        "cells": "cells.parquet", "items_csv": "items.csv",
    }, logged=f"{_STUDY}/study"),
    "chain": Place(_STUDY, {"chain": "chain.json"}, manifest=False),
}  # fmt: skip
FOLDERS = sorted({place.folder.partition("/")[0] for place in PLACES.values()} - {""})


class File(NamedTuple):
    """A file of the table: the command that writes it, which output (or ``manifest``), wildcards, path as above."""

    command: str
    output: str
    names: dict[str, str]
    path: str


def path(command: str, output: str, **names: Any) -> str:
    """The path of one output (or ``manifest``) of a job, from the results folder."""
    return PLACES[command].files[output].format_map(names)


def of_study(study: str, output: str) -> str:
    """The path of one output of a study's ``study`` or ``chain``, from the results folder."""
    return path("chain" if output == "chain" else "study", output, study=study)


def diff(digest: str) -> str:
    """Where a change that git did not have when a job ran is kept, from the results folder."""
    return f"{AUDIT}/diffs/{digest}.diff"


def regex(pattern: str) -> str:
    """The regular expression of a place, with a named group for each wildcard."""
    pieces = re.split(r"\{(\w+)\}", pattern)
    names = {k: f"(?P<{piece}>{WILDCARDS[piece]})" for k, piece in enumerate(pieces) if k % 2}
    return "".join(names.get(k, re.escape(piece)) for k, piece in enumerate(pieces))


@cache
def _patterns() -> list[tuple[str, str, re.Pattern[str]]]:
    return [
        (command, output, re.compile(f"(?s:.*/)?(?P<path>{regex(pattern)})"))
        for command, place in PLACES.items()
        if place.folder
        for output, pattern in place.files.items()
    ]


def find(path: PurePath) -> File | None:
    """Whose file a path is, by its end (what is before it is the results folder), or None."""
    text = path.as_posix()
    for command, output, pattern in _patterns():
        if match := pattern.fullmatch(text):
            names = match.groupdict()
            return File(command, output, names, names.pop("path"))
    return None


def parse(path: str) -> File | None:
    """Whose file a path from the results folder is, or None."""
    file = find(PurePosixPath(path))
    return file if file and file.path == path else None


def started_in(results: Path) -> Path:
    """The folder where the run was started that made a results folder: relative paths of its configuration start there.

    The nearest one above with Snakemake's records; without any, the repository that holds the results, else the folder
    where one stands.
    """
    above = results.resolve().parents
    recorded = (folder for folder in above if (folder / SNAKEMAKE).is_dir())
    return next(recorded, REPOSITORY if REPOSITORY in above else Path.cwd())


def root_of(path: Path, command: str) -> Path:
    """The results folder that holds a command's file (its manifest, or an output)."""
    path = path.resolve()
    file = find(path)
    within = file.path if file and file.command == command else PLACES[command].stem
    return path.parents[within.count("/")]
