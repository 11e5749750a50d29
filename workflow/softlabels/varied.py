"""Studies that vary something: from values of keys to definitions with names, and to the points of every grid.

A definition with other values is one like any other: it has a name (``compact__epochs_10``) and is shared by all
studies that need it. Where the values are those of the base, it is the base.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

from . import registry, schema
from .columns import heads, number

SECTIONS = {"dataset": "datasets", "split": "splits", "recipe": "recipes", "label": "labels"}
SHORT = {"source": "dataset.source"}
LONGEST = 80  # characters of a name
LONGEST_FILE = 230  # characters of the names in a file's name; file systems take 255
SAYS_NOTHING = {"dataset.about", "dataset.paper"}  # no image, label or number depends on them
DEFAULT_FIGURES = ["embedding", "curves"]
# The key of points that have names, in place of the keys that they vary. It begins like one of a data set because the
# numbers that need no network may differ from point to point, too.
NAME, NAMED = "name", "dataset.point"
Wrong = Callable[[Any, dict[str, Any], tuple[str, ...]], Iterable[str]]
Finish = Callable[[str, dict[str, Any]], None]


class Point(NamedTuple):
    """One point of a grid: what runs, what the study calls it, and what was varied.

    Attributes:
        dataset, split, recipe: names of the definitions that run.
        labels: the name of the label that runs, by its base.
        base: data set, split and recipe as the study names them.
        values: what each varied key has here, as text; None where no definition has the key.
    """

    dataset: str
    split: str
    recipe: str
    labels: dict[str, str]
    base: tuple[str, str, str]
    values: dict[str, str | None]


class Configuration(dict):
    """A complete configuration, with the definitions that points need.

    Attributes:
        grids: the points of each study.
        origins: for which study, point and base a definition was made, by section and name.
    """

    def __init__(self, complete: dict[str, Any]):
        super().__init__(complete)
        self.grids: dict[str, list[Point]] = {}
        self.origins: dict[tuple[str, str], str] = {}


class Key(NamedTuple):
    """A varied key: as it is written, the kind of definition, and the path inside, of a short key where it belongs."""

    text: str
    kind: str
    path: tuple[str, ...]


def used(grid: list[Point], axis: str) -> list[str]:
    """The names that run in a grid, of ``dataset``, ``split``, ``recipe`` or ``label``."""
    if axis == "label":
        return list(dict.fromkeys(label for point in grid for label in point.labels.values()))
    return list(dict.fromkeys(getattr(point, axis) for point in grid))


def values_of(grid: list[Point]) -> dict[str, list[str]]:
    """The values that each varied key has somewhere in a grid, in their order."""
    keys = grid[0].values if grid else ()
    return {key: [value for value in dict.fromkeys(p.values[key] for p in grid) if value is not None] for key in keys}


def n_runs(study: dict[str, Any]) -> int:
    """How many trainings a complete study asks for, without looking at any of them."""
    points = math.prod(map(len, study["vary"].values())) if study["vary"] else len(study["points"]) or 1
    return points * math.prod(len(study[key]) for key in (*SECTIONS.values(), "seeds"))


# -- from values to points ---------------------------------------------------------------------------------------------


def expand(config: Configuration, wrong: Wrong, finish: Finish) -> list[str]:
    """Give every study its grid and its figures, and add the definitions that points need.

    Args:
        config: a complete configuration that the schema accepts.
        wrong: tells what a schema refuses of a definition that lies at a path.
        finish: puts in the rest of what a definition (of a section) says, where the schema accepts it.

    Returns:
        Problems.
    """
    problems: dict[str, str] = {}
    for name, study in config["studies"].items():
        config.grids[name] = []
        if all(base in config[section] for section in SECTIONS.values() for base in study[section]):
            expansion = _Expansion(config, name, wrong, finish)
            config.grids[name] = expansion.grid()
            problems |= expansion.problems
        _figures(name, study, config.grids[name], problems)
    return list(problems.values())


def named(problem: str, origins: dict[tuple[str, str], str]) -> str:
    """A problem with a definition, told of the study, point and base that it was made for."""
    section, _, rest = problem.partition(".")
    name = re.match(r"[a-z0-9_]*", rest)[0]
    origin = origins.get((section, name))
    return f"{origin}{rest[len(name) :]}" if origin else problem


class _Expansion:
    """One study's way from values to points."""

    def __init__(self, config: Configuration, name: str, wrong: Wrong, finish: Finish):
        self.config, self.study, self.place = config, config["studies"][name], f"studies.{name}"
        self.wrong, self.finish = wrong, finish
        self.problems: dict[str, str] = {}  # by what is the same whichever point has it
        self.made: dict[tuple[str, str, str], tuple[str, dict[str, Any]] | None] = {}
        self.finished: dict[tuple[str, str], dict[str, Any]] = {}

    def problem(self, text: str, of: str = "") -> None:
        self.problems.setdefault(of or text, text)

    def grid(self) -> list[Point]:
        """The points, data set by data set, split by split and recipe by recipe; none where something is wrong."""
        study = self.study
        bases = list(itertools.product(*(study[section] for section in ("datasets", "splits", "recipes"))))
        if not study["vary"] and not study["points"]:
            labels = {label: label for label in study["labels"]}
            return [Point(*base, labels, base, {}) for base in bases]
        if study["vary"] and study["points"]:
            self.problem(f"{self.place}: gives 'vary' and 'points'. Remove one.")
        elif (total := n_runs(study)) > study["limit"]:
            self.problem(
                f"{self.place}: found {total:,} runs, expected at most {study['limit']:,}. Vary less, or set limit: "
                f"{total} in the study."
            )
        elif self.keys and self._well_named() and not self.problems:
            points = [point for base in bases for point in self._of_base(base)]
            return [] if self.problems else points
        return []

    def _well_named(self) -> bool:
        """Whether all points have names, each its own, or none has one; a problem where not."""
        names = [point.get(NAME) for point in self._points()]
        if None in names and len({*names}) > 1:
            self.problem(f"{self.place}.points: {names.count(None)} of {len(names)} have no name. Name all, or none.")
        for double in dict.fromkeys(name for name in names if name is not None and names.count(name) > 1):
            self.problem(f"{self.place}.points: two are called '{double}'. Rename one.")
        return not self.problems

    @cached_property
    def keys(self) -> list[Key]:
        """The varied keys; a problem for each that there is not."""
        told = [self.study["vary"]] if self.study["vary"] else self.study["points"]
        written = dict.fromkeys(key for point in told for key in point if key != NAME or self.study["vary"])
        keys = list(filter(None, map(self._key, written)))
        for first, second in itertools.combinations(keys, 2):
            if first[1:] == second[1:]:
                self.problem(f"{self.place}: '{first.text}' and '{second.text}' are the same key. Remove one.")
        if not keys and not self.problems:
            self.problem(f"{self.place}.points: found no key, expected such as recipe.epochs. Add one.")
        return keys

    def _key(self, text: str) -> Key | None:
        head, _, rest = text.partition(".")
        whole = f"{SHORT.get(head, head)}.{rest}"
        kind, *path = whole.split(".")
        if kind in SECTIONS and all(path):
            if any(whole == key or whole.startswith(f"{key}.") for key in SAYS_NOTHING):
                self.problem(f"{self.place}: '{text}' changes no result, so that it cannot be varied. Remove it.")
                return None
            if moved := schema.properties({}, schema.section(kind)).get(path[0], {}).get("moved"):
                path[:1] = moved.split(".")
            return Key(text, kind, tuple(path))
        owners = [kind for kind in SECTIONS if head in schema.properties({}, schema.section(kind))]
        near = [f"{kind}.{text}" for kind in owners]
        rest = ".".join(filter(None, rest.split("."))) or "…"
        near += [f"{kind}.{rest}" for kind in difflib.get_close_matches(head, [*SECTIONS, *SHORT], n=1)]
        hint = f" Did you mean '{near[0]}'?" if near else ""
        self.problem(
            f"{self.place}: found the key '{text}', expected one that begins with {', '.join(SECTIONS)} or source, "
            f"such as recipe.epochs.{hint}"
        )
        return None

    def _points(self) -> Iterator[dict[str, Any]]:
        vary = self.study["vary"]
        if not vary:
            yield from self.study["points"]
        else:
            yield from (dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values()))

    def _of_base(self, base: tuple[str, str, str]) -> Iterator[Point]:
        of_kind = {kind: [key for key in self.keys if key.kind == kind] for kind in SECTIONS}
        seen: dict[tuple[str, ...], int] = {}
        for k, point in enumerate(self._points(), start=1):
            names, values = [], {}
            labels = self.study["labels"]
            for kind, name in [*zip(SECTIONS, base, strict=False), *(("label", label) for label in labels)]:
                keys = [key for key in of_kind[kind] if key.text in point]
                made = self._made(kind, name, {key: point[key.text] for key in keys}, k)
                if made is None:
                    break
                names.append(made[0])
                for key in of_kind[kind]:
                    values.setdefault(key.text, []).append(_said(_find(made[1], key)))
            if len(names) < 3 + len(labels):
                continue
            if (other := seen.setdefault(tuple(names), k)) != k:
                said = ", ".join(f"{key.text} {values[key.text][0]}" for key in self.keys)
                text = f"{self.place}: points {other} and {k} are the same ({said}). Remove one."
                self.problem(text, of=f"{self.place} the same")
                continue
            texts = {key: " / ".join(dict.fromkeys(filter(None, said))) or None for key, said in values.items()}
            texts = {NAMED: point[NAME]} if NAME in point else {key.text: texts[key.text] for key in self.keys}
            yield Point(*names[:3], dict(zip(labels, names[3:], strict=True)), base, texts)

    def _made(self, kind: str, base: str, changes: dict[Key, Any], k: int) -> tuple[str, dict[str, Any]] | None:
        """Name and definition of a base with other values, added where it is new; None where something is wrong."""
        asked = kind, base, json.dumps([changes[key] for key in changes], default=str) + repr([*changes])
        if asked not in self.made:
            self.made[asked] = self._make(kind, base, changes, k)
        return self.made[asked]

    def _make(self, kind: str, base: str, changes: dict[Key, Any], k: int) -> tuple[str, dict[str, Any]] | None:
        section, rule = SECTIONS[kind], schema.section(kind)
        was = self._finished(section, base)
        if not changes:
            return base, was
        definition = copy.deepcopy(self.config[section][base])
        written = ", ".join(f"{key.text} {_flow(value)}" for key, value in changes.items())
        origin = f"{self.place}, point {k} ({written}): {section}.{base}"
        for key in sorted(changes, key=lambda key: len(key.path)):  # a kind comes before its options
            if (there := _find(definition, key)).rest:
                known = schema.properties(there.value, there.rule)
                near = difflib.get_close_matches(there.rest[0], known, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(sorted(known)) or 'none'}."
                where = ".".join((section, base, *there.path))
                self.problem(f"{self.place}: '{key.text}': unknown key '{there.rest[0]}' of {where}; {hint}")
                return None
            inside = _find(definition, key._replace(path=key.path[:-1]))
            if key.path[-1] == "kind" and "registry" in inside.rule:  # the defaults of another kind are not its own
                defaults = schema.complete({"kind": inside.value["kind"]}, inside.rule)
                for option in [name for name, value in inside.value.items() if defaults.get(name, ...) == value]:
                    del inside.value[option]
            inside.value[key.path[-1]] = copy.deepcopy(changes[key])
            definition = schema.complete(definition, rule)
        wrong = list(self.wrong(definition, rule, (origin,)))
        for text in wrong:
            self.problem(text, of=f"{self.place} {section}.{base}{text.removeprefix(origin)}")
        if wrong:
            return None
        self.finish(section, definition)
        if definition == was:
            return base, was
        name = _name(base, definition, was, changes)
        if name not in self.config[section]:
            self.config[section][name] = definition
            self.config.origins[section, name] = origin
        elif definition != self._finished(section, name):
            self.problem(f"{section}.{name}: is what {origin} would be called, and is something else. Rename it.")
            return None
        return name, definition

    def _finished(self, section: str, name: str) -> dict[str, Any]:
        if (section, name) not in self.finished:
            self.finished[section, name] = copy.deepcopy(self.config[section][name])
            self.finish(section, self.finished[section, name])
        return self.finished[section, name]


