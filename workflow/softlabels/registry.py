"""Entries: what a configuration may name, where it lives, and which options it has.

An entry is one module in the room of its kind. Its literal ``ENTRY`` says what it is: it is read, never run, so that a
plan imports no science, and it is no part of the code hash: only values that a configuration holds are tracked. A
module of the user's own, outside of this package, is named ``module:function`` and says which kind it is. A function
here that is given a name raises a UserError where there is no such entry or module.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple

from .errors import UserError

PACKAGE = Path(__file__).resolve().parent
OWN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
FOLDER = "SOFTLABELS_MODULES"  # environment variable: the folder of the user's own modules


class Kind(NamedTuple):
    """One kind of entry: the room of its modules, and the function that each of them has."""

    room: str
    function: str
    signature: str


KINDS = {
    "source": Kind("datasets", "read", "read(options, files, problems) -> Content"),
    "split": Kind("labels.splits", "parts",
                  "parts(config, items, hard, relations) -> part [N], fold [N] or None, facts"),
    "aggregate": Kind("labels", "aggregate", "aggregate(evidence, options) -> LabelTable"),
    "delivery": Kind("training.deliveries", "targets", "targets(data, epoch, seed, options) -> float32 [N, C]"),
    "network": Kind("networks", "body", "body(options, weights, weights_file) -> Body"),
    "loss": Kind("training.losses", "loss",
                 "loss(logits [B, C], target [B, C], index [B], state, options) -> float32 [B]"),
    "optimiser": Kind("training.optimisers", "optimiser", "optimiser(parameters, rate, options) -> Optimizer"),
    "schedule": Kind("training.schedules", "factor", "factor(epoch, epochs, options) -> share of the base rate"),
    "metric": Kind("evaluation.metrics", "metric", "metric(aligned, options) -> float64 [n] or float"),
    "table": Kind("studies.tables", "table", "table(ledger, options) -> Table or None"),
    "figure": Kind("studies.figures", "draw", "draw(config, inputs) -> Figure"),
}  # fmt: skip


# What is taken of a network that does not say how large it is: more than those that are here.
UNKNOWN_NETWORK = {"parameters": 100_000_000, "features": 2048, "multiplications": 150_000, "activations": 1000}

# Options that no entry may have: those that its function is given besides.
TAKEN = {"aggregate": {"form", "ties", "seed", "votes", "items"}}

# What an entry of the user's own may say besides, and the values: a type, or one (or several) of these words.
FACTS: dict[str, dict[str, type | UnionType | tuple[str, ...] | range]] = {
    "metric": {"heading": str, "better": ("higher", "lower"), "decimals": range(10), "note": str,
               "needs": ("features", "votes", "annotators", "calibration")},
    "aggregate": {"needs": ("votes", "annotators"), "draws": bool | dict, "of_split": bool | dict,
                  "forms": ("soft", "hard"), "memory": int, "bytes": int, "seconds": float},
    "delivery": {"needs": ("votes",), "turns": bool, "forms": ("soft", "hard")},
    "table": {"needs": ("histories", "annotations"), "metric": str},
    "figure": {"per": ("block", "study"),
               "needs": ("embeddings", "items", "reference", "scores", "histories", "cells", "predictions")},
    "source": {"gives": ("votes", "exact"), "memory": int, "anonymous": bool},
    "split": {"fixed": bool},
    "network": {"parameters": int, "features": int, "multiplications": int, "activations": int, "captured": bool,
                "weights": ("imagenet", "pretrained", "packaged")},
    "loss": {"captured": bool},
    "optimiser": {"captured": bool},
}  # fmt: skip


@cache
def names(kind: str) -> tuple[str, ...]:
    """The entries of a kind that come with the package, in name order."""
    room = PACKAGE.joinpath(*KINDS[kind].room.split("."))
    return tuple(sorted(path.stem for path in room.glob("*.py") if "\nENTRY = {" in path.read_text(encoding="utf-8")))


def location(kind: str, name: str) -> tuple[str, str]:
    """Module and function of an entry; the message about a wrong name lists those there are and the nearest."""
    if OWN.fullmatch(name):
        module, _, function = name.partition(":")
        return module, function
    if name not in names(kind):
        for other in names(kind):
            if formula := entry(kind, other).get("aliases", {}).get(name):
                raise UserError(f"{kind} '{name}' is {formula} of '{other}': the same number. Name '{other}'.")
        near = difflib.get_close_matches(name, names(kind), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(
            f"Unknown {kind} '{name}'; there are: {', '.join(names(kind))}.{hint} (One of your own is named "
            f"module:function.)"
        )
    return f"softlabels.{KINDS[kind].room}.{name}", KINDS[kind].function


def file_of(kind: str, name: str) -> Path:
    """The file of an entry's module; an error, too, where one of the user's own has the name of another module."""
    parts = location(kind, name)[0].split(".")
    if not OWN.fullmatch(name):
        return PACKAGE.joinpath(*parts[1:]).with_suffix(".py")
    folder = Path(os.environ.get(FOLDER, "."))
    path = own_file(parts, folder)
    if path is None:
        raise UserError(
            f"{kind} '{name}': found no module {'/'.join(parts)}.py in {folder}. Correct the name, or the key "
            f"'modules' at the top, the folder of your own modules (outside of runs, {FOLDER} in the environment)."
        )
    if installed(parts[0], folder) or parts[0] in {name for kind in KINDS for name in names(kind)}:
        raise UserError(
            f"{kind} '{name}': the name '{parts[0]}' is that of an installed module or of one of ours. Rename {path}."
        )
    return path


def own_file(parts: list[str], folder: Path) -> Path | None:
    """Where Python finds the module ``a.b`` in the folder of the user's own: a package comes before a module."""
    candidates = (folder.joinpath(*parts, "__init__.py"), folder.joinpath(*parts).with_suffix(".py"))
    return next(filter(Path.is_file, candidates), None)


