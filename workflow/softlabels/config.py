"""The configuration: read, checked against the schema, completed with defaults."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from . import registry
from .errors import UserError

SCHEMA = Path(__file__).resolve().parents[1] / "schemas" / "config.schema.yaml"

_Checker = jsonschema.Draft202012Validator
_Validator = jsonschema.validators.extend(
    _Checker,
    # A NaN passes every comparison of a schema, and JSON has neither NaN nor infinity.
    type_checker=_Checker.TYPE_CHECKER.redefine(
        "number",
        lambda checker, value: _Checker.TYPE_CHECKER.is_type(value, "number") and abs(value) <= sys.float_info.max,
    ),
)


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key defined twice, which YAML itself silently resolves to the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[str, int] = {}
    for key_node, _ in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in seen and key != "<<":
            raise UserError(
                f"{node.start_mark.name}: '{key}' is defined twice, in lines {seen[key]} and {line}. "
                f"Remove or rename one."
            )
        seen[key] = line
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(path: str | Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises:
        UserError: no such file, no YAML, or a key that is defined twice.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            config = yaml.load(file, _Loader) or {}  # a SafeLoader with one more check
    except FileNotFoundError:
        raise UserError(f"{path}: no such configuration file. Name one with --configfile.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Name a configuration file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not valid YAML: {error}. Correct that line.") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: found {_text(config)}, expected 'key: value' lines. Start from config/config.yaml.")
    return config


def overridden(raw: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """``raw`` with ``key=value`` pairs laid over it: mappings are merged, all else is replaced, as Snakemake does.

    Raises:
        UserError: a pair without "=", or a value that is not YAML.
    """

    def merge(below: Any, above: Any) -> Any:
        if not (isinstance(below, dict) and isinstance(above, dict)):
            return above
        return {**below, **{key: merge(below.get(key), value) for key, value in above.items()}}

    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--config {override}: expected key=value, such as data_folder=../images.")
        try:
            raw = merge(raw, {key: yaml.safe_load(value)})
        except yaml.YAMLError:
            raise UserError(f"--config {override}: the value is not YAML. Quote it, or correct it.") from None
    return raw


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), loader)


def resolve(raw: dict[str, Any]) -> dict[str, Any]:
    """Check a configuration and complete it with every default.

    Numbers become what the schema says (10 and 10.0 and "1e-4" where a number is due), so that equal configurations
    have equal text.

    Raises:
        UserError: all problems in one list, each with its key, what was found and what was expected.
    """
    config = complete(raw, schema())
    errors = list(_Validator(schema()).iter_errors(config))
    problems = [problem for error in errors for problem in _explain(error)] + _unregistered(config, schema())
    if not errors:
        problems += _inconsistent(config)
    if problems:
        distinct = list(dict.fromkeys(problems))
        lines = "\n".join(f"  - {problem}" for problem in distinct)
        raise UserError(f"The configuration has {len(distinct)} problem{'s'[: len(distinct) > 1]}:\n{lines}")
    for dataset in config["datasets"].values():
        dataset["reference"] = dataset["reference"] or ("votes" if _has_votes(dataset["source"]) else "exact")
    return config


def _branches(value: Any, rule: dict[str, Any]) -> list[dict[str, Any]]:
    """``rule``, the rules that it refers to and those that apply to ``value`` by if/then."""
    rules = [rule]
    if "$ref" in rule:
        target = schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")]
        rules += _branches(value, target)
    for option in rule.get("anyOf", []):  # here always "something or null"
        if option.get("type") != "null":
            rules += _branches(value, option)
    for case in rule.get("allOf", []):
        wanted = case["if"]["properties"]["kind"]["const"]
        if isinstance(value, dict) and value.get("kind", rule["properties"]["kind"].get("default")) == wanted:
            rules += _branches(value, case["then"])
    return rules


def complete(value: Any, rule: dict[str, Any]) -> Any:
    """``value`` with the defaults of ``rule`` filled in and numbers normalised; what is wrong is left as it is."""
    rules = _branches(value, rule)
    kinds = {r["type"] for r in rules if isinstance(r.get("type"), str)}
    if isinstance(value, dict):
        properties = {key: sub for r in reversed(rules) for key, sub in r.get("properties", {}).items()}
        others = next((r["additionalProperties"] for r in rules if isinstance(r.get("additionalProperties"), dict)), {})
        result = {str(key): complete(sub, properties.get(key, others)) for key, sub in value.items()}
        for key, sub in properties.items():
            default = next((r["default"] for r in _branches(None, sub) if "default" in r), ...)
            if key not in result and default is not ...:
                result[key] = complete(default, sub)
        return result
    if isinstance(value, list):
        items = next((r["items"] for r in rules if "items" in r), {})
        return [complete(sub, items) for sub in value]
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


def _key(path: Any) -> str:
    return ".".join(str(part) for part in path) or "the top level"


def _text(value: Any) -> str:
    """A value as YAML's flow style writes it."""
    return json.dumps(value, ensure_ascii=False, default=str)