class _Found(NamedTuple):
    """Where a key lies in a definition: its path, what of the path is not there, and value and rule at the path."""

    path: tuple[str, ...]
    rest: tuple[str, ...]
    value: Any
    rule: dict[str, Any]


def _find(definition: dict[str, Any], key: Key) -> _Found:
    value, rule = definition, schema.section(key.kind)
    for n, part in enumerate(key.path):
        known = schema.properties(value, rule)
        if part not in known or "moved" in known[part]:
            return _Found(key.path[:n], key.path[n:], value, rule)
        value, rule = value.get(part) if isinstance(value, dict) else None, known[part]
    return _Found(key.path, (), value, rule)


# -- figures -----------------------------------------------------------------------------------------------------------


def _figures(name: str, study: dict[str, Any], grid: list[Point], problems: dict[str, str]) -> None:
    """Put in the figures that a study has by default, and a figure ``over`` for each key with numbers."""
    values = values_of(grid)
    keys, numbers = list(values), [key for key in values if len({*map(number, values[key])} - {None}) > 1]
    of_key = dict(zip(keys, heads(keys), strict=True))
    if study["figures"] is None:
        study["figures"] = figures(["over"] if numbers else [] if keys else DEFAULT_FIGURES)
    chosen = []
    for figure in study["figures"]:
        if figure["kind"] != "over":
            chosen.append(figure)
            continue
        wanted = [key for key in numbers if figure["key"] in (None, key, of_key[key])]
        chosen += [{**figure, "key": of_key[key]} for key in wanted]
        if not wanted and (grid or not (study["vary"] or study["points"])):
            there = ", ".join(numbers) or "none"
            asked = f"the key '{figure['key']}'" if figure["key"] else "no key"
            expected = f"expected one that the study varies over numbers: {there}"
            problems[f"{name} {figure}"] = f"studies.{name}.figures: over: found {asked}, {expected}."
    study["figures"] = chosen
    per_block = any(registry.entry("figure", figure["kind"]).get("per") == "block" for figure in chosen)
    for point in grid if per_block and keys else ():
        label = max(point.labels.values(), key=len)
        names = "-".join((point.dataset, point.split, point.recipe, label))
        if len(names.encode()) > LONGEST_FILE:
            text = (
                f"studies.{name}.figures: found one for each data set, split and recipe, whose file would be called "
                f"{names}, expected at most {LONGEST_FILE} characters. Vary fewer keys, or leave the figure out."
            )
            problems.setdefault(f"studies.{name} file names", text)


