"""The commands that rules call: what each reads and writes, and which code it runs.

A command is ``run(config, inputs, outputs)`` of its entry module. ``config`` is one JSON value with just the keys that
the command reads; inputs and outputs are paths by name. The command line, the workflow and the manifests all follow
this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .provenance import closure
from .registry import location

Names = list[tuple[str, str]]


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        module: entry module.
        help: one line.
        inputs, outputs: names of paths; ``name*`` takes several, ``name?`` may be absent.
        registered: the (kind, name) pairs of the registry that a configuration of this command names.
        levels: how many folders lie between the results folder and the first output.
        resumes: whether ``run`` saves state, to go on after a stop: it takes ``code``, the code hash (only that code
            may load the state), and ``finish``, which writes the manifest before the state is removed.
        threads: whether ``run`` takes ``threads``, how many it may use (its result does not depend on it).
    """

    module: str
    help: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    registered: Callable[[dict[str, Any]], Names] = lambda config: []
    levels: int = 3
    resumes: bool = False
    threads: bool = False


def _of_recipe(config: dict[str, Any]) -> Names:
    recipe = config["recipe"]
    return [(kind, recipe[kind]["kind"]) for kind in ("network", "loss", "optimiser", "schedule")]


def _metrics(config: dict[str, Any]) -> Names:
    return [("metric", options["kind"]) for options in config["metrics"].values()]


COMMANDS = {
    "download": Command("softlabels.datasets.download", "fetch a published file", (), ("file",), levels=0),
    "data": Command(
        "softlabels.datasets.data",
        "generate or import a data set",
        ("folder?", "archive?", "votes?", "about?", "counts?", "distributions?", "labels?", "annotators?", "compare?"),
        ("images", "items", "annotations", "reference"),
        lambda config: [("source", config["source"]["kind"])],
        levels=2,
        threads=True,
    ),
    "card": Command(
        "softlabels.cards.card",
        "describe a data set: its votes, agreement, classes, splits",
        ("images", "items", "annotations", "reference", "splits*"),
        ("card_md", "card_json", "sheet", "votes"),
        lambda config: [("metric", "kl_dcic"), ("metric", "tvd")],
        levels=2,
    ),
    "split": Command(
        "softlabels.labels.split",
        "split a data set",
        ("items", "reference"),
        ("split",),
        lambda config: [("split", config["split"]["kind"])],
    ),
    "label": Command(
        "softlabels.labels.label",
        "make the labels of one type",
        ("annotations", "reference"),
        ("labels",),
        lambda config: [("aggregate", config["label"]["aggregate"]["kind"])],
    ),
    "train": Command(
        "softlabels.training.train",
        "train one network",
        ("images", "split", "labels", "reference", "weights?"),
        ("model", "history", "predictions", "features"),
        _of_recipe,
        levels=6,
        resumes=True,
    ),
    "evaluate": Command(
        "softlabels.evaluation.evaluate",
        "evaluate one run on its validation and test parts",
        ("predictions", "features", "reference", "split", "items", "label"),
        ("scores",),
        _metrics,
        levels=7,
    ),
    "references": Command(
        "softlabels.evaluation.references",
        "score what needs no network: uniform, prior, oracles, floors",
        ("reference", "split"),
        ("references",),
        _metrics,
        levels=4,
    ),
    "embed": Command(
        "softlabels.embedding",
        "t-SNE of the pooled features of the test items",
        ("features", "split", "reference"),
        ("embedding",),
    ),
    "study": Command(
        "softlabels.studies.study",
        "gather a study: ledger, tables, items",
        ("scores*", "predictions*", "references*", "items*", "reference*"),
        ("config", "table_csv", "table_md", "table_tex", "cells", "items_csv"),
        levels=2,
    ),
    "figure": Command(
        "softlabels.studies.figures",
        "draw the embedding of each label",
        ("embeddings*", "items", "reference", "scores*"),
        ("png", "pdf"),
    ),
    "curves": Command("softlabels.studies.curves", "draw the learning curves", ("histories*",), ("png", "pdf")),
    "chain": Command(
        "softlabels.studies.chain", "list the manifests behind a study's tables", ("manifests*",), ("chain",), levels=2
    ),
}


def modules(command: str, config: dict[str, Any]) -> tuple[str, ...]:
    """The entry module of a command and the modules that its configuration names."""
    entry = COMMANDS[command]
    return (entry.module, *(location(kind, name)[0] for kind, name in entry.registered(config)))


def code_hash(command: str, config: dict[str, Any]) -> str:
    """Hash of the code that a command runs with a configuration."""
    return closure.code_hash(modules(command, config))
