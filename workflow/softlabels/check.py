"""`softlabels check`: everything that is wrong with a configuration and its data, before anything is trained.

It takes the way that a run takes: sources are opened, every image is decoded, labels and splits are made, in a
temporary folder and without the pixels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import config as configuration
from . import registry, schema
from .datasets import contract, data
from .datasets.download import FILES, described
from .datasets.folder import image_files
from .datasets.images import import_images, relative_names
from .errors import Problems, UserError
from .labels import label, split
from .plan import DRAW, Plan

# Stands for whatever is wrong elsewhere while one data set is looked at.
ANY_RECIPE, ANY_STUDY = {"any": {"network": "compact"}}, "any"


def check(raw: dict[str, Any], problems: Problems) -> Iterator[str]:
    """Look at a configuration and its data; yield a line on each data set that is in order.

    Args:
        raw: the configuration as it is written.
        problems: gets all mistakes.
    """
    try:
        plan = Plan(raw)
    except UserError as error:
        for problem in str(error).split("\n  - ")[1:]:
            problems.add(problem)
        plan = None
    for name in raw.get("datasets") or {}:
        alone = plan or _alone(raw, name)
        if alone:
            yield from _data_set(alone, name, problems)
    for kind, entry in sorted(set(schema.entries(plan.config, schema.section("")))) if plan else ():
        try:
            if registry.OWN.fullmatch(entry):
                registry.load(kind, entry)
        except Exception as error:  # whatever the user's own code raises
            place = registry.file_of(kind, entry)
            problems.add(
                f"{kind} '{entry}': {place}: cannot be imported ({type(error).__name__}: {error}). Correct it."
            )
    for recipe in plan.config["recipes"] if plan else ():
        for path in plan.weights(recipe):
            if not Path(path).is_file():
                problems.add(f"recipes.{recipe}.weights_file: {path}: no such file. Correct the path, or data_folder.")


def _alone(raw: dict[str, Any], name: str) -> Plan | None:
    """The plan of one data set of a configuration that is wrong elsewhere, or None if it is wrong itself."""
    kept = {key: raw[key] for key in ("data_folder", "splits", "labels") if key in raw}
    study = {"datasets": [name], "recipes": list(ANY_RECIPE)}
    rest = {"datasets": {name: raw["datasets"][name]}, "recipes": ANY_RECIPE, "studies": {ANY_STUDY: study}}
    for sections in (kept, {key: kept[key] for key in kept if key == "data_folder"}):
        try:
            return Plan({**sections, **rest})
        except UserError:
            continue
    return None


def _data_set(plan: Plan, name: str, problems: Problems) -> Iterator[str]:
    """Open a data set, and make its labels and splits."""
    inputs = {key: Path(path) for key, path in plan.source_files(name).items()}
    fetched = [path for path in inputs.values() if path.name in FILES and not path.exists()]
    for path in fetched:
        problems.add(
            f"datasets.{name}: {path}: is not there yet, so the data were not looked at. A run fetches it; or put "
            f"{described(FILES[path.name])} there."
        )
    if fetched:
        return
    with tempfile.TemporaryDirectory() as scratch:
        files = {key: Path(scratch, f"{key}.parquet") for key in ("items", "annotations", "reference", "made")}
        try:
            with data.opened(plan.of("data", dataset=name), inputs, Path(scratch)) as content:
                outputs = {**files, "images": None}
                contract.write(content, plan.config["datasets"][name]["reference"], outputs, plan.data_threads(name))
        except UserError as error:
            _add(problems, f"datasets.{name}", error)
            if "folder" in inputs:  # the votes may have stopped it before the images
                _look_at_images(plan, name, inputs["folder"], problems)
            return
        for study in plan.config["studies"].values():
            if name not in study["datasets"]:
                continue
            for used in study["labels"]:
                try:
                    label.run(plan.of("label", label=used, draw=DRAW), files, {"labels": files["made"]})
                except UserError as error:
                    _add(problems, f"datasets.{name} with labels.{used}", error)
            for used in study["splits"]:
                for seed in study["seeds"]:
                    try:
                        split.run(plan.of("split", split=used, seed=seed), files, {"split": files["made"]})
                    except UserError as error:
                        _add(problems, f"datasets.{name} with splits.{used}, seed {seed}", error)
    classes = f"{len(content.classes)} classes ({', '.join(content.classes)})"
    votes = f"{len(content.votes.item)} votes" if content.votes else "distributions without votes"
    yield f"{name}: {len(content.names)} images, {classes}, {votes}."


def _look_at_images(plan: Plan, name: str, folder: Path, problems: Problems) -> None:
    """Decode the images of a folder."""
    files = image_files(folder)
    try:
        if files:
            source = plan.config["datasets"][name]["source"]
            import_images(list(relative_names(files, folder).values()), source, None, plan.data_threads(name))
    except UserError as error:
        _add(problems, f"datasets.{name}", error)


def _add(problems: Problems, place: str, error: UserError) -> None:
    """Note what an error holds, one problem or a list."""
    first, *listed = str(error).split("\n  - ")
    for problem in listed or [first]:
        problems.add(f"{place}: {problem}")


def command(configfile: Path, overrides: list[str]) -> None:
    """Check a configuration file and say what was found.

    Raises:
        UserError: all problems in one list.
    """
    problems = Problems()
    raw = configuration.overridden(configuration.read(configfile), overrides)
    for line in check(raw, problems):
        print(line, flush=True)
    problems.stop()
    for warning in configuration.warnings(configuration.resolve(raw)):
        print(f"Warning: {warning}.")
    print(f"{configfile}: no problem was found.")