def figures(kinds: Iterable[str]) -> list[dict[str, Any]]:
    """Figures with the default values of their options."""
    return [schema.complete(kind, {"registry": "figure"}) for kind in kinds]


# -- values as text ----------------------------------------------------------------------------------------------------


def _flow(value: Any) -> str:
    """A value as a person writes it in YAML: ``10``, ``0.01``, ``all``, ``[0.8, 1.2]``, ``{kind: focal, gamma: 1}``."""
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(sub)}' for key, sub in value.items())}}}"
    return json.dumps(value, default=str)


def _chosen(value: Any, rule: dict[str, Any]) -> Any:
    """A complete value without its defaults: an entry that has no other option is its kind."""
    if not isinstance(value, dict):
        return value
    defaults = {key: schema.complete(sub["default"], sub)
                for key, sub in schema.properties(value, rule).items() if "default" in sub}  # fmt: skip
    told = {key: _chosen(sub, subrule) for key, sub, subrule in schema.parts(value, rule)
            if key == "kind" or key not in defaults or sub != defaults[key]}  # fmt: skip
    return told["kind"] if "registry" in rule and [*told] == ["kind"] else told


def _said(found: _Found) -> str | None:
    """The value of a key as a person would write it; None where a definition has no such key."""
    return None if found.rest else _flow(_chosen(found.value, found.rule))


