"""Gather the runs of a study into its ledger, tables and list of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import io
from ..contracts import Reference, read_reference, read_rows, sets
from ..errors import UserError
from ..evaluation.structure import FACTS
from . import items, ledger, ledger_view, paper
from .ledger import Evaluations, blocks, evaluations, named, reference_name, run_name

ARROWS = {"higher": " ↑", "lower": " ↓"}


def run(config: dict, inputs: dict, outputs: dict) -> None:
    """Write the tables of a study.

    Args:
        config: ``study``, ``datasets`` (name: ``paper`` and ``description``), ``splits``, ``recipes`` and ``labels``
            (name: definition), ``seeds``, ``metrics`` (names), ``metric_facts`` (what tables print of each: heading,
            better, unit, decimals, source), ``metric_code`` (hash of the code of each), ``ddof``, ``level``,
            ``baseline``, ``tables`` (kind and options of each).
        inputs: lists ``scores`` (a file a run and set of metrics), ``predictions`` (a file a run), ``references`` (a
            file a data set, split, seed and set of metrics), ``items`` and ``reference`` (a file a data set). Their
            paths under ``results/`` say which is which.

    Raises:
        UserError: a run, a reference row file or a data set table is missing; runs that were scored differently.
    """
    seeds, datasets = config["seeds"], list(config["datasets"])
    run_names = [
        run_name(block, label, seed) for block in blocks(config) for label in config["labels"] for seed in seeds
    ]
    split_names = dict.fromkeys(reference_name(block, seed) for block in blocks(config) for seed in seeds)
    predictions = named(inputs["predictions"], "runs", run_names, "predictions.parquet")
    tables = named(inputs["items"], "data", datasets, "items.parquet")
    reference = named(inputs["reference"], "data", datasets, "reference.parquet")
    wanted = sets(config["metrics"])
    runs = evaluations(inputs["scores"], "runs", run_names, wanted)
    references = evaluations(inputs["references"], "references", list(split_names), wanted, read_rows)
    facts = study_facts(config, runs, reference)
    cells = ledger.build({**config, "headings": facts["headings"]}, runs, references)
    columns = items.columns(config["labels"], [about["classes"] for about in facts["datasets"].values()])
    items.write_csv(outputs["items_csv"], columns, items.frames(config, tables, reference, predictions))

    io.write_table(outputs["cells"], cells, facts)
    cells, _ = io.read_table(outputs["cells"])  # what is printed is what the file says
    for output, text_of in ledger_view.TEXTS.items():
        io.write_text(outputs[output], text_of(cells))
    io.write_json(outputs["config"], config)


def study_facts(config: Mapping[str, Any], runs: Evaluations, reference: Mapping[str, Path]) -> dict[str, Any]:
    """What headings and captions tell besides numbers; runs of another epsilon, or of other classes, are an error."""
    truths = {dataset: read_reference(reference[dataset]) for dataset in config["datasets"]}
    files = [(truths[name.split("/")[0]], file) for name, of_run in runs.items() for file in of_run.values()]
    first = files[0][1]
    for truth, file in files:
        if file.content.eps != first.content.eps:
            raise UserError(
                f"{file.path}: found eps {file.content.eps}, expected {first.content.eps} as in {first.path}. Delete "
                f"the older one and run again."
            )
        if file.content.classes != truth.classes:
            raise UserError(
                f"{file.path}: found the classes {', '.join(file.content.classes)}, expected "
                f"{', '.join(truth.classes)} as in {truth.path}. Delete it and run again."
            )
    printed = config["metric_facts"] | {f"structure.{name}": {"source": None, **about} for name, about in FACTS.items()}
    return {
        "study": config["study"],
        "labels": sorted(config["labels"], key=lambda label: label != config["baseline"]),  # the baseline first
        "headings": {
            name: {**about, "heading": about["heading"] + ARROWS.get(about["better"], "")}
            for name, about in printed.items()
        },
        "structure": [f"structure.{name}" for name in FACTS],
        "eps": first.content.eps,
        "datasets": {dataset: {"classes": truth.classes} for dataset, truth in truths.items()},
        "setup": [line for dataset, truth in truths.items() for line in _setup(config, dataset, truth)],
        **{key: config[key] for key in ("baseline", "seeds", "metrics", "tables", "ddof", "level")},
    }


def _setup(config: Mapping[str, Any], dataset: str, truth: Reference) -> Iterator[str]:
    """What differs from the paper's set-up of a data set, and how many votes its reference is made of."""
    definition, title = config["datasets"][dataset], paper.title(dataset)
    for recipe, settings in config["recipes"].items() if definition["paper"] else ():
        settings = {**settings, **settings["optimiser"]}
        here = {
            **settings,
            "items": len(truth.item),
            "pixels": definition["description"]["source"].get("pixels"),
            "reference": "exact" if truth.votes is None else "votes",
        }
        differing = "; ".join(paper.differences(definition["paper"], here)) or "nothing that it states"
        yield f"{title}, recipe {recipe} differs from the paper in: {differing}."
        yield f"{title}, recipe {recipe}, where the paper says nothing: {'; '.join(paper.unstated(settings))}."
    if truth.votes is not None:
        yield f"{title}: the reference is made of {truth.votes.mean():.1f} votes an item on average."
