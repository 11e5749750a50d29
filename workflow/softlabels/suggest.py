"""`softlabels check FILE` for a file of votes: what it seems to be, and the configuration that reads it.

Every source is asked whether it knows the file (see ``datasets/looks.py``). The likeliest configuration is tried as
`check` tries one of the user's own, and what only the user can decide is decided in the likeliest way, and said.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from . import registry
from .check import check
from .datasets import data
from .datasets.grey import MODES
from .datasets.images import BROKEN, opened
from .datasets.looks import CERTAIN, LINES, TABLES, Folder, Guess, Look, look, suffix_of
from .errors import Problems, Undecided, UserError
from .plan import Plan

CONFIGURATIONS = (".yaml", ".yml")
LONGEST = 1_000_000  # bytes of a configuration whose suffix says nothing
PLACEHOLDER = "FOLDER_OF_YOUR_IMAGES"
HEADS = 500  # images whose size is looked at
LARGEST = 128  # pixels of a side; larger images are resized
RESIZED = 64  # the side that they get
PERCENTILES = (0.1, 99.9)  # of grey values that are kept apart where there are more than 256
WIDTH = 116  # of the comments
MOST_DECIDED = 8  # options that are found one after another
SPLITS = ("split", "usage", "subset", "partition")  # names of columns
FIRST = ("kind", "images", "votes", "counts", "distributions", "labels")  # of the options, in this order
MOST_TOLD = 5  # problems


def is_data(path: Path) -> bool:
    """Whether a path names votes rather than a configuration: by its suffix, or by what it holds."""
    suffix = suffix_of(path)
    if suffix in CONFIGURATIONS or not path.exists():
        return False
    if suffix in (*TABLES, *LINES, ".npy") or path.is_dir():
        return True
    try:
        if suffix != ".json" and path.stat().st_size > LONGEST:
            return True
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return True
    return not (isinstance(document, dict) and {"datasets", "studies"} & document.keys())


def command(path: Path) -> None:
    """Say what a file, or a folder with one, seems to be; print the configuration that reads it as YAML.

    What is said stands in comments, so that the output is a configuration. A file that nothing reads is a UserError.
    """
    seen, guesses = known(path)
    raw, told, error = best_of(seen, guesses)
    for sentence in told:
        for number, line in enumerate(wrapped(sentence)):
            print(f"#{'   ' if number else ' '}{line}")
    print(yaml.safe_dump(raw, sort_keys=False, default_flow_style=None, allow_unicode=True, width=WIDTH), end="")
    if error:
        raise UserError(f"{path}: this configuration does not read it yet: {error}")


def known(path: Path) -> tuple[Look, list[Guess]]:
    """A look at a file, or at the one file of a folder that is known, and what it may be, the likeliest first."""
    if not path.is_dir():
        seen = look(path)
        guesses = list(guessed(seen))
        if not guesses:
            raise UserError(unknown(seen))
        return seen, guesses
    found = []
    for file in sorted(path.iterdir()):
        if file.is_file() and file.name[0] != ".":
            try:
                seen = look(file)
                found += [(seen, guesses)] if (guesses := list(guessed(seen))) else []
            except UserError:
                continue
    if len(found) != 1:
        names = ", ".join(seen.path.name for seen, _ in found)
        raise UserError(
            f"{path}: found {f'{len(found)} files that may hold votes, {names},' if found else 'no file of votes'} in "
            f"this folder. Name the file itself."
        )
    return found[0]


def guessed(seen: Look) -> Iterator[Guess]:
    """What the sources take a file for, the likeliest first."""
    found = []
    for name in registry.names("source"):
        if recognise := getattr(module_of(name), "recognise", None):
            guesses = recognise(seen)
            found += [guesses] if isinstance(guesses, Guess) else guesses or []
    yield from sorted(found, key=lambda guess: -guess.sure)


def module_of(name: str) -> ModuleType:
    """The module of a source."""
    return sys.modules[registry.load("source", name).__module__]


def unknown(seen: Look) -> str:
    """The message about a file that no source knows: what was found, and what each would need."""
    if seen.columns:
        first = {key: str(value)[:40] for key, value in (seen.rows[0] if seen.rows else {}).items()}
        found = f"the columns {', '.join(seen.columns[:20])}; the first row is {first}"
    elif seen.array is not None:
        found = f"numbers {seen.array.dtype} {list(seen.array.shape)}"
    else:
        found = "JSON" if seen.document is not None else f"a file of type '{seen.path.suffix}'"
    forms = {name: getattr(module_of(name), "FORM", None) for name in registry.names("source")}
    needs = [f"{name}: {form}" for name, form in forms.items() if form]
    lines = "\n  - ".join(needs)
    return (
        f"{seen.path}: found {found}; this is no form of votes that is known. Name its columns in a configuration "
        f"(docs/options.md, kind: table), or give it one of these forms:\n  - {lines}"
    )


def best_of(seen: Look, guesses: list[Guess]) -> tuple[dict[str, Any], list[str], str]:
    """A configuration for the likeliest guess that can be read; what there is to say of it; what is wrong with it."""
    first = None
    for guess in guesses:
        if first and guess.sure < first[0].sure == CERTAIN:  # whatever else could be read: it is what it says it is
            break
        tried = tried_out(seen, guess)
        first = first or (guess, tried)
        if not tried[2]:
            first = guess, tried
            break
    guess, (raw, told, error) = first
    head = [f"{seen.path.name} seems to be {guess.what}."]
    alike = [other for other in guesses if other.what != guess.what and other.sure >= guess.sure]
    if others := [other.what for other in alike]:
        head.append(f"It could also be {' or '.join(others)}.")
    said = " and ".join(["above"] * bool(guess.notes) + ["in the message at the end"] * bool(error))
    tail = [f"Save this as my.yaml{f', correct what is said {said},' if said else ''} and look at it with: "
            f"./softlabels check my.yaml"]  # fmt: skip
    if (split := seen.named(SPLITS)) and seen.is_table:
        head.append(
            f"Column '{split}' looks like a published split: docs/options.md says how it is used (kind: column)."
        )
    return raw, head + list(guess.notes) + told + tail, error


def tried_out(seen: Look, guess: Guess) -> tuple[dict[str, Any], list[str], str]:
    """The configuration of a guess, with what is still to be decided; what there is to say; what is wrong with it."""
    root, source, told = seen.path.absolute().parent, dict(guess.source), []
    if "images" not in source and "archive" not in source:
        folder = seen.folder
        source["images"] = shown_path(folder, root) if folder else PLACEHOLDER
        source = {key: source.pop(key) for key in FIRST if key in source} | source
        if not folder:
            told.append(
                "No folder of images was found near the file whose names it holds (or as many as it has rows): write "
                f"yours in the place of {PLACEHOLDER}. So nothing was tried."
            )
            return configuration(root, source, {}), told, ""
        if not folder.path.absolute().is_relative_to(root):
            told.append(f"The images are those of {folder.path}, which is not below the folder of {seen.path.name}. "
                        f"See that they belong to it.")  # fmt: skip
        sizes, deep = heads(folder)
        if len(sizes) > 1 or any(max(size) > LARGEST for size in sizes):
            source["pixels"] = RESIZED
        if deep:
            source["deep"] = {"percentiles": [*PERCENTILES]}
            told.append(
                f"The images have grey values of more than 8 bits: here all become 8 by one range, from the percentile "
                f"{PERCENTILES[0]} of them to {PERCENTILES[1]}. Give a range that means something (deep: {{low: …, "
                f"high: …}}) if you know one."
            )
    for _ in range(MOST_DECIDED):
        raw = configuration(root, source, {})
        try:
            plan = Plan(raw)
            inputs = {key: Path(path) for key, path in plan.source_files("my_data").items()}
            with (
                tempfile.TemporaryDirectory() as scratch,
                data.opened(plan.of("data", dataset="my_data"), inputs, Path(scratch)) as content,
            ):
                told += [f"Of the import: {remark}" for remark in content.notes.get("remarks", [])]
            break
        except Undecided as error:
            if error.key in source:
                return raw, told, str(error)
            source[error.key] = error.values[0]
            problem = without(next(iter(error.listed)), seen.path)
            told.append(f"Decide on {error.key} (here: {error.values[0]}), as {problem}")
        except UserError as error:
            return raw, told, str(error)
    more: dict[str, Any] = {}
    for _ in range(2):
        raw, problems = configuration(root, source, more), Problems()
        lines = list(check(raw, problems))
        wrong = "\n  - ".join(["", *list(problems.messages)[:MOST_TOLD], *["…"] * (len(problems.messages) > MOST_TOLD)])
        if "has no item in part" in wrong and "splits" not in more:
            more["splits"] = {"random": {"kind": "random", "allow_missing_class": True}}
            told.append("Some class has too few images for all parts of a split: parts without it are allowed here.")
        else:
            break
    told += [f"Tried: {line}" for line in lines]
    return raw, told, wrong


def configuration(root: Path, source: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The configuration of one data set with a small network; ``more`` may hold ``splits``."""
    splits = {"splits": more["splits"]} if "splits" in more else {}
    return {
        "data_folder": str(root),
        "datasets": {"my_data": {"source": source}},
        **splits,
        "recipes": {"my_recipe": {"network": "compact", "epochs": 40}},
        "studies": {"my_study": {"datasets": ["my_data"], "recipes": ["my_recipe"]}},
    }


def shown_path(folder: Folder, root: Path) -> str:
    """The folder of the images as the configuration names it: from the file's folder, if it is below it."""
    path = folder.path.absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def heads(folder: Folder) -> tuple[set[tuple[int, int]], bool]:
    """The sizes (width, height) of the first images of a folder, and whether some have more than 8 bits."""
    sizes, deep = set(), False
    for name in folder.names[:HEADS]:
        try:
            with opened(folder.path / name) as image:
                sizes.add(image.size)
                deep = deep or image.mode in MODES
        except BROKEN:  # the check of the configuration tells
            continue
    return sizes, deep


def without(message: str, path: Path) -> str:
    """A message without the name of the file that it is about."""
    return message.removeprefix(f"{path.resolve()}: ").removeprefix(f"{path}: ")


def wrapped(text: str) -> list[str]:
    """A sentence in lines of a comment; words stay whole."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= WIDTH - 4:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}"
    return lines
