"""The schema of the configuration, put together from the sections below and from what each entry says of its options.

Rules are JSON Schema with a few words more: ``registry`` (a kind and its options: a text ``cosine`` is short for
``{kind: cosine}``), ``$ref`` (a rule of :data:`SHARED`), ``required`` in an option, ``moved`` (where the key belongs),
``named`` (definitions by name), ``ordered`` (a range, low before high), ``input`` (a path, and the name of the input of
the command) and ``neutral`` (the value that means "as before this key existed", which is not tracked). Standard library
only, as each job starts with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from . import registry
from .errors import UserError

SHARED = {
    "range": {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2, "maxItems": 2},
    "archive": {
        "type": ["string", "null"], "default": None,
        "description": "Archive (.zip) that is unpacked for the import only; a published one is downloaded if it "
                       "is not there."},
    "checksum": {
        "type": ["string", "null"], "pattern": "^(published|sha256:[0-9a-fA-F]{64}|md5:[0-9a-fA-F]{32})$",
        "default": "published",
        "description": "Hash that the archive must have - `published` (where one is known), `sha256:…`, `md5:…`, "
                       "or null for none."},
    "order": {
        "enum": ["index", "name"], "default": "index",
        "description": "Whether row i belongs to the i-th file by name, or a column names the file."},
    "name_column": {
        "type": "string", "default": "name", "description": "For `order: name`, the column with the file names."},
    "group_column": {
        "type": ["string", "null"], "default": None,
        "description": "Column with the group (animal, slide, video) that must not straddle a split."},
    "separator": {
        "enum": [",", ";", "\t", "|"], "default": ",", "description": "What separates the cells of a CSV file."},
    "unvoted": {
        "enum": ["refuse", "leave_out"], "default": "refuse",
        "description": "What happens to images without a vote."},
    "pseudonymise": {
        "type": "boolean", "default": True,
        "description": "Whether annotators are renamed annotator-0001 and so on."},
    "deep": {
        "enum": ["refuse", "scale", "stretch"], "default": "refuse",
        "description": "How grey values of 16 bits become 8 - `scale` (65535 becomes 255) or `stretch` (each "
                       "image's own range)."},
    "classes": {
        "anyOf": [{"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 2, "uniqueItems": True},
                  {"type": "null"}],
        "default": None, "description": "Class names in index order; null takes them from the data."},
    "pixels": {
        "anyOf": [{"type": "integer", "minimum": 8, "maximum": 4096}, {"type": "null"}], "default": None,
        "description": "Side that images are resized to; null demands that all have one size."},
    "resize": {
        "enum": ["stretch", "crop", "pad"], "default": "stretch",
        "description": "How images that are not square become so."},
    "groups": {"type": "boolean", "default": True, "description": "Whether items of one group stay in one part."},
    "allow_missing_class": {
        "type": "boolean", "default": False, "description": "Accept a part in which a class has no item."},
    "duplicates": {
        "enum": ["together", "apart"], "default": "together",
        "description": "Whether images with exactly the same pixels stay in one part."},
    "names": {
        "type": "array", "items": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_]*$"}, "minItems": 1,
        "uniqueItems": True},
}  # fmt: skip

DATASET = {
    "source": {
        "registry": "source",
        "description": "Where images and votes come from; its kind says which keys it has (required)."},
    "reference": {
        "enum": ["exact", "votes", None], "default": None,
        "description": "What predictions are scored against: the share of the votes, or the exact distribution (of "
                       "synthetic sources, and of `distributions`); null takes the votes where the source has "
                       "votes."},
    "paper": {
        "enum": ["synthetic", "mice_bone", None], "default": None,
        "description": "Row of the paper's Table 1 that is printed beside this data set's results."},
    "about": {
        "type": "object", "additionalProperties": False, "default": {},
        "description": "What the data card says of the data set's origin. Published files that are known fill it "
                       "in.",
        "properties": {"description": {"type": ["string", "null"], "default": None,
                                       "description": "What the data are."},
                       "licence": {"type": ["string", "null"], "default": None,
                                   "description": "Licence of images and votes."},
                       "citation": {"type": ["string", "null"], "default": None, "description": "What to cite."},
                       "homepage": {"type": ["string", "null"], "default": None,
                                    "description": "Where the data are described."}}},
}  # fmt: skip

LABEL = {
    "aggregate": {"registry": "aggregate", "description": "How votes become a distribution (required)."},
    "form": {
        "enum": ["soft", "hard"],
        "description": "Whether the network sees the distribution or its most likely class (required)."},
    "ties": {
        "enum": ["lowest_index", "random", "drop"], "default": "lowest_index",
        "description": "Which class wins a tie of votes; `drop` trains without such items. Ties are counted either "
                       "way."},
    "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "Seed of `ties: random`."},
    "delivery": {
        "enum": ["expected"], "moved": "",
        "description": "Of older configurations; it has one value and says nothing."},
}  # fmt: skip

RECIPE = {
    "network": {"registry": "network", "description": "Network (required)."},
    "weights": {
        "enum": ["none", "imagenet", "file"], "default": "none",
        "description": "Initial weights of all but the last layer."},
    "weights_file": {
        "type": ["string", "null"], "default": None,
        "description": "For `weights: file`, safetensors or PyTorch weights."},
    "dropout": {
        "type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0,
        "description": "Share of features dropped before the head."},
    "epochs": {"type": "integer", "minimum": 1, "default": 60, "description": "Passes over the training part."},
    "hold": {
        "enum": ["epochs", "steps"], "default": "epochs",
        "description": "What is equal across labels where a label drops items."},
    "batch": {"type": "integer", "minimum": 2, "default": 128, "description": "Images a step."},
    "rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.1, "description": "Base learning rate."},
    "optimiser": {"registry": "optimiser", "default": "sgd", "description": "How gradients become steps."},
    "momentum": {"moved": "optimiser.momentum", "description": "Short for optimiser.momentum."},
    "weight_decay": {"moved": "optimiser.weight_decay", "description": "Short for optimiser.weight_decay."},
    "warmup_epochs": {
        "type": "number", "minimum": 0, "default": 0, "description": "Epochs of linear warm-up before the schedule."},
    "schedule": {
        "registry": "schedule", "default": "cosine", "description": "Learning rate over time, as a share of `rate`."},
    "loss": {"registry": "loss", "default": "cross_entropy", "description": "Loss."},
    "class_weight": {
        "enum": ["none", "argmax", "per_class"], "default": "none",
        "description": "Weights against class imbalance from the training part: `argmax` weighs items by their "
                       "hard class; `per_class` weighs the terms of the loss, which moves the optimum of soft "
                       "labels away from the distribution."},
    "augment": {
        "type": "object", "additionalProperties": False, "default": {},
        "description": "Augmentation; the defaults leave the label of the synthetic set true.",
        "properties": {"flips": {"enum": ["none", "horizontal", "both"], "default": "both",
                                 "description": "Flips left to right, or also top to bottom."},
                       "quarter_turns": {"type": "boolean", "default": True, "description": "Turns by 90 degrees."},
                       "zoom": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 1,
                                "description": "Smallest share of the sides that is kept."},
                       "zoom_probability": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.3,
                                            "description": "How often an image is zoomed."},
                       "hue": {"type": "number", "minimum": 0, "maximum": 0.5, "default": 0,
                               "description": "Largest turn of the hue (share of the circle)."},
                       "saturation": {"$ref": "range", "ordered": True, "default": [1, 1],
                                      "description": "Range of the factor on saturation."},
                       "brightness": {"type": "number", "minimum": 0, "maximum": 1, "default": 0,
                                      "description": "Largest shift of brightness."},
                       "contrast": {"$ref": "range", "ordered": True, "default": [1, 1],
                                    "description": "Range of the factor on contrast."}}},
    "select": {
        "enum": ["last", "best_validation"], "default": "last",
        "description": "Weights that are kept - of the last epoch, or of the lowest cross-entropy of the run's own "
                       "validation labels."},
    "device": {
        "enum": ["cpu", "cuda"], "default": "cpu",
        "description": "Where training runs; `cuda` without a GPU is an error."},
    "precision": {
        "enum": ["auto", "float32", "bfloat16"], "default": "auto",
        "description": "Arithmetic of the network; `auto` is bfloat16 on a GPU and float32 on a CPU."},
    "threads": {
        "type": "integer", "minimum": 1, "maximum": 256, "default": 1, "description": "CPU threads of one training."},
}  # fmt: skip

STUDY = {
    "datasets": {"$ref": "names", "description": "Data sets (required)."},
    "splits": {"$ref": "names", "default": ["random"], "description": "Splits."},
    "recipes": {"$ref": "names", "description": "Recipes (required)."},
    "labels": {
        "$ref": "names", "default": ["hard", "soft"],
        "description": "Labels; differences are taken against the first."},
    "seeds": {
        "type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True,
        "default": [0, 1, 2], "description": "Seeds; each is a split and a set of initial weights and draws."},
    "metrics": {
        "type": "array", "items": {"registry": "metric"}, "minItems": 1, "uniqueItems": True,
        "default": ["macro_acc", "acc", "kl", "kl_dcic", "ce", "tvd"], "description": "Metrics."},
    "ddof": {
        "type": "integer", "enum": [0, 1], "default": 1,
        "description": "Standard deviation of the sample (1) or the population (0)."},
    "level": {
        "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": 0.95,
        "description": "Level of the intervals."},
    "embedding": {
        "type": "object", "additionalProperties": False, "default": {},
        "description": "t-SNE of the pooled features of the first seed's test items.",
        "properties": {"perplexity": {"type": "number", "exclusiveMinimum": 0, "default": 30,
                                      "description": "Perplexity."},
                       "iterations": {"type": "integer", "minimum": 250, "default": 5000,
                                      "description": "Iterations."},
                       "init": {"enum": ["pca", "random"], "default": "pca", "description": "Initialisation."},
                       "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "Seed."}}},
    "tables": {
        "type": "array", "items": {"registry": "table"}, "minItems": 1, "uniqueItems": True,
        "default": ["main", "differences", "references", "paper", "further", "recall", "structure"],
        "description": "Tables, in order."},
    "figures": {
        "type": "array", "items": {"registry": "figure"}, "uniqueItems": True, "default": ["embedding", "curves"],
        "description": "Figures."},
}  # fmt: skip

TOP = {
    "about": {
        "type": "string", "default": "",
        "description": "One line about what this configuration does and what it costs; shown before a run starts."},
    "results": {
        "type": "string", "pattern": "^[^{}]+$", "default": "results",
        "description": "Folder that everything is written to (no braces). Two configurations that define one name "
                       "differently need two folders."},
    "data_folder": {
        "type": "string", "default": ".",
        "description": "Folder that relative paths of data sources (images, counts, votes, weights) start from."},
    "modules": {
        "type": "string", "default": ".",
        "description": "Folder of your own modules: losses, labels and so on that are named `module:function`."},
    "datasets": {"named": "dataset", "description": "Data sets by name.", "default": {}},
    "splits": {
        "named": "split", "description": "Splits into training, validation and test parts, by name.",
        "default": {"random": {}}},
    "labels": {
        "named": "label", "description": "What a network is trained on, by name.",
        "default": {"hard": {"aggregate": "majority", "form": "hard"},
                    "soft": {"aggregate": "average", "form": "soft"}}},
    "recipes": {"named": "recipe", "description": "How a network is trained, by name.", "default": {}},
    "studies": {
        "named": "study",
        "description": "Grids of data sets, splits, recipes, labels and seeds, each with one table (required).",
        "minProperties": 1},
}  # fmt: skip

NAME = "^[a-z0-9][a-z0-9_]*$"
SECTIONS = {"dataset": (DATASET, ["source"]), "label": (LABEL, ["aggregate", "form"]), "recipe": (RECIPE, ["network"]),
            "study": (STUDY, ["datasets", "recipes"])}  # fmt: skip


def _inline(rule: Any) -> Any:
    """A rule with the rules of :data:`SHARED` in the place of references to them."""
    if isinstance(rule, list):
        return [_inline(part) for part in rule]
    if not isinstance(rule, dict):
        return rule
    shared = SHARED[rule["$ref"]] if isinstance(rule.get("$ref"), str) else {}
    return (_inline(shared) if shared else {}) | {key: _inline(value) for key, value in rule.items() if key != "$ref"}


def _object(properties: dict[str, Any], required: list[str], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": _inline(properties),
        "required": required,
        **more,
    }


def options(kind: str, name: str) -> dict[str, Any]:
    """The rule of an entry's options, ``kind`` included.

    Raises:
        UserError: no such entry.
    """
    about = registry.entry(kind, name)
    own = {key: dict(rule) for key, rule in about["options"].items()}
    required = [key for key, rule in own.items() if rule.pop("required", False)]
    shared = {key: {"$ref": key} for key in about.get("shared", ())}
    properties = {"kind": {"const": name, "description": about["about"]}, **own, **shared}
    return _object(properties, ["kind", *required], entry=[kind, name])


def defaults(kind: str, name: str) -> dict[str, Any]:
    """The default values of an entry's options.

    Raises:
        UserError: no such entry.
    """
    rules = options(kind, name)["properties"]
    return {key: complete(rule["default"], rule) for key, rule in rules.items() if "default" in rule}


@cache
def section(name: str) -> dict[str, Any]:
    """The rule of a data set, split, label, recipe or study; of the whole configuration for ``""``."""
    if name == "split":
        return {"registry": "split", "default": "random"}
    if name:
        return _object(*SECTIONS[name])
    top = {key: _named(rule) if "named" in rule else rule for key, rule in TOP.items()}
    return _object(top, ["studies"])


def _named(rule: dict[str, Any]) -> dict[str, Any]:
    """The rule of definitions by name."""
    rest = {key: value for key, value in rule.items() if key != "named"}
    return {
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "additionalProperties": section(rule["named"]),
        **rest,
    }


def branches(value: Any, rule: dict[str, Any]) -> list[dict[str, Any]]:
    """``rule``, its options that are not null, and the rule of the entry that ``value`` names."""
    rules = [rule]
    for option in rule.get("anyOf", []):  # here always "something or null"
        if option.get("type") != "null":
            rules += branches(value, option)
    if "registry" in rule and isinstance(value, dict) and isinstance(value.get("kind"), str):
        with suppress(UserError):  # the check of the configuration tells
            rules.append(options(rule["registry"], value["kind"]))
    return rules


def parts(value: Any, rule: dict[str, Any]) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Key or index, value and rule of each part of a mapping or list."""
    rules = branches(value, rule)
    if isinstance(value, dict):
        properties = {key: sub for r in reversed(rules) for key, sub in r.get("properties", {}).items()}
        others = next((r["additionalProperties"] for r in rules if isinstance(r.get("additionalProperties"), dict)), {})
        yield from ((key, sub, properties.get(key, others)) for key, sub in value.items())
    elif isinstance(value, list):
        items = next((r["items"] for r in rules if "items" in r), {})
        yield from ((index, sub, items) for index, sub in enumerate(value))


