"""What readers of annotation tools' exports share: which records are votes, and which key of them names the image.

A reader goes through the records of its file and hands each to :class:`Records`, as a vote or as something that is left
out for a reason. From there all exports take the way of a table of votes.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Problems, Undecided, UserError
from . import cells, imported, names, rows
from .cells import Cells, Column
from .contract import Content, Options
from .images import Images, relative_names
from .table import TRUE

SHOWN = 5  # keys or values in a message
CELL = 60  # characters of one of them
ZONES = {"UTC": "+00:00", "GMT": "+00:00", "PST": "-08:00", "PDT": "-07:00"}  # what exports call them
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
NO_CLASS = "answers that name no class"
SEVERAL = "answers with several choices, one a vote"
LOOK = "./softlabels check {} says what the file seems to be."


class Records:
    """The votes of an export as a reader finds them, and what it leaves out.

    ``unit`` is what messages call the places of records: line, row, task.
    """

    def __init__(self, source: Options, files: Mapping[str, Any], problems: Problems, unit: str):
        self.source, self.problems, self.unit = source, problems, unit
        self.path: Path = files["votes"]
        self.images: Images = relative_names(files["images"], files["folder"], source["follow_links"])
        self.numbers = array("q")
        self.columns: dict[str, tuple[array, dict[str, int]]] = {}
        self.left_out: Counter[str] = Counter()
        self.remarks: list[str] = []
        self.choices: Counter[str] = Counter()
        self.several: tuple[int, list[str]] | None = None
        self.no_classes = ""  # the first answer that is none, and where

    def place(self, number: int) -> str:
        """Where a record stands, for messages."""
        return f"{self.path}: {self.unit} {number}"

    def leave_out(self, what: str, times: int = 1) -> None:
        """Count records that are no votes; ``what`` they are, in the plural: "cancelled annotations"."""
        self.left_out[what] += times

    def vote(
        self, number: int, names: Mapping[str, str], annotator: Any, choices: Sequence[Any], time: float | None = None
    ) -> None:
        """A record in which ``annotator`` (None: unknown) made ``choices``: one, or whatever ``source`` says of more.

        ``names`` are the texts that may name the image, by their key; ``time`` is in seconds since 1970.
        """
        label = self.label(number, choices)
        if label is None:
            return
        row = len(self.numbers)
        self.numbers.append(number)
        person = text_of(annotator) or ""
        roles = {"annotator": person, "label": label, "time": "" if time is None else repr(time)}
        for role, text in (roles | {f"image.{key}": name for key, name in names.items()}).items():
            codes, known = self.columns.setdefault(role, (array("i"), {}))
            if len(codes) < row:  # a key that earlier records lack
                codes.extend([known.setdefault("", len(known))] * (row - len(codes)))
            codes.append(known.setdefault(text, len(known)))

    def label(self, number: int, choices: Sequence[Any]) -> str | None:
        """The class that an answer is a vote for; None where it is none, which is counted or noted."""
        texts = [text_of(choice) for choice in choices]
        if None in texts or "" in texts:
            bad = next(choice for choice, text in zip(choices, texts, strict=True) if not text)
            self.no_classes = self.no_classes or f"{self.place(number)}: found {imported.shown(bad)} for an answer"
            self.left_out[NO_CLASS] += 1
            return None
        self.choices.update(texts)
        if wanted := self.source["finding"]:
            return wanted if wanted in texts else f"not {wanted}"
        if len(texts) == 1:
            return texts[0]
        if not texts:
            self.leave_out("answers without a choice")
        elif self.source["several"] == "leave_out":
            self.leave_out("answers with several choices")
        else:
            self.several = self.several or (number, texts)
            self.leave_out(SEVERAL)
        return None

    def content(self, what: str) -> Content:
        """The content of the votes, by the way of a table; ``what`` records are called, for messages."""
        source, problems = self.source, self.problems
        if self.no_classes:
            key = next(
                (f"set source.{key} to another question, or " for key in ("question", "task") if key in source), ""
            )
            problems.add(
                f"{self.no_classes} ({self.left_out[NO_CLASS]} such answers), expected the name of a class. "
                f"{(key + 'remove these answers').capitalize()}."
            )
        problems.stop()
        if self.several:
            number, texts = self.several
            raise Undecided(
                f"{self.place(number)}: found {len(texts)} choices in one answer ({listed(texts)}; "
                f"{self.left_out[SEVERAL]} such answers), expected one, as a vote is for one class. Set source.finding "
                f"to one of the choices to import whether it was made (a data set a choice), or source.several to "
                f"'leave_out' to do without such answers.", "finding", [each for each, _ in self.choices.most_common()],
            )  # fmt: skip
        told = [f"{times} {reason} were left out." for reason, times in self.left_out.items()]
        if wanted := source["finding"]:
            if self.numbers and wanted not in self.choices:
                raise UserError(
                    f"{self.path}: found nobody who chose '{wanted}' (source.finding) among "
                    f"{listed(sorted(self.choices))}. {near(wanted, self.choices)}Correct the key."
                )
            source = {**source, "classes": source["classes"] or [f"not {wanted}", wanted]}
            told.append(f"A vote says whether '{wanted}' is among the choices of an answer.")
        if not self.numbers:
            raise UserError(
                f"{self.path}: found no vote among its {what}{': ' if told else '. '}{' '.join(told)}"
                f"{' ' if told else ''}Export the file again with its annotations, or name another question."
            )
        n, columns = len(self.numbers), {}
        for role, (codes, known) in self.columns.items():
            codes.extend([known.setdefault("", len(known))] * (n - len(codes)))
            columns[role] = Column(np.array(codes, np.int32), list(known))
        keys = {role.removeprefix("image."): columns.pop(role) for role in list(columns) if role.startswith("image.")}
        key = key_of_images(self.path, keys, self.images, source["image"])
        columns = {role: column for role, column in columns.items() if role == "label" or any(column.texts)}
        table = Cells(self.path, {"item": keys[key], **columns}, np.array(self.numbers, np.int64), self.unit)
        told += self.remarks
        votes, classes, groups = rows.votes_of(table, source, source["classes"], self.images, problems, told)
        problems.stop()
        return imported.content(source, self.images, classes, problems, votes=votes, groups=groups, remarks=told)


def listed(values: Iterable[Any], most: int = SHOWN) -> str:
    """Some values for a message: the first ones, and whether there are more."""
    texts = [str(value) for value in values]
    shown = [text if len(text) <= CELL else f"{text[: CELL - 1]}…" for text in texts[:most]]
    return ", ".join(shown + ["…"] * (len(texts) > most))


def near(name: str, names: Iterable[str]) -> str:
    """A question that names the nearest of the names, or nothing."""
    return "".join(f"Did you mean '{other}'? " for other in difflib.get_close_matches(name, list(names), n=1))


def chosen(
    path: Path, what: str, key: str, wanted: str | None, there: Iterable[str], plural: str | None = None
) -> str:  # fmt: skip
    """The one of the names that are ``there`` which the option ``source.key`` names, or the only one.

    ``what`` they are, for messages. None, several without the option, or another one is a UserError.
    """
    names = list(dict.fromkeys(there))
    if wanted is None and len(names) == 1:
        return names[0]
    if not names:
        raise UserError(f"{path}: found no {what}. Export the file again with answers that are choices.")
    if wanted is None:
        raise Undecided(
            f"{path}: found {len(names)} {plural or f'{what}s'}: {listed(names, 20)}; a data set has the votes of one. "
            f"Set source.{key} to one of them.", key, names,
        )  # fmt: skip
    if wanted not in names:
        raise UserError(
            f"{path}: found no {what} '{wanted}' (source.{key}) among {listed(names, 20)}. {near(wanted, names)}"
            f"Correct the key."
        )
    return wanted


def bare(text: str, zeros: bool = True) -> str:
    """The stem of a file name in a path or address, in one spelling: only to see which key holds names of images.

    Without ``zeros`` leading ones are cut, too: then a class "1" looks like the image ``001.png``.
    """
    return names.stem(text, tuple(step for step in names.STEPS if not (zeros and step == names.ZEROS)))


def key_of_images(path: Path, keys: Mapping[str, Column], images: Images, wanted: str | None) -> str:
    """The key whose texts name images: the one ``wanted`` (``source.image``), or that of which most texts do.

    None, or several that name different images, is a UserError.
    """
    keys = {key: column for key, column in keys.items() if any(column.texts)}
    if wanted is not None or len(keys) < 2:
        return chosen(path, "key that could name the image", "image", wanted, keys, "keys that could name the image")
    for zeros in (True, False):
        known = {bare(name, zeros) for name in images}
        stems = {key: [bare(text, zeros) for text in column.texts] for key, column in keys.items()}
        fits = {key: sum(stem in known for stem in set(stems[key])) for key in keys}
        if any(fits.values()):
            break
    best = [key for key in keys if fits[key] == max(fits.values())]
    examples = listed((f"{key} ('{next(filter(None, keys[key].texts))[:CELL]}')" for key in keys), 20)
    if not fits[best[0]]:
        raise UserError(
            f"{path}: found no key that names images in {images.folder} ('{next(iter(images))}' is one of them) "
            f"among {examples}. Set source.image to the right key, or correct the image folder."
        )
    same = {tuple(np.array(stems[key], object)[keys[key].code]) for key in best}
    if len(same) > 1:
        raise Undecided(
            f"{path}: found {len(best)} keys that name images in {images.folder}, {listed(best)}, of {examples}. Set "
            f"source.image to the one that was voted on.", "image", best,
        )  # fmt: skip
    return best[0]


def text_of(value: Any) -> str | None:
    """What a JSON value says as the name of something ("" for null); None for lists and objects."""
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, list | dict):
        return "" if value is None else None
    return json.dumps(value)


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Any]:
    """A JSON list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def mappings(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list; none for anything else."""
    return [part for part in entries(value) if isinstance(part, dict)]


def seconds(text: Any) -> float | None:
    """A time in seconds since 1970: a number is one already; of ISO 8601 and MTurk's way of writing; None for others.

    A time without a zone is taken for UTC.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text) if abs(text) <= sys.float_info.max else None
    if not isinstance(text, str):
        return None
    words = [ZONES.get(word, word) for word in text.split()]
    with_zone = f"{' '.join(words[:-1])}{words[-1]}" if words and words[-1][:1] in "+-" else " ".join(words)
    for read in (datetime.fromisoformat, mturk_time):
        try:
            moment = read(with_zone)
        except ValueError:
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def mturk_time(text: str) -> datetime:
    """A time such as ``Thu Oct 09 07:30:20 +00:00 2025``; a ValueError for others."""
    _, month, day, clock, *zone, year = text.split() if len(text.split()) in (5, 6) else [""] * 6
    number = 1 + MONTHS.index(month)
    return datetime.fromisoformat(f"{year}-{number:02}-{int(day):02} {clock}{''.join(zone)}")


