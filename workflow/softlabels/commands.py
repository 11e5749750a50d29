"""The commands that rules call: what each reads and writes, and which code it runs.

A command is ``run(config, inputs, outputs)`` of its entry module. ``config`` is one JSON value with just the keys that
the command reads; inputs and outputs are paths by name, as this table and :mod:`softlabels.places` (where the outputs
lie) have them. The command line, the workflow and the manifests all follow these two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import schema
from .registry import location


@dataclass(frozen=True)
class Command:
    """One command; its outputs lie where ``PLACES`` says."""

    module: str  # entry module
    help: str  # one line
    # Names of paths: ``name*`` takes several, ``name?`` may be absent, ``name*?`` are as many as there are, ``name=``
    # are pairs NAME=PATH.
    inputs: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()  # keys of its configuration that name what it runs, in the registry; the rest is noted
    always: tuple[tuple[str, str], ...] = ()  # kind and name of what it runs whatever its configuration says
    group: str | None = None  # of small jobs, with which its own are put together on a cluster; None: a job each
    # Whether ``run`` saves state, to go on after a stop: it takes ``code``, the code hash (only that code may load the
    # state), and ``finish``, which writes the manifest before the state is removed.
    resumes: bool = False
    threads: bool = False  # whether ``run`` takes ``threads``, how many it may use: its result does not depend on it


# In the order in which data flows.
COMMANDS = {
    "download": Command("softlabels.datasets.download", "fetch a published file"),
    "data": Command(
        "softlabels.datasets.data", "generate or import a data set", ("source=",), runs=("source",), threads=True),
    "card": Command(
        "softlabels.cards.card", "describe a data set: its votes, agreement, classes, splits",
        ("images", "items", "annotations", "reference", "splits*"),
        always=(("metric", "kl_dcic"), ("metric", "tvd")), group="report"),
    "label": Command(
        "softlabels.labels.label", "make the labels of one type",
        ("annotations", "reference", "items?", "split?", "predictions*?", "given?"), runs=("label",),
        group="preparation"),
    "split": Command(
        "softlabels.labels.split", "split a data set", ("items", "reference"), runs=("split",), group="preparation"),
    "references": Command(
        "softlabels.evaluation.references", "score what needs no network: uniform, prior, oracles, floors",
        ("reference", "annotations", "split"), runs=("metrics",), group="preparation"),
    "train": Command(
        "softlabels.training.train", "train one network",
        ("images", "items?", "split", "labels", "reference", "weights?"),
        runs=("recipe", "delivery"), always=(("delivery", "expected"),), resumes=True),
    "adopt": Command(
        "softlabels.adopt", "read the predictions of a network that was trained elsewhere",
        ("given", "names?", "items", "reference", "split"), group="evaluation"),
    "encode": Command(
        "softlabels.heads.encode", "compute the features of all items by a frozen network",
        ("images", "weights?"), runs=("recipe",)),
    "fit": Command(
        "softlabels.heads.fit", "fit a linear head on the features of a frozen network",
        ("features", "encoder", "items", "split", "labels", "reference"), group="evaluation"),
    "evaluate": Command(
        "softlabels.evaluation.evaluate", "evaluate one run on its validation and test parts",
        ("predictions", "features?", "reference", "annotations", "split", "items", "label"), runs=("metrics",),
        group="evaluation"),
    "embed": Command(
        "softlabels.embedding", "t-SNE of the pooled features of the test items",
        ("features", "split", "reference"), group="report"),
    "figure": Command(
        "softlabels.studies.figure", "draw one figure of a study",
        ("embeddings*?", "items*?", "reference*?", "scores*?", "histories*?", "cells?", "predictions*?"),
        runs=("figure",), group="report"),
    "study": Command(
        "softlabels.studies.study", "gather a study: ledger, tables, items",
        ("scores*", "terms*", "predictions*", "references*", "items*", "reference*", "annotations*?", "histories*?"),
        runs=("tables",), group="report"),
    "chain": Command(
        "softlabels.studies.chain", "list the manifests behind a study's tables", ("manifests*",), group="report"),
}  # fmt: skip


TRAINED, ADOPTED, FITTED = "train", "adopt", "fit"
MAKERS = (TRAINED, ADOPTED, FITTED)
ENCODED = "encode"  # what fits read: made once for all labels, splits and seeds
# What the features of a frozen network depend on, of a recipe; ``weights_file`` is an input.
ENCODER = ("network", "train", "weights", "upscale", "device", "threads")


def maker(recipe: Mapping[str, Any]) -> str:
    """The command that makes the predictions of a recipe's runs: this is decided here and nowhere else."""
    if "predictions" in recipe:
        return ADOPTED
    return FITTED if recipe.get("train") == "head" else TRAINED


def encoder(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What of a recipe its features depend on: of a complete one, or as commands are told of it."""
    return {key: recipe[key] for key in ENCODER if key in recipe}


def bare(path: str) -> str:
    """The name of an input without the marks for how many there are."""
    return path.rstrip("*?=")


def option(path: str) -> str:
    """The command line's option for a path."""
    # --config is every command's configuration; the study's resolved configuration is a file.
    return "--config-file" if path == "config" else f"--{bare(path).replace('_', '-')}"


def running(command: str, config: dict[str, Any]) -> dict[str, Any]:
    """What of a command's configuration names what it runs of the registry."""
    return {key: config[key] for key in COMMANDS[command].runs if key in config}


def named(command: str, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and name of what a command runs of the registry."""
    return [*COMMANDS[command].always, *schema.entries(running(command, config), schema.of_command())]


def entries(command: str, config: dict[str, Any]) -> tuple[str, ...]:
    """Where the code of a command begins, as ``module:function``: its own, and what its configuration names."""
    return (f"{COMMANDS[command].module}:run", *(":".join(location(*entry)) for entry in named(command, config)))
