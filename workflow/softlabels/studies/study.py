"""Gather the runs of a study into its ledger, tables and list of items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import documents, io, registry
from ..contracts import names
from ..contracts import reference as reference_file
from ..contracts.scores import read_rows
from ..errors import UserError
from ..evaluation import structure
from . import items, ledger, ledger_view, paper
from .ledger import Evaluations, blocks, evaluations, expect, named, reference_name, run_name

ARROWS = {"higher": "↑", "lower": "↓"}


def run(config: dict, inputs: dict, outputs: dict) -> None:
    """Write the tables of a study.

    Args:
        config: ``study``, ``datasets`` (name: ``paper`` and ``description``), ``splits``, ``recipes`` and ``labels``
            (name: definition), ``seeds``, ``metrics`` (names), ``ddof``, ``level``, ``baseline``, ``metric_code``
            (optional: metric to the hash of its code), ``tables`` (kind and options of each).
        inputs: lists ``scores`` (a file a run and set of metrics), ``predictions`` (a file a run), ``references`` (a
            file a data set, split, seed and set of metrics), ``items`` and ``reference`` (a file a data set). Their
            paths under ``results/`` say which is which.
        outputs: ``config``, ``table_csv``, ``table_md``, ``table_tex``, ``cells``, ``items_csv``.

    Raises:
        UserError: a run, a reference row file or a data set table is missing; runs that were scored differently.
    """
    seeds, datasets = config["seeds"], list(config["datasets"])
    run_names = [
        run_name(block, label, seed) for block in blocks(config) for label in config["labels"] for seed in seeds
    ]
    split_names = [reference_name(block, seed) for block in blocks(config) for seed in seeds]
    predictions = _files(inputs["predictions"], "runs", run_names, "predictions.parquet")
    tables = _files(inputs["items"], "data", datasets, "items.parquet")
    reference = _files(inputs["reference"], "data", datasets, "reference.parquet")

    sets = names.sets(config["metrics"])
    runs = evaluations(inputs["scores"], "runs", run_names, sets)
    references = evaluations(inputs["references"], "references", list(dict.fromkeys(split_names)), sets, read_rows)
    facts = study_facts(config, runs, reference)
    cells = ledger.build({**config, "headings": facts["headings"]}, runs, references)
    columns = items.columns(config["labels"], [about["classes"] for about in facts["datasets"].values()])
    items.write_csv(outputs["items_csv"], columns, items.frames(config, tables, reference, predictions))

    io.write_table(outputs["cells"], cells, facts)
    cells, _ = io.read_table(outputs["cells"])  # what is printed is what the file says
    document = ledger_view.document(cells)
    io.write_text(outputs["table_csv"], ledger_view.render_csv(cells))
    io.write_text(outputs["table_md"], documents.markdown(document))
    io.write_text(outputs["table_tex"], documents.latex(document))
    io.write_json(outputs["config"], config)


def _files(paths: list[Path], folder: str, names: list[str], what: str) -> dict[str, Path]:
    found = named(paths, folder)
    expect(found, names, what)
    return {name: found[name] for name in names}


def study_facts(config: Mapping[str, Any], runs: Evaluations, reference: Mapping[str, Path]) -> dict[str, Any]:
    """What the captions tell besides numbers of the ledger.

    Raises:
        UserError: runs of one study with different epsilons, or of one data set with different classes.
    """
    files = [(name, file) for name, sets in runs.items() for file in sets.values()]
    _, first = files[0]
    for _, file in files:
        if file.content.eps != first.content.eps:
            raise UserError(
                f"{file.path}: found eps {file.content.eps}, expected {first.content.eps} as in {first.path}. Delete "
                f"the older one and run again."
            )
    datasets, setup = {}, []
    for dataset, definition in config["datasets"].items():
        truth = reference_file.read(reference[dataset])
        datasets[dataset] = {"classes": truth.classes}
        for name, file in files:
            if name.startswith(f"{dataset}/") and file.content.classes != truth.classes:
                raise UserError(
                    f"{file.path}: found the classes {', '.join(file.content.classes)}, expected "
                    f"{', '.join(truth.classes)} as in {reference[dataset]}. Delete it and run again."
                )
        for recipe, settings in config["recipes"].items():
            settings = {**settings, **settings["optimiser"]}
            if definition["paper"]:
                here = {
                    **settings,
                    "items": len(truth.item),
                    "pixels": definition["description"]["source"].get("pixels"),
                    "reference": "exact" if truth.votes is None else "votes",
                }
                differing = "; ".join(paper.differences(definition["paper"], here)) or "nothing that it states"
                place = f"{paper.title(dataset)}, recipe {recipe}"
                setup.append(f"{place} differs from the paper in: {differing}.")
                setup.append(f"{place}, where the paper says nothing: {'; '.join(paper.unstated(settings))}.")
        if truth.votes is not None:
            setup.append(
                f"{paper.title(dataset)}: the reference is made of {truth.votes.mean():.1f} votes an item on average."
            )
    return {
        "study": config["study"],
        "labels": sorted(config["labels"], key=lambda label: label != config["baseline"]),  # the baseline first
        "baseline": config["baseline"],
        "seeds": config["seeds"],
        "metrics": config["metrics"],
        "headings": headings(config["metric_options"]),
        "structure": [f"structure.{name}" for name in structure.FACTS],
        "tables": tables(config),
        "ddof": config["ddof"],
        "level": config["level"],
        "eps": first.content.eps,
        "datasets": datasets,
        "setup": setup,
    }


def headings(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the tables tell of each metric and structure number: heading with an arrow, better, unit, decimals.

    Args:
        metrics: name to kind and options; options that are not the default are told in the heading.
    """
    facts = {name: registry.entry("metric", options["kind"]) for name, options in metrics.items()}
    facts |= {f"structure.{name}": about for name, about in structure.FACTS.items()}
    kept, found = ("better", "unit", "decimals", "source"), {}
    for name, about in facts.items():
        rules, options = about.get("options", {}), metrics.get(name, {})
        changed = {key: options[key] for key in rules if key in options and options[key] != rules[key].get("default")}
        chosen = [f"{key} {value}" for key, value in changed.items()]
        heading = f"{about['heading']} ({', '.join(chosen)})" if chosen else about["heading"]
        arrow = f" {ARROWS[about['better']]}" if about.get("better") else ""
        found[name] = {"heading": f"{heading}{arrow}", **{key: about.get(key) for key in kept}}
    return found


def tables(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Kind and options of each table of the study.

    Raises:
        UserError: a table of a metric that the study does not have.
    """
    chosen = config.get("tables") or [{"kind": kind} for kind in ledger_view.TABLES]
    for table in chosen:
        for metric in table.get("metrics") or ():
            if metric not in config["metrics"]:
                raise UserError(
                    f"study {config['study']}, table {table['kind']}: found the metric {metric}, expected some of "
                    f"{', '.join(config['metrics'])}. Add it to the study's metrics."
                )
    return chosen