def is_true(value: Any) -> bool:
    """Whether a value of JSON, or a cell, says yes."""
    return value is True or (isinstance(value, str) and value.strip().casefold() in TRUE)


def parsed(text: str) -> Any:
    """The JSON list or object in a cell; the text itself where it is none."""
    try:
        return json.loads(text) if text.lstrip()[:1] in ("[", "{") else text
    except (ValueError, RecursionError):
        return text


def table(path: Path, needed: Sequence[str], what: str, problems: Problems) -> Cells:
    """All columns of a CSV file by their names, whatever separates its cells; ``needed`` show that it is ``what``."""
    if path.suffix.lower() == ".parquet":
        separators = [","]
    else:
        separators = ["\t", ",", ";", "|"] if path.suffix.lower() == ".tsv" else [",", "\t", ";", "|"]
    for separator in separators:
        try:
            names = cells.header(path, separator)
        except UserError:
            if separator == separators[-1]:
                raise
            continue
        if all(any(re.fullmatch(pattern, name) for name in names) for pattern in needed):
            return cells.read(path, {name: name for name in names}, problems, separator)
    raise UserError(
        f"{path}: found the columns {listed(cells.header(path, separators[0]), 8)}, expected {what}. Export the file "
        f"again without renaming its columns, or set source.kind to another; {LOOK.format(path.name)}"
    )


def cell(table: Cells, name: str, row: int) -> str:
    """The text of a cell; "" where the file has no such column."""
    return table.columns[name].each(row) if name in table.columns else ""


def other_file(path: Path, found: str, expected: str) -> UserError:
    """The message about a file that is not the export that its reader expects."""
    return UserError(
        f"{path}: found {found}, expected {expected}. Correct source.votes or source.kind; {LOOK.format(path.name)}"
    )


def keys_of(value: Any) -> str:
    """What a JSON document is, in a few words for a message."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"a list of objects, the first with the keys {listed(value[0])}"
    if isinstance(value, dict) and value:
        return f"an object with the keys {listed(value)}"
    return imported.shown(value)
