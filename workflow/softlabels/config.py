"""The configuration: read, checked against the schema, completed with defaults."""

from __future__ import annotations

import difflib
import itertools
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from . import registry, schema, varied
from .columns import heads
from .commands import ADOPTED, FITTED, TRAINED, maker
from .contracts import AT, TRUTH, Options, entry_name
from .errors import UserError
from .places import REPOSITORY
from .studies import claims
from .varied import Configuration

_Checker = jsonschema.Draft202012Validator
_Validator = jsonschema.validators.extend(
    _Checker,
    # A NaN passes every comparison of a schema, and JSON has neither NaN nor infinity.
    type_checker=_Checker.TYPE_CHECKER.redefine(
        "number",
        lambda checker, value: _Checker.TYPE_CHECKER.is_type(value, "number") and abs(value) <= sys.float_info.max,
    ),
)


FORMS = ("soft", "hard")  # that an aggregate gives which says nothing else


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
    """Read a configuration file; a UserError where there is none, or no YAML, or a key that is defined twice."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            config = yaml.load(file, _Loader) or {}  # a SafeLoader with one more check
    except FileNotFoundError:
        ready = REPOSITORY / path
        hint = f"Did you mean {ready}?" if ready.is_file() else "Name one, as in `softlabels run my.yaml`."
        raise UserError(f"{path}: no such configuration file in {Path.cwd()}. {hint}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Name a configuration file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not valid YAML: {error}. Correct that line.") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: found {_text(config)}, expected 'key: value' lines. Start from config/config.yaml.")
    return config


def overridden(raw: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """``raw`` with pairs laid over it, merged as Snakemake does; one that is not ``key=YAML`` is a UserError."""

    def merge(below: Any, above: Any) -> Any:
        if not (isinstance(below, dict) and isinstance(above, dict)):
            return above
        return {**below, **{key: merge(below.get(key), value) for key, value in above.items()}}

    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError(
                f"--config {override}: expected key=value, such as data_folder=../images. (The configuration's file is "
                f"named before --config.)"
            )
        try:
            raw = merge(raw, {key: yaml.safe_load(value)})
        except yaml.YAMLError:
            raise UserError(f"--config {override}: the value is not YAML. Quote it, or correct it.") from None
    return raw


def resolve(raw: dict[str, Any]) -> Configuration:
    """Check a configuration and complete it with every default.

    Numbers become what the schema says (10 and 10.0 and "1e-4" where a number is due), and a kind becomes a mapping
    with just its own options, so that equal configurations have equal text.

    Raises:
        UserError: all problems in one list, each with its key, what was found and what was expected.
    """
    modules = raw.get("modules", schema.TOP["modules"]["default"]) if isinstance(raw, dict) else ""
    registry.use_modules(modules if isinstance(modules, str) else "")
    rule = schema.section("")
    problems = list(_boolean_keys(raw))
    if not problems:
        config = schema.complete(raw, rule)
        problems = list(dict.fromkeys(_wrong(config, rule)))
    if not problems:
        config = Configuration(config)
        problems = varied.expand(config, _wrong, _finish)
        problems += [problem for name in config["studies"] for problem in _settle_claims(config, name)]
        problems += [varied.named(problem, config.origins) for problem in _inconsistent(config)]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        heading = f"The configuration has {len(problems)} problem{'s'[: len(problems) > 1]}:"
        raise UserError(f"{heading}\n{lines}", dict.fromkeys(problems, 1))
    for dataset in config["datasets"].values():
        _finish("datasets", dataset)
    for label in config["labels"].values():
        _finish("labels", label)
    return config


@cache
def ready_claim(name: str) -> dict[str, Any]:
    """A claim that comes with the project, of ``studies/claims/``."""
    return read(claims.FOLDER / f"{name}.yaml")


def _settle_claims(config: Configuration, name: str) -> list[str]:
    """Put the statements of a study's claims in their place, and the table of verdicts in; problems."""
    study, grid = config["studies"][name], config.grids[name]
    if not study["claims"] or not grid:
        return []
    keys = list(grid[0].values)
    called = {key: key for key in keys} | dict(zip(heads(keys), keys, strict=True))
    if varied.NAMED in keys:
        called[varied.NAME] = varied.NAMED
    labels = {label: config["labels"][label] for label in study["labels"]}
    references = {  # one that is not given is settled later
        point.base[0]: _reference(config["datasets"][point.dataset]) for point in grid
    }
    blocks = [(*point.base, *point.values.values()) for point in grid]
    place = f"studies.{name}.claims"
    study["claims"], places, problems = claims.resolved(
        place, study["claims"], ready_claim, labels, references, metrics_of(study), blocks, called
    )
    ran = {block: (point.dataset, point.split) for block, point in zip(blocks, grid, strict=True)}
    for where, statement in zip(places, study["claims"], strict=True):
        if any(ran[a] != ran[b] for _, a, b in claims.pairs(statement, blocks, keys)):
            problems.append(
                f"{where}: compares points of different data sets or splits, expected the same test images for both. "
                f"Vary something else, or remove the claim."
            )
    kinds = [table["kind"] for table in study["tables"]]
    if "verdicts" not in kinds:
        study["tables"].insert(1 + kinds.index("main") if "main" in kinds else 0, {"kind": "verdicts"})
    return problems