TYPES = {
    "object": "keys with values",
    "array": "a list [...]",
    "string": "text",
    "integer": "a whole number",
    "number": "a finite number",
    "boolean": "true or false",
    "null": "null",
}


def _type(rule: dict[str, Any]) -> str:
    """The type of value that a rule asks for, in words."""
    kinds = rule.get("type", "array")  # a rule without a type is here a reference to a range
    return " or ".join(TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _nearest(name: str, known: Iterable[str], what: str) -> str:
    """The known name that a wrong one is closest to, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"{what}: {', '.join(sorted(known)) or 'none'}."


def _explain(error: jsonschema.ValidationError) -> list[str]:
    """One violation of the schema in words: where, what was found, what was expected."""
    place, limit = _key(error.absolute_path), error.validator_value
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = sorted(set(error.instance) - set(known))
        return [f"{place}: unknown key '{key}'; {_nearest(key, known, 'known keys')}" for key in unknown]
    if error.validator == "required":
        return [f"{place}: the key '{key}' is missing." for key in limit if key not in error.instance]
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        return [f"{place}: '{error.instance}' is no name; use lower case letters, digits and underscores."]
    if error.validator == "anyOf":  # what is wrong inside a value of the right type says more than the types
        inside = [cause for cause in error.context if cause.validator != "type" or cause.relative_path]
        if inside:
            return [problem for cause in inside for problem in _explain(cause)]
    expected = {
        "type": lambda: _type(error.schema),
        "anyOf": lambda: " or ".join(_type(option) for option in limit),
        "enum": lambda: f"one of {', '.join(word if isinstance(word, str) else _text(word) for word in limit)}",
        "const": lambda: _text(limit),
        "pattern": lambda: f"text of the form {limit}",
        "minLength": lambda: "some text",
        "minimum": lambda: f"at least {limit}",
        "maximum": lambda: f"at most {limit}",
        "exclusiveMinimum": lambda: f"more than {limit}",
        "exclusiveMaximum": lambda: f"less than {limit}",
        "minItems": lambda: f"{limit} entries or more",
        "maxItems": lambda: f"{limit} entries or fewer",
        "minProperties": lambda: "at least one entry",
        "uniqueItems": lambda: "no entry twice",
    }
    return [f"{place}: found {_text(error.instance)}, expected {expected[error.validator]()}."]


def _unregistered(value: Any, rule: dict[str, Any], path: tuple[str, ...] = ()) -> list[str]:
    """Names that no registry knows, where the schema says ``registry``."""
    rules = _branches(value, rule)
    problems = []
    for kind in {r["registry"] for r in rules if "registry" in r and isinstance(value, str)}:
        try:
            registry.location(kind, value)
        except UserError as error:
            problems.append(f"{_key(path)}: {error}")
    if isinstance(value, dict):
        properties = {key: sub for r in reversed(rules) for key, sub in r.get("properties", {}).items()}
        others = next((r["additionalProperties"] for r in rules if isinstance(r.get("additionalProperties"), dict)), {})
        for key, sub in value.items():
            problems += _unregistered(sub, properties.get(key, others), (*path, key))
    if isinstance(value, list):
        items = next((r["items"] for r in rules if "items" in r), {})
        for index, sub in enumerate(value):
            problems += _unregistered(sub, items, (*path, str(index)))
    return problems


def _inconsistent(config: dict[str, Any]) -> list[str]:
    """What a schema cannot say: names that nothing defines, shares that do not sum to 1, sources without votes."""
    problems = []
    for study_name, study in config["studies"].items():
        for table in ("datasets", "splits", "recipes", "labels"):
            for name in study[table]:
                if name not in config[table]:
                    hint = _nearest(name, config[table], "defined")
                    problems.append(f"studies.{study_name}.{table}: '{name}' is not defined under {table}; {hint}")
        if len(study["labels"]) > 1 and "macro_acc" not in study["metrics"]:
            problems.append(f"studies.{study_name}.metrics: 'macro_acc' is missing; Table 1 needs it.")
    for name, split in config["splits"].items():
        if split["kind"] != "random":
            continue
        total = sum(Fraction(str(split[part])) for part in ("train", "val", "test"))  # as they are written
        if total != 1:
            problems.append(f"splits.{name}: train + val + test is {float(total)}, expected 1.")
    for name, dataset in config["datasets"].items():
        source = dataset["source"]
        if dataset["reference"] == "exact" and source["kind"] not in ("synthetic", "distributions"):
            problems.append(f"datasets.{name}.reference: 'exact' is not known for {source['kind']}; use votes.")
        if dataset["reference"] == "votes" and not _has_votes(source):
            problems.append(f"datasets.{name}.reference: 'votes' needs a source with votes; use exact.")
        if source["kind"] == "dcic" and (source["images"] is None) == (source["archive"] is None):
            problems.append(f"datasets.{name}.source: expected either images (a folder) or archive (a .zip).")
        if source["kind"] == "synthetic" and source["pixels"] * source["supersampling"] > 32767:
            problems.append(
                f"datasets.{name}.source: pixels times supersampling is {source['pixels'] * source['supersampling']}, "
                f"expected at most 32767. Lower one."
            )
        problems += _reversed(f"datasets.{name}.source", source, ("radius", "centre"))
    for name, recipe in config["recipes"].items():
        if recipe["weights"] == "file" and not recipe["weights_file"]:
            problems.append(f"recipes.{name}.weights_file: missing; 'weights: file' needs the path of the weights.")
        if recipe["weights"] != "file" and recipe["weights_file"]:
            problems.append(f"recipes.{name}.weights_file: is read with 'weights: file' only. Set that, or remove it.")
        if recipe["precision"] == "bfloat16" and recipe["device"] == "cpu":
            problems.append(f"recipes.{name}.precision: bfloat16 needs device: cuda.")
        if recipe["warmup_epochs"] >= recipe["epochs"]:
            problems.append(
                f"recipes.{name}.warmup_epochs: found {recipe['warmup_epochs']:g}, expected less than epochs "
                f"({recipe['epochs']})."
            )
        problems += _reversed(f"recipes.{name}.augment", recipe["augment"], ("saturation", "contrast"))
    return problems


def _has_votes(source: dict[str, Any]) -> bool:
    """Whether a source has votes, and not distributions alone."""
    return source["kind"] != "distributions" and source.get("votes") != 0


def _reversed(place: str, values: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    """Ranges whose ends are swapped."""
    wrong = [key for key in keys if values.get(key) and values[key][0] > values[key][1]]
    return [f"{place}.{key}: found {values[key]}, expected [low, high]. Swap the two." for key in wrong]


def warnings(config: dict[str, Any]) -> list[str]:
    """What is allowed but seldom meant, for the studies of a resolved configuration."""
    from .training.schedules.warm_restarts import ends_mid_cycle

    found = []
    for study in config["studies"].values():
        for name in study["recipes"]:
            recipe = config["recipes"][name]
            epochs = recipe["epochs"] - recipe["warmup_epochs"]
            if recipe["schedule"]["kind"] == "warm_restarts" and ends_mid_cycle(epochs, recipe["schedule"]):
                found.append(
                    f"recipes.{name}: {recipe['epochs']} epochs end in the middle of a cycle, at a high learning rate"
                )
            if recipe["class_weight"] == "per_class":
                found.append(
                    f"recipes.{name}: class_weight per_class moves the optimum of soft labels away from the labels"
                )
            unchanged = {"hue": 0, "saturation": [1, 1], "zoom": 1}
            moved = [key for key, neutral in unchanged.items() if recipe["augment"][key] != neutral]
            for dataset in study["datasets"]:
                if moved and config["datasets"][dataset]["source"]["kind"] == "synthetic":
                    found.append(
                        f"recipes.{name}: augment.{' and augment.'.join(moved)} can make the labels of {dataset} "
                        f"wrong: colour and shape are its classes"
                    )
    return list(dict.fromkeys(found))