def entries(value: Any, rule: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of every entry that a complete configuration names."""
    if "registry" in rule:
        yield rule["registry"], value["kind"]
    for _, sub, subrule in parts(value, rule):
        yield from entries(sub, subrule)


def complete(value: Any, rule: dict[str, Any]) -> Any:
    """``value`` with the defaults of ``rule`` filled in and numbers normalised; what is wrong is left as it is."""
    if "registry" in rule:
        if isinstance(value, str):
            value = {"kind": value}
        if isinstance(value, dict) and "kind" not in value and "default" in rule:
            value = {"kind": rule["default"], **value}
    rules = branches(value, rule)
    if isinstance(value, dict):
        properties = {key: sub for r in reversed(rules) for key, sub in r.get("properties", {}).items()}
        value = _moved({str(key): sub for key, sub in value.items()}, properties)
        for key, sub in properties.items():
            default = next((r["default"] for r in branches(None, sub) if "default" in r), ...)
            if key not in value and default is not ...:
                value[key] = default
        return {key: complete(sub, subrule) for key, sub, subrule in parts(value, rule)}
    if isinstance(value, list):
        return [complete(sub, subrule) for _, sub, subrule in parts(value, rule)]
    kinds = {r["type"] for r in rules if isinstance(r.get("type"), str)}
    if isinstance(value, str):
        # YAML 1.1 reads 1e-4 as text, Snakemake every value inside `--config key={...}`.
        if kinds & {"number", "integer"} and re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", value):
            value = float(value)
        elif "boolean" in kinds:
            value = {"true": True, "false": False}.get(value, value)
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and "number" in kinds and abs(value) < 2**53:
        return float(value)
    return value


def _moved(value: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """``value`` with each key where it belongs; one that is given in both places stays, and is refused."""
    for key, rule in properties.items():
        if key not in value or "moved" not in rule:
            continue
        if not rule["moved"]:  # it says nothing
            if value[key] in rule["enum"]:
                del value[key]
            continue
        target, _, inside = rule["moved"].partition(".")
        there = value.get(target, {})
        there = {"kind": there} if isinstance(there, str) else there
        if isinstance(there, dict) and inside not in there:
            value[target] = {**there, inside: value.pop(key)}
    return value


# -- what is tracked ---------------------------------------------------------------------------------------------------


def _neutral(rule: dict[str, Any]) -> Any:
    return complete(rule["neutral"], rule)


def tracked(value: Any, rule: dict[str, Any]) -> Any:
    """A complete ``value`` without the keys that have their neutral value: a key added later makes nothing stale."""
    if isinstance(value, dict):
        return {
            key: tracked(sub, subrule)
            for key, sub, subrule in parts(value, rule)
            if "neutral" not in subrule or sub != _neutral(subrule)
        }
    return [tracked(sub, subrule) for _, sub, subrule in parts(value, rule)] if isinstance(value, list) else value


def restored(value: Any, rule: dict[str, Any]) -> Any:
    """``value`` with the keys again that :func:`tracked` left out."""
    if isinstance(value, dict):
        properties = {key: sub for r in branches(value, rule) for key, sub in r.get("properties", {}).items()}
        absent = {key: _neutral(sub) for key, sub in properties.items() if "neutral" in sub and key not in value}
        return {key: restored(sub, subrule) for key, sub, subrule in parts({**value, **absent}, rule)}
    return [restored(sub, subrule) for _, sub, subrule in parts(value, rule)] if isinstance(value, list) else value


@cache
def of_command() -> dict[str, Any]:
    """The rule of the keys that configurations of commands have in common with the configuration."""
    ones = {name: section(name) for name in ("recipe", "label", "split")}
    several = {f"{name}s": {"additionalProperties": rule} for name, rule in ones.items()}
    lists = {f"{kind}s": {"items": {"registry": kind}, "additionalProperties": {"registry": kind}}
             for kind in ("metric", "table", "figure")}  # fmt: skip
    single = {"source": DATASET["source"], **{kind: {"registry": kind} for kind in ("figure", "table")}}
    return {"properties": {**single, **ones, **several, **lists}}