def _reference(dataset: dict[str, Any]) -> str:
    """What the reference of a data set is made of."""
    return dataset["reference"] or ("votes" if _has_votes(dataset["source"]) else "exact")


def _finish(section: str, definition: dict[str, Any]) -> None:
    """What a definition says that depends on the rest of it: a data set's reference, how a label breaks ties."""
    if section == "datasets":
        definition["reference"] = _reference(definition)
    if section == "labels" and not definition["ties"]:
        definition["ties"] = "lowest_index" if definition["votes"] == "all" else "random"


def _wrong(config: Any, rule: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[str]:
    """What the schema refuses: of the sections, then of each kind's options, where they stand."""
    for error in _Validator(rule).iter_errors(config):
        yield from _explain(error, path)
    yield from _wrong_inside(config, rule, path)


def _wrong_inside(value: Any, rule: dict[str, Any], path: tuple[Any, ...]) -> Iterator[str]:
    """What plain JSON Schema cannot say of a value and its parts: kinds, their options, ranges, keys in two places."""
    if "registry" in rule:
        yield from _wrong_kind(value, rule["registry"], path)
    if rule.get("moved"):
        yield f"{_key(path)}: is given as {rule['moved']}, too. Remove one."
    if rule.get("ordered") and isinstance(value, list) and len(value) == 2 and value[0] > value[1]:
        yield f"{_key(path)}: found {value}, expected [low, high]. Swap the two."
    for key, sub, subrule in schema.parts(value, rule):
        yield from _wrong_inside(sub, subrule, (*path, key))


def _wrong_kind(value: Any, kind: str, path: tuple[Any, ...]) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{_key(path)}: found {_text(value)}, expected the name of a {kind}, or {{kind: name, option: value}}."
    elif "kind" not in value:
        yield f"{_key(path)}: the key 'kind' is missing; there are: {', '.join(registry.names(kind))}."
    elif not isinstance(value["kind"], str):
        yield f"{_key((*path, 'kind'))}: found {_text(value['kind'])}, expected text."
    else:
        try:
            rule = schema.options(kind, value["kind"])
            _require_rule(json.dumps(rule, default=str))
        except UserError as error:
            yield f"{_key(path)}: {error}"
        except jsonschema.SchemaError as error:  # of an own module: ours are tested
            option = f"option '{error.absolute_path[1]}'" if len(error.absolute_path) > 1 else "the options"
            yield (
                f"{registry.file_of(kind, value['kind'])}: {option} of ENTRY: found {_text(error.instance)}, expected "
                f"a rule of JSON Schema ({error.message}). Correct it."
            )
        else:
            for error in _Validator(rule).iter_errors(value):
                yield from _explain(error, path)


@cache
def _require_rule(text: str) -> None:
    """Refuse what is no rule of JSON Schema; once, as a study may make thousands of definitions with one."""
    _Checker.check_schema(json.loads(text))


def _key(path: Any) -> str:
    return ".".join(str(part) for part in path) or "the top level"


def _text(value: Any) -> str:
    """A value as YAML's flow style writes it."""
    return json.dumps(value, ensure_ascii=False, default=str)


TYPES = {"object": "keys with values", "array": "a list [...]", "string": "text", "integer": "a whole number",
         "number": "a finite number", "boolean": "true or false", "null": "null"}  # fmt: skip
LIMITS = {
    "pattern": "text of the form {limit}", "minLength": "some text", "maxLength": "at most {limit} characters",
    "minimum": "at least {limit}",
    "maximum": "at most {limit}", "exclusiveMinimum": "more than {limit}", "exclusiveMaximum": "less than {limit}",
    "minItems": "{limit} entries or more", "maxItems": "{limit} entries or fewer", "uniqueItems": "no entry twice",
    "minProperties": "at least {limit} entries",
}  # fmt: skip
OF_VALUES = {*LIMITS, "type", "enum"}  # rules about a value itself, not about what is inside it


def _unquoted(value: Any) -> str:
    """Why YAML has a truth where a word was meant."""
    words = "yes, on and true" if value else "no, off and false"
    return f"(YAML reads {words} without quotes as {_text(value)}: if you mean the word, put it in quotes)"


def _boolean_keys(config: Any, path: tuple[Any, ...] = ()) -> Iterator[str]:
    """Keys of a configuration that are true or false, which none has."""
    if not isinstance(config, dict | list):
        return
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        if isinstance(key, bool):
            yield f"{_key(path)}: found the key {_text(key)}, expected text {_unquoted(key)}."
        else:
            yield from _boolean_keys(value, (*path, key))


def _type(rule: dict[str, Any]) -> str:
    """The type of value that a rule asks for, in words."""
    kinds = rule.get("type", "array")  # a rule without a type is here a reference to a range
    return " or ".join(TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _nearest(name: str, known: Iterable[str], what: str) -> str:
    """The known name that a wrong one is closest to, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"{what}: {', '.join(sorted(known)) or 'none'}."


def _missing(key: str, rule: dict[str, Any]) -> str:
    """That a key is missing, and what it is, if its rule says more than a word."""
    about = rule.get("properties", {}).get(key, {}).get("description", "").replace(" (required)", "").rstrip(".")
    about = about[:1].lower() + about[1:] if about[1:2].islower() else about
    return f"the key '{key}' is missing{f': {about}' if ' ' in about else ''}."


def _explain(error: jsonschema.ValidationError, prefix: tuple[Any, ...]) -> list[str]:
    """One violation of the schema in words: where, what was found, what was expected."""
    place, limit = _key((*prefix, *error.absolute_path)), error.validator_value
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = sorted(set(error.instance) - set(known))
        return [f"{place}: unknown key '{key}'; {_elsewhere(key, error.schema) or _nearest(key, known, 'known keys')}"
                for key in unknown]  # fmt: skip
    if error.validator == "required":
        return [f"{place}: {_missing(key, error.schema)}" for key in limit if key not in error.instance]
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        if re.fullmatch("[a-z][a-z0-9_]*", error.instance):  # of the right form, but the rule leaves it out
            return [f"{place}: the name '{error.instance}' is taken. Choose another."]
        return [f"{place}: '{error.instance}' is no name; use lower case letters, digits and underscores."]
    if error.validator == "anyOf" and (inside := _inside(error)):
        return [problem for cause in inside for problem in _explain(cause, prefix)]
    words = _expected(error)
    if isinstance(error.instance, bool) and "text" in words:
        words += f" {_unquoted(error.instance)}"
    return [f"{place}: found {_text(error.instance)}, expected {words}."]


def _of_rules(error: jsonschema.ValidationError) -> dict[int, list[jsonschema.ValidationError]]:
    """What each of several rules finds wrong with a value."""
    found: dict[int, list[jsonschema.ValidationError]] = {}
    for cause in error.context or ():
        found.setdefault(cause.schema_path[0], []).append(cause)
    return found


def _inside(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    """What is wrong inside a value that none of several rules allows, by the one that knows most of its keys."""
    inside = {
        rule: causes
        for rule, causes in _of_rules(error).items()
        if any(c.relative_path or c.validator not in OF_VALUES or "propertyNames" in c.schema_path for c in causes)
    }
    known = {rule: error.validator_value[rule].get("properties", {}) for rule in inside}
    keys = set(error.instance) if isinstance(error.instance, dict) else set()
    return inside[max(inside, key=lambda rule: len(keys & set(known[rule])))] if inside else []


def _expected(error: jsonschema.ValidationError) -> str:
    """What a rule that a value violates expects of it, in words."""
    limit = error.validator_value
    match error.validator:
        case "type":
            return _type(error.schema)
        case "anyOf":  # what is wrong with a value of the right type says more than the other types
            rules = [{cause.validator: cause for cause in causes} for causes in _of_rules(error).values()]
            right = any("type" not in causes and "enum" not in causes for causes in rules)
            found = [causes.get("enum") or causes.get("type") or next(iter(causes.values())) for causes in rules]
            return " or ".join(dict.fromkeys(_expected(one) for one in found if not right or one.validator != "type"))
        case "minProperties" if limit == 1:
            return "at least one entry"
        case "enum" if len(limit) == 1:
            return limit[0] if isinstance(limit[0], str) else _text(limit[0])
        case "enum":
            return f"one of {', '.join(word if isinstance(word, str) else _text(word) for word in limit)}"
        case rule:  # an own module may ask for any rule of JSON Schema
            return LIMITS.get(rule, "{rule} {text}").format(limit=limit, rule=rule, text=_text(limit))


def _elsewhere(key: str, rule: dict[str, Any]) -> str:
    """Which other entries of the same kind have an option, such as ``first_cycle`` given to ``cosine``."""
    if key in rule.get("instead_of", ()):
        return rule["instead_of"][key]
    if "entry" not in rule:
        return ""
    kind, name = rule["entry"]
    others = [other for other in registry.names(kind) if key in schema.options(kind, other)["properties"]]
    return f"it is an option of the {kind} {' and '.join(others)}, not of {name}." if others else ""


def _inconsistent(config: Configuration) -> Iterator[str]:
    """What a schema cannot say: names that nothing defines, shares that do not sum to 1, sources without votes."""
    for name, study in config["studies"].items():
        for table in ("datasets", "splits", "recipes", "labels"):
            for wanted in study[table]:
                if wanted not in config[table]:
                    hint = _nearest(wanted, config[table], "defined")
                    yield f"studies.{name}.{table}: '{wanted}' is not defined under {table}; {hint}"
        metrics = metrics_of(study)
        for kind in ("metric", "figure"):
            names = [name_of(kind, chosen) for chosen in study[f"{kind}s"]]
            for double in sorted({found for found in names if names.count(found) > 1}):
                yield f"studies.{name}.{kind}s: two of them are called '{double}'. Remove or rename one."
        for table in study["tables"]:
            for metric in set(table.get("metrics") or ()) - set(metrics):
                hint = _nearest(metric, metrics, "there are")
                yield f"studies.{name}.tables: {table['kind']} has '{metric}', no metric of this study; {hint}"
            shown = registry.entry("table", table["kind"]).get("metric")
            if shown and shown not in (metric["kind"] for metric in study["metrics"]):
                yield f"studies.{name}.metrics: '{shown}' is missing; the table {table['kind']} needs it. Add it."
        yield from _too_few_points(config, name)
        for figure in study["figures"]:
            if chosen := figure.get("metrics"):
                known = _numbers(config, name)
                for metric in [metric for metric in chosen if metric not in known]:
                    hint = _nearest(metric, known, "there are")
                    yield f"studies.{name}.figures: {figure['kind']} has '{metric}', no number of this study; {hint}"
        pairs = dict.fromkeys((p.dataset, label) for p in config.grids[name] for label in p.labels.values())
        for dataset, label in pairs:
            why = _of_votes(config["labels"][label])
            if why and not _has_votes(config["datasets"][dataset]["source"]):
                yield f"studies.{name}: the label {label} {why}, and {dataset} has none; use one with votes."
            elif who := _of_people(config["labels"][label], config["datasets"][dataset]["source"]):
                yield (
                    f"studies.{name}: the label {label} needs to know who gave each vote ({who}), and {dataset} does "
                    f"not say. Take another aggregate, or a source with annotators."
                )
        yield from _uncalibrated(config, name)
        for dataset, metric in itertools.product(dict.fromkeys(dataset for dataset, _ in pairs), metrics.values()):
            source = config["datasets"][dataset]["source"]
            if "annotators" in registry.entry("metric", metric["kind"])["needs"] and not _may_name_people(source):
                yield (
                    f"studies.{name}.metrics: '{metric['kind']}' needs to know who gave each vote, and {dataset} does "
                    f"not say. Take it out, or use a source with annotators."
                )
        yield from _without_predictions(config, name)
        yield from _delivered_to_heads(config, name)
        if len(study["labels"]) > 1 and {"kind": "macro_acc"} not in study["metrics"]:
            yield f"studies.{name}.metrics: 'macro_acc' is missing; Table 1 needs it."
    for name, label in config["labels"].items():
        aggregate, delivery = label["aggregate"], label["delivery"]["kind"]
        yield from _without_probabilities(name, label)
        if label["form"] not in registry.entry("delivery", delivery).get("forms", FORMS):
            yield (
                f"labels.{name}.delivery: found '{delivery}' with the form {label['form']}, of which each epoch would "
                f"show the same. Remove it, or set form: soft."
            )
        yield from _of_file(name, label, config["data_folder"])
        if "folds" not in aggregate:
            continue
        if registry.entry("delivery", delivery)["needs"]:
            yield (
                f"labels.{name}.delivery: '{delivery}' shows single votes, and the label is made of "
                f"networks' predictions. Remove it, or take another aggregate."
            )
        if label["items"] is not None:
            yield (
                f"labels.{name}.items: found {label['items']} with the aggregate '{aggregate['kind']}', whose networks "
                f"learn from all training images, expected null. Remove it, or take another aggregate."
            )
        for key, table in (("trained_on", "labels"), ("recipe", "recipes")):
            if aggregate[key] not in config[table]:
                hint = _nearest(aggregate[key], config[table], "defined")
                yield f"labels.{name}.aggregate.{key}: {_text(aggregate[key])} is not defined under {table}; {hint}"
        if (made := maker(config["recipes"].get(aggregate["recipe"], {}))) != TRAINED:
            what = "has predictions made elsewhere" if made == ADOPTED else "fits heads alone (train: head)"
            yield (
                f"labels.{name}.aggregate.recipe: '{aggregate['recipe']}' {what}, expected a recipe that trains "
                f"networks. Name one."
            )
        if "folds" in config["labels"].get(aggregate["trained_on"], aggregate | {"aggregate": {}})["aggregate"]:
            yield (
                f"labels.{name}.aggregate.trained_on: '{aggregate['trained_on']}' is made of networks' predictions "
                f"itself. Name a label that is made of votes alone."
            )
    for name, split in config["splits"].items():
        if split["kind"] == "random":
            total = sum(Fraction(str(split[part])) for part in ("train", "val", "test"))  # as they are written
            if total != 1:
                yield f"splits.{name}: train + val + test is {float(total)}, expected 1."
    for name, dataset in config["datasets"].items():
        source, either = dataset["source"], registry.entry("source", dataset["source"]["kind"]).get("one_of", [])
        if dataset["reference"] == "exact" and "exact" not in _gives(source):
            yield f"datasets.{name}.reference: 'exact' is not known for {source['kind']}; use votes."
        if dataset["reference"] in ("votes", "other_people") and not _has_votes(source):
            yield f"datasets.{name}.reference: '{dataset['reference']}' needs a source with votes; use exact."
        elif dataset["reference"] == "other_people" and not _may_name_people(source):
            yield (
                f"datasets.{name}.reference: 'other_people' needs votes that say who gave them, and those of "
                f"{source['kind']} {'without annotators ' if 'annotators' in source else ''}do not: the same people "
                f"may be on both sides. Use votes with annotators, or set reference: votes."
            )
        if dataset["reference_seed"] and dataset["reference"] != "other_people":
            yield (
                f"datasets.{name}.reference_seed: is read with 'reference: other_people' only. Set that, or remove it."
            )
        if either and sum(source[key] is not None for key in either) != 1:
            yield f"datasets.{name}.source: expected exactly one of {' and '.join(either)}."
    for name, recipe in config["recipes"].items():
        yield from _in_braces(name, recipe, config["data_folder"])
        if maker(recipe) == ADOPTED:
            yield from _twice(name, recipe, config["data_folder"])
            continue
        of_file = recipe["weights"] == "file"
        if lack := registry.lack_of_weights(recipe["network"]["kind"], recipe["weights"]):
            yield f"recipes.{name}.{lack}"
        if of_file and not recipe["weights_file"]:
            yield f"recipes.{name}.weights_file: missing; 'weights: file' needs the path of the weights."
        if recipe["weights_file"] and not of_file:
            yield f"recipes.{name}.weights_file: is read with 'weights: file' only. Set that, or remove it."
        if maker(recipe) == FITTED:
            if recipe["weights"] == "none":
                there = [*registry.weights_of(recipe["network"]["kind"]), "file"]
                yield (
                    f"recipes.{name}.weights: found 'none' with train: head, expected weights that were learned: heads "
                    f"of random features say nothing of labels. Set weights: {' or '.join(there)}."
                )
            continue
        warmup, epochs = recipe["warmup_epochs"], recipe["epochs"]
        if warmup >= epochs:
            yield f"recipes.{name}.warmup_epochs: found {warmup:g}, expected less than epochs ({epochs})."


def _too_few_points(config: Configuration, name: str) -> Iterator[str]:
    """Tables of budgets in a study that does not vary what they are about, or that has two of one kind."""
    grid, place = config.grids[name], f"studies.{name}.tables"
    kinds = [table["kind"] for table in config["studies"][name]["tables"]]
    for kind in ("budget", "fixed_budget"):
        if kinds.count(kind) > 1:
            yield f"{place}: found {kinds.count(kind)} of the kind {kind}, expected one. Remove the others."
    if "budget" in kinds and grid:
        values = varied.values_of(grid).get("label.votes", [])
        if len(values) < 3:
            yield (
                f"{place}: budget needs three numbers of votes or more, found {len(values)}. Add vary: {{label.votes: "
                f"[1, 3, 10, all]}}, or remove the table."
            )
    if "fixed_budget" in kinds and grid:
        costs = {
            tuple(
                (config["labels"][label]["items"], config["labels"][label]["votes"]) for label in point.labels.values()
            )
            for point in grid
        }
        if len(costs) < 2:
            yield (
                f"{place}: fixed_budget needs points with other label.items and label.votes, found one pair for all. "
                f"Give points, such as {{name: 100 x 3, label.items: 100, label.votes: 3}}, or remove the table."
            )


def _numbers(config: Configuration, name: str) -> list[str]:
    """What figures of a study may show: its metrics, epochs that a table tells, and numbers of groups.

    A group of items may turn out to be empty.
    """
    from .evaluation import strata, truth  # which the plan of a study without such a figure need not load
    from .studies.ledger_view import accuracies, epoch_of
    from .studies.tables.strata import KINDS, OF_VOTES

    study, groups = config["studies"][name], {TRUTH: dict.fromkeys(truth.METRICS)}
    for definition in (config["datasets"][dataset] for dataset in varied.used(config.grids[name], "dataset")):
        given = _reference(definition)
        reference = "exact" if given == "exact" else "votes"
        for group in KINDS[reference]:
            of_group = OF_VOTES if reference == "votes" else strata.METRICS
            groups[group] = groups.get(group, {}) | dict.fromkeys(of_group)
        groups |= {group: dict.fromkeys(strata.METRICS) for group in groupings_of(definition)}
    of_groups = (f"{metric}{AT}{group}" for group, metrics in groups.items() for metric in metrics)
    return [*metrics_of(study), *map(epoch_of, accuracies(study["tables"])), *of_groups]


def groupings_of(definition: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The classes of a data set that are scored merged, as its definition, or else its source, says."""
    if (groupings := definition["groupings"]) is not None:
        return groupings
    classes = definition["source"].get("classes")
    known = registry.entry("source", definition["source"]["kind"]).get("groupings", {})
    return known.get(classes, {}) if isinstance(classes, str) else {}


def _uncalibrated(config: Configuration, study: str) -> Iterator[str]:
    """Metrics of a study that need items for calibration, and splits of it that keep none."""
    needy = [
        name for name, options in metrics_of(config["studies"][study]).items()
        if "calibration" in registry.entry("metric", options["kind"])["needs"]
    ]  # fmt: skip
    for split in varied.used(config.grids[study], "split") if needy else ():
        if not config["splits"][split]["calibration"]:
            yield (
                f"splits.{split}.calibration: found 0, expected a share of the validation items above 0, such as 0.5, "
                f"for {', '.join(needy)} of studies.{study}: calibration takes items that are used for nothing else. "
                f"Set it, or take the metrics out of the study."
            )


def _without_predictions(config: Configuration, study: str) -> Iterator[str]:
    """Runs of a study whose predictions were made elsewhere, and which no file has."""
    seeds, found = config["studies"][study]["seeds"], {}
    for point in config.grids[study]:
        recipe = config["recipes"][point.recipe]
        if maker(recipe) == ADOPTED:
            for label in point.labels.values():
                there = recipe["predictions"].get(label, {})
                lacking = [str(seed) for seed in seeds if str(seed) not in there]
                if lacking:
                    found[point.recipe, label] = lacking, there or recipe["predictions"]
    for (recipe, label), (lacking, there) in found.items():
        of_what = "seed" if label in config["recipes"][recipe]["predictions"] else "label"
        yield (
            f"recipes.{recipe}.predictions: found no file for the label {label}, seed {', '.join(lacking)}, which "
            f"studies.{study} has (there is {of_what} {', '.join(there)}). Name a file for each, or take the recipe, "
            f"label or seed out of the study."
        )


def _without_probabilities(name: str, label: dict[str, Any]) -> Iterator[str]:
    """Labels of a form that their aggregate does not have, and aggregates of others that cannot be a part of them."""
    whole, *of = schema.aggregates(label)
    if label["form"] not in (forms := registry.entry("aggregate", whole["kind"]).get("forms", FORMS)):
        yield (
            f"labels.{name}.form: found {label['form']}, expected {' or '.join(forms)}: the aggregate "
            f"'{whole['kind']}' gives no other."
        )
    for part in of:
        if "soft" not in registry.entry("aggregate", part["kind"]).get("forms", FORMS):
            why = "has no probabilities"
        elif schema.paths("aggregate", part["kind"]):
            why = "is read from a file"
        elif "folds" in part:
            why = "is made of networks' predictions, which one label has of one kind only"
        elif part["kind"] == whole["kind"]:
            why = "is made of others itself"
        else:
            continue
        yield (
            f"labels.{name}.aggregate: '{part['kind']}' {why}, expected aggregates that make distributions of the "
            f"votes. Take it out."
        )


def _delivered_to_heads(config: Configuration, study: str) -> Iterator[str]:
    """Labels of a study that are delivered otherwise in each epoch, to recipes that have no epochs."""
    pairs = {(p.recipe, label): None for p in config.grids[study] for label in p.labels.values()}
    for recipe, label in pairs:
        kind = config["labels"][label]["delivery"]["kind"]
        if maker(config["recipes"][recipe]) == FITTED and kind != "expected":
            yield (
                f"studies.{study}: the label {label} has the delivery '{kind}', which differs from epoch to epoch, and "
                f"the recipe {recipe} fits heads to convergence (train: head), expected 'expected'. Take one of the "
                f"two out of the study, or remove the delivery."
            )


def _of_file(name: str, label: dict[str, Any], folder: str) -> Iterator[str]:
    """What is wrong with a label whose distributions a file gives."""
    for key in schema.paths("aggregate", label["aggregate"]["kind"]):
        path, place = str(Path(folder, label["aggregate"][key])), f"labels.{name}.aggregate.{key}"
        if "{" in path or "}" in path:
            yield (
                f"{place}: found braces in {path}, expected none: they are wildcards to Snakemake. Rename the file or "
                f"folder."
            )
        if label["votes"] != "all":
            yield f"labels.{name}.votes: found {label['votes']}, but the label is read from a file. Remove it."


def _in_braces(name: str, recipe: dict[str, Any], folder: str) -> Iterator[str]:
    """Files of a recipe whose paths have braces, which are wildcards to Snakemake."""
    given = [file for of_label in recipe.get("predictions", {}).values() for file in of_label.values()]
    files = [path for file in given for path in ([file] if isinstance(file, str) else file.values())]
    files += [recipe["weights_file"]] if recipe.get("weights_file") else []
    found = [path for path in (str(Path(folder, file)) for file in files) if "{" in path or "}" in path]
    if found:
        yield (
            f"recipes.{name}.{'predictions' if given else 'weights_file'}: found braces in {len(found)} paths (the "
            f"first is {found[0]}), expected none: they are wildcards to Snakemake. Rename the file or folder."
        )


def _twice(name: str, recipe: dict[str, Any], folder: str) -> Iterator[str]:
    """Files of predictions that are named for two runs, which would count as two networks."""
    seen: dict[str, str] = {}
    for label, of_label in recipe["predictions"].items():
        for seed, given in of_label.items():
            run, file = f"{label}, seed {seed}", given if isinstance(given, str) else given["file"]
            if (first := seen.setdefault(_whole(folder, file), run)) != run:
                yield (
                    f"recipes.{name}.predictions: {file} is named for {first} and for {run}, expected a file for "
                    f"each: one network would count as two. Name the file of each network."
                )


def _whole(folder: str, file: str) -> str:
    """One spelling of a path, whether it starts from ``data_folder`` or not."""
    return os.path.normpath(Path(folder, file).absolute())


def name_of(kind: str, options: Options) -> str:
    """How results call an entry that a resolved configuration chose: see :func:`softlabels.contracts.entry_name`."""
    return entry_name(options, schema.defaults(kind, options["kind"]))


def metrics_of(study: dict[str, Any]) -> dict[str, Options]:
    """Name to kind and options, as commands are told of them, of the metrics of a study, in its order."""
    wanted = schema.tracked(study["metrics"], schema.of_command()["properties"]["metrics"])
    return {name_of("metric", full): told for full, told in zip(study["metrics"], wanted, strict=True)}


def _gives(source: dict[str, Any]) -> list[str]:
    """What a source knows of each item: votes, the exact distribution."""
    return registry.entry("source", source["kind"]).get("gives", ["votes"])


def _has_votes(source: dict[str, Any]) -> bool:
    """Whether a source has votes, and not distributions alone."""
    return "votes" in _gives(source) and source.get("votes") != 0


def _may_name_people(source: dict[str, Any]) -> bool:
    """Whether a source may know who gave its votes: not where these are sums, or are generated without a pool."""
    anonymous = registry.entry("source", source["kind"]).get("anonymous", False)
    return _has_votes(source) and not anonymous and bool(source.get("annotators", True))


def draws(label: dict[str, Any]) -> bool:
    """Whether something in a label is drawn, anew for each seed."""
    drawn = any(registry.applies("aggregate", "draws", of) for of in schema.aggregates(label))
    return label["votes"] != "all" or label["items"] is not None or drawn


def of_split(label: dict[str, Any]) -> bool:
    """Whether a label is made for one split: where it is estimated on the training part, or from networks that were,
    where only some of the training items have a label, or an entry says so."""
    return label["items"] is not None or any(
        of.get("fit_on") == "train" or "folds" in of or registry.applies("aggregate", "of_split", of)
        for of in schema.aggregates(label)
    )


def alike(config: Configuration, study: str) -> list[varied.Point]:
    """The points of a study whose seeds are one run: heads on a published split, where nothing is drawn."""
    found = []
    for point in config.grids[study]:
        split, labels = config["splits"][point.split], [config["labels"][label] for label in point.labels.values()]
        given = split["kind"] == "column" and split["val_share"] is None
        drawn = any(draws(label) or "folds" in label["aggregate"] for label in labels)
        if given and not drawn and maker(config["recipes"][point.recipe]) == FITTED:
            found.append(point)
    return found


def _of_votes(label: dict[str, Any]) -> str:
    """Why a label can only be made of votes, in words; empty where it need not be."""
    if label["votes"] != "all":
        return f"draws {label['votes']} votes"
    entries = [registry.entry("aggregate", options["kind"]) for options in schema.aggregates(label)]
    entries.append(registry.entry("delivery", label["delivery"]["kind"]))
    return "needs votes" if any(entry["needs"] for entry in entries) else ""


def _of_people(label: dict[str, Any], source: dict[str, Any]) -> str:
    """The aggregate of a label that needs to know who gave each vote, where a source does not; empty if none does."""
    kinds = [] if _may_name_people(source) else [options["kind"] for options in schema.aggregates(label)]
    return next((kind for kind in kinds if "annotators" in registry.entry("aggregate", kind)["needs"]), "")


def warnings(config: Configuration) -> list[str]:
    """What is allowed but seldom meant, for the studies of a resolved configuration."""
    told = dict.fromkeys(text for name in config.grids for text in _seldom_meant(config, name))
    return [varied.named(text, config.origins) for text in told]


def _fixed(config: Configuration, study: str) -> Iterator[str]:
    """What several seeds are worth on published splits, by what makes the predictions."""
    one = alike(config, study)
    for name in varied.used(config.grids[study], "split"):
        points = [point for point in config.grids[study] if point.split == name]
        if not registry.entry("split", config["splits"][name]["kind"]).get("fixed"):
            continue
        rest = [point for point in points if point not in one]
        heads = [point for point in rest if maker(config["recipes"][point.recipe]) == FITTED]
        for found, alone in (
            ([point for point in rest if point not in heads], "training"),
            (heads, "what is drawn of validation items or votes"),
        ):
            if found:
                yield (
                    f"splits.{name}: is the published one, so all seeds have the same test items: they differ in "
                    f"{alone} alone, and their standard deviation says nothing of other test items"
                )
        for recipe in dict.fromkeys(point.recipe for point in points if point in one):
            yield (
                f"recipes.{recipe}: fits heads, which draw nothing, and splits.{name} is the published one: all seeds "
                f"are the same run with a standard deviation of 0, and one suffices"
            )


def _seldom_meant(config: Configuration, study: str) -> Iterator[str]:
    from .training.schedules.warm_restarts import ends_mid_cycle

    grid = config.grids[study]
    if len(config["studies"][study]["seeds"]) > 1:
        yield from _fixed(config, study)
    synthetic = {point.recipe: point.dataset for point in reversed(grid)
                 if config["datasets"][point.dataset]["source"]["kind"] == "synthetic"}  # fmt: skip
    moving: dict[str, list[str]] = {}
    for name in varied.used(grid, "recipe"):
        recipe = config["recipes"][name]
        if maker(recipe) != TRAINED:
            continue
        epochs, schedule = recipe["epochs"], recipe["schedule"]
        if schedule["kind"] == "warm_restarts" and ends_mid_cycle(epochs - recipe["warmup_epochs"], schedule):
            yield f"recipes.{name}: {epochs} epochs end in the middle of a cycle, at a high learning rate"
        if recipe["class_weight"] == "per_class":
            yield f"recipes.{name}: class_weight per_class moves the optimum of soft labels away from the labels"
        unchanged = {"hue": 0, "saturation": [1, 1], "zoom": 1}
        moved = [key for key, neutral in unchanged.items() if recipe["augment"][key] != neutral]
        if moved and name in synthetic:
            moving.setdefault(" and augment.".join(moved), []).append(name)
    for moved, names in moving.items():
        others = f" (and {len(names) - 1} other recipes of the study)" if len(names) > 1 else ""
        yield (
            f"recipes.{names[0]}: augment.{moved}{others} can make the labels of {synthetic[names[0]]} wrong: colour "
            f"and shape are its classes"
        )