def _name(base: str, definition: dict[str, Any], was: dict[str, Any], changes: Iterable[Key]) -> str:
    """The base and what differs from it, in the order of the keys, so that it is the same in every study.

    A key is called by its last part, or wholly where another key of the definition, varied or not, ends alike.
    """
    ends = [*_ends(definition, schema.section(next(iter(changes)).kind))]
    words = [base]
    for key in sorted(changes, key=lambda key: key.path):
        now, before = _find(definition, key), _find(was, key)
        if now.value != before.value or now.rest != before.rest:
            head = "_".join(key.path) if ends.count(key.path[-1]) > 1 else key.path[-1]
            words.append(f"{head}_{_token(_chosen(now.value, now.rule))}")
    text = "__".join(words)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9].rstrip('_')}_{_digest(text)}"


def _ends(value: Any, rule: dict[str, Any]) -> Iterator[str]:
    """What the keys of a definition end with."""
    for key, sub, subrule in schema.parts(value, rule) if isinstance(value, dict) else ():
        yield key
        yield from _ends(sub, subrule)


def _token(value: Any) -> str:
    """A value in letters that a name may have; eight digits more where a text would be the same as another."""
    if isinstance(value, dict):
        return "_".join(_token(part) for pair in value.items() for part in pair if part != "kind")
    if isinstance(value, list):
        return "_".join(map(_token, value)) or "none"
    text = _flow(value)
    if not isinstance(value, str) or number(text) is not None:
        return text.lower().replace(".", "p").replace("-", "m").replace("+", "")
    token = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")
    return token if token == text else f"{token}_{_digest(text)}".strip("_")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