@cache
def installed(name: str, folder: Path) -> bool:
    """Whether a module of this name comes from elsewhere than the folder of the user's own, which Python asks last."""
    if name in sys.stdlib_module_names or name == "softlabels":
        return True
    others = [place for place in sys.path if Path(place or ".").resolve() != folder.resolve()]
    return any(Path(place, f"{name}.py").is_file() or Path(place, name).is_dir() for place in others)


@cache
def _literal(path: Path, stamp: int) -> Any:
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["ENTRY"]:
            return ast.literal_eval(node.value)
    return None


def entry(kind: str, name: str) -> dict[str, Any]:
    """What an entry says of itself: ``about``, ``options`` (JSON Schema by name), ``needs``, and the facts of its kind.

    Raises:
        UserError: of the user's own, too, a module without this table, of another kind or without the function.
    """
    path = file_of(kind, name)
    place = f"{kind} '{name}': {path}"
    try:
        found = _literal(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError) as error:
        raise UserError(f"{place}: cannot be read as a module ({error}). Correct it.") from None
    about = {"about": "", "options": {}, "needs": []}
    if not isinstance(found, dict) or any(not isinstance(found.get(key, v), type(v)) for key, v in about.items()):
        raise UserError(
            f"{place}: found no table of options, expected a literal ENTRY = "
            f"{{'kind': '{kind}', 'about': '…', 'options': {{…}}}}. Add it."
        )
    if OWN.fullmatch(name):
        found = {**about, **found}
        function = location(kind, name)[1]
        if (own := found.get("kind")) != kind:
            raise UserError(f"{place}: found ENTRY['kind'] {own!r}, expected '{kind}'. Name one of that kind.")
        for fact, allowed in FACTS.get(kind, {}).items():
            values = [*found[fact]] if isinstance(found.get(fact), list) else [found[fact]] if fact in found else []
            if (fact == "per" and not values) or any(not _fits(value, allowed) for value in values):
                of_type = isinstance(allowed, type | UnionType)
                words = getattr(allowed, "__name__", allowed) if of_type else " or ".join(map(str, allowed))
                words = f"a whole number from 0 to {allowed[-1]}" if isinstance(allowed, range) else words
                raise UserError(f"{place}: found ENTRY['{fact}'] {found.get(fact)!r}, expected {words}. Correct it.")
        taken = {"kind", *TAKEN.get(kind, ())}
        for key, rule in found["options"].items():
            if key in taken:
                raise UserError(f"{place}: option '{key}' is one that every {kind} is given. Rename it.")
            if not isinstance(rule, dict) or not isinstance(key, str) or not key.isidentifier():
                raise UserError(f"{place}: option {key!r}: expected a name, and a rule such as {{'type': 'number'}}.")
        _require_one_file(place, found["options"])
        if not re.search(rf"^def {function}\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            raise UserError(f"{place}: found no function {function}. Expected {KINDS[kind].signature}.")
    return {**about, **found}


def _require_one_file(place: str, options: dict[str, dict[str, Any]]) -> None:
    """Refuse options that are paths but for one, which is given and called what the command calls it."""
    files = [key for key, rule in options.items() if "input" in rule]
    if len(files) > 1:
        raise UserError(f"{place}: found {len(files)} options with 'input' ({', '.join(files)}), expected one at most.")
    for key in files:
        rule = options[key]
        if (rule.get("type"), rule["input"], rule.get("required")) != ("string", "given", True):
            raise UserError(
                f"{place}: option '{key}': found {rule}, expected of the path of a file {{'type': 'string', 'input': "
                f"'given', 'required': True}}. Correct it."
            )


def weights_of(name: str) -> list[str]:
    """The weights that a network can begin with, as ``weights`` of a recipe names them, but ``none`` and ``file``."""
    known = entry("network", name).get("weights", [])
    return [known] if isinstance(known, str) else known


def lack_of_weights(name: str, weights: str) -> str:
    """Why a network cannot begin with such weights (a recipe's ``weights``), in words; nothing where it can."""
    there = ["none", *weights_of(name), "file"]
    if weights in there:
        return ""
    return f"weights: found '{weights}', which the network {name} does not have; there are: {', '.join(there)}."


def size_of_network(name: str) -> dict[str, int]:
    """What a network says of its size: the keys of UNKNOWN_NETWORK."""
    about = entry("network", name)
    return {fact: about.get(fact, unknown) for fact, unknown in UNKNOWN_NETWORK.items()}


def _fits(value: Any, allowed: type | UnionType | tuple[str, ...] | range) -> bool:
    return isinstance(value, allowed) if isinstance(allowed, type | UnionType) else value in allowed


def applies(kind: str, fact: str, options: Mapping[str, Any]) -> bool:
    """Whether a fact of an entry holds with these options: it is true, or lists the values that they must have."""
    found = entry(kind, options["kind"]).get(fact, False)
    return found if isinstance(found, bool) else all(options.get(key) == value for key, value in found.items())


def beside(kind: str, name: str, function: str) -> Callable | None:
    """Another function of the module of an entry, imported now; None where it has none of that name."""
    return getattr(sys.modules[load(kind, name).__module__], function, None)


def use_modules(folder: str | Path) -> None:
    """Name the folder of the user's own modules, for this process and those that it starts."""
    os.environ[FOLDER] = str(Path(folder).resolve())


def load(kind: str, name: str) -> Callable:
    """The function of an entry, imported now. Own modules come last on the path, so that they hide no other."""
    file_of(kind, name)
    module, function = location(kind, name)
    if OWN.fullmatch(name) and (folder := str(Path(os.environ.get(FOLDER, ".")).resolve())) not in sys.path:
        sys.path.append(folder)
    return getattr(importlib.import_module(module), function)
