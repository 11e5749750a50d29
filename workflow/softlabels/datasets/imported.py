"""What all sources with image files share: which vote belongs to which image, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import Problems, Undecided, UserError
from . import names as naming
from .cells import Cells, Column, first_bad_line, is_missing, text_of
from .contract import Content, Options, Votes
from .images import Images, import_images, rules

MOST_NAMED = 25  # more messages of one kind than are shown help nobody
OF_A_KIND = 8  # mistakes of one kind that are told one by one; the others are counted
WHOLE = re.compile(r"[-+]?\d{1,18}")
MOST_CLASSES = 32_767  # that the labels of votes, int16, can tell apart


def content(
    source: Options, images: Mapping[str, Path], classes: list[str], problems: Problems, *,
    votes: Votes | None = None, p: np.ndarray | None = None, groups: list[str | None] | None = None,
    columns: Mapping[str, np.ndarray] | None = None, remarks: Sequence[str] = (), **notes: Any,
) -> Content:  # fmt: skip
    """The content (see :class:`Content`) of a source of N image files by item name; raises all that is wrong.

    With votes it takes the options ``unvoted`` (``refuse`` or ``leave_out`` images without a vote) and
    ``pseudonymise``; ``votes`` have the annotators' own names. ``remarks`` say what the import did, a sentence each.
    """
    if len(classes) < 2:
        problems.add(
            f"source.classes: found {len(classes)} class ({', '.join(classes) or 'none'}), expected two or more. Add "
            f"votes for others, or list all classes in source.classes."
        )
    if len(classes) > MOST_CLASSES:
        problems.add(
            f"source.classes: found {len(classes)} classes, expected at most {MOST_CLASSES}. Correct the classes, or "
            f"swap the rows and columns of the source's file."
        )
    problems.stop()
    names, remarks = list(images), list(dict.fromkeys([*problems.remarks, *remarks]))
    of_labels = (columns or {}).get("truth")
    if source.get("merged"):
        if of_labels is not None:
            columns = {**columns, "truth": merged_truth(source["merged"], of_labels)}
        classes, votes, p = merged(source["merged"], classes, votes, p, remarks)
    if votes is not None:
        number = np.bincount(votes.item, minlength=len(names))
        if not number.all() and (source["unvoted"] == "refuse" or not number.any()):
            raise Undecided(
                f"{images[names[(number > 0).argmin()]]}: found no vote for this image ({(number == 0).sum():,} of "
                f"{len(names):,} images have none). Add votes, remove these images, or set source.unvoted to "
                f"'leave_out'.", "unvoted", ["leave_out"],
            )  # fmt: skip
        if not number.all():
            remarks.append(f"{(number == 0).sum()} of {len(names)} images have no vote and were left out.")
        least = source.get("minimum_votes", 1)
        if (few := (number > 0) & (number < least)).any():
            if (number < least).all():
                raise UserError(
                    f"source.minimum_votes: found {least}, but no image has more than {number.max()} votes. Lower it."
                )
            remarks.append(
                f"{few.sum()} of {len(names)} images have fewer than {least} votes (`minimum_votes`) and were left "
                f"out, with their {several(number[few].sum(), 'vote')}."
            )
        kept = number >= max(least, 1)
        if not kept.all():
            votes = chosen_votes(votes, kept[votes.item])
            votes = replace(votes, item=(np.cumsum(kept) - 1)[votes.item])
            names = [name for name, keep in zip(names, kept, strict=True) if keep]
            groups = groups and [group for group, keep in zip(groups, kept, strict=True) if keep]
            columns = {key: value[kept] for key, value in (columns or {}).items()}
        if of_labels is not None:
            remarks.append(truth_remark(source, of_labels[kept], columns["truth"]))
        if votes.annotator is not None and source["pseudonymise"]:
            aliases = pseudonyms(votes.annotator.dictionary.to_pylist())
            annotator = pa.DictionaryArray.from_arrays(votes.annotator.indices, pa.array(aliases, pa.string()))
            votes = replace(votes, annotator=annotator)
    pixels = partial(import_images, [images[name] for name in names], source)
    notes = {"remarks": remarks, **notes}
    return Content(names, classes, pixels, votes, p, groups, columns or {}, notes, rules(source))


def chosen_votes(votes: Votes, keep: np.ndarray) -> Votes:
    """The votes where ``keep``, bool ``[V]``, is true."""
    if keep.all():
        return votes
    weight, time = (None if values is None else values[keep] for values in (votes.weight, votes.time))
    annotator = None if votes.annotator is None else votes.annotator.filter(pa.array(keep))
    return replace(votes, item=votes.item[keep], label=votes.label[keep], annotator=annotator, weight=weight, time=time)


def merging(classes: Any) -> tuple[list[str] | None, list[tuple[str, list[str] | None]] | None]:
    """The option ``classes`` as readers know it, the labels of the data or None, and how labels become classes.

    The latter, None where they are the classes, has the labels of each class, in index order, and None for a label
    whose votes are left out. A UserError where a label is in two classes.
    """
    if not classes or isinstance(classes[0], str):
        return classes, None
    labels_of = [
        (name, None if given is None else [str(label) for label in (given if isinstance(given, list) else [given])])
        for name, given in classes
    ]
    labels = [label for name, given in labels_of for label in (given or [name])]
    ((label, times),) = Counter(labels).most_common(1)
    if times > 1:
        raise UserError(f"source.classes: names the label '{label}' twice. Put it into one class, or leave it out.")
    return labels, labels_of


def in_order(source: Options) -> list[str] | None:
    """The option ``classes`` where it gives the order of the classes: none of a mapping, which names them."""
    return None if source.get("merged") else source["classes"]


def merged_truth(labels_of: Sequence[tuple[str, list[str] | None]], truth: np.ndarray) -> np.ndarray:
    """The classes of true labels, object ``[N]`` (None: not known, or a label whose votes are left out)."""
    class_of = {label: name for name, labels in labels_of for label in labels or ()}
    return np.array([class_of.get(label) for label in truth], object)


def truth_remark(source: Options, of_labels: np.ndarray, truth: np.ndarray) -> str:
    """How many of N images have a truth, object ``[N]``, and how many only one that is no class, of the labels' truths.

    None at all is a UserError, as nothing could be scored.
    """
    n, dropped = (truth != None).sum(), ((of_labels != None) & (truth == None)).sum()  # noqa: E711
    if not n:
        raise UserError(
            f"source.columns.truth: found no truth for any of {len(truth):,} images that have votes and a class. Name "
            f"another column, or set it to null."
        )
    left = f"; {dropped:,} more have one that `classes` leaves out" if dropped else ""
    return (
        f"{n:,} of {len(truth):,} images have a truth from elsewhere (column '{source['columns']['truth']}'){left}. "
        f"Networks and votes are scored against it, and nothing is trained on it."
    )


def merged(
    labels_of: Sequence[tuple[str, list[str] | None]], found: list[str], votes: Votes | None, p: np.ndarray | None,
    remarks: list[str],
) -> tuple[list[str], Votes | None, np.ndarray | None]:  # fmt: skip
    """Classes, votes and distributions ``[N, C]`` whose labels, the classes ``found``, become those of ``merging``."""
    classes = [name for name, labels in labels_of if labels is not None]
    index = {label: classes.index(name) for name, labels in labels_of for label in labels or ()}
    index |= {name: -1 for name, labels in labels_of if labels is None}
    if unknown := [label for label in found if label not in index]:
        raise UserError(
            f"source.classes: does not say what becomes of the label {quoted(unknown[:1])}. Add it to a class, or as "
            f"`{unknown[0]}: null` if its votes are to be left out."
        )
    if len(classes) < 2:
        raise UserError(f"source.classes: found {len(classes)} class that is not null, expected two or more. Add one.")
    place = np.array([index[label] for label in found])
    if votes is not None:
        used = np.bincount(votes.label, minlength=len(found))
        for label in np.flatnonzero(place < 0):
            were = "was" if used[label] == 1 else "were"
            remarks.append(f"{several(used[label], 'vote')} for '{found[label]}' {were} left out, as `classes` says.")
        votes = replace(votes, label=place[votes.label])
        votes = chosen_votes(votes, votes.label >= 0)
    if p is not None:
        if (p[:, place < 0] > 0).any():
            dropped = found[int(np.flatnonzero((place < 0) & (p > 0).any(axis=0))[0])]
            raise UserError(
                f"source.classes: '{dropped}' is null, but it has a share in some of the distributions, which would "
                f"not sum to 1 without it. Put it into a class."
            )
        p = np.stack([p[:, place == k].sum(axis=1) for k in range(len(classes))], axis=1)
    for name, labels in labels_of:
        if labels not in (None, [name]):
            remarks.append(f"The class '{name}' is made of the label{'s'[: len(labels) > 1]} {quoted(labels)}.")
    return classes, votes, p


def pseudonyms(names: list[str]) -> list[str]:
    """``annotator-0001`` and so on for distinct names, numbered in the order of the SHA-256 of the names.

    A pseudonym, not anonymity: who can guess the names can repeat the numbering.
    """
    width = max(4, len(str(len(names))))
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    alias = {name: f"annotator-{number:0{width}}" for number, name in enumerate(order, start=1)}
    return [alias[name] for name in names]


def annotators(column: Column) -> pa.DictionaryArray:
    """The annotator of each row; an empty cell is an unknown one."""
    names = [text for text in column.texts if text]
    place = {name: index for index, name in enumerate(names)}
    code = np.array([place.get(text, -1) for text in column.texts], np.int32)[column.code]
    return pa.DictionaryArray.from_arrays(pa.array(code, mask=code < 0), pa.array(names, pa.string()))


def question_people(names: Sequence[str], problems: Problems) -> None:
    """A remark on annotators whose names differ in blanks or case alone: two people, or one who is written twice."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(" ".join(name.split()).casefold(), []).append(name)
    if doubtful := [same for same in alike.values() if len(same) > 1]:
        first = " and ".join(repr(name) for name in sorted(doubtful[0]))
        problems.remarks.append(
            f"{len(doubtful)} annotators are written in ways that differ in blanks or case alone, such as {first}: "
            f"each way counts as a person of its own. Write them alike if they are one."
        )


def without_words(
    cells: Cells, role: str, what: str, problems: Problems, but: Collection[str] = (), of: str = "rows"
) -> Column:
    """A column whose cells are empty where they hold a word for nothing, ``but`` for some; a remark counts these.

    They are counted as ``rows`` of the file, or as the ``votes`` that these hold.
    """
    column = cells.columns[role]
    nothing = [is_missing(text) and text not in but for text in column.texts]
    word = np.array([empty and text != "" for empty, text in zip(nothing, column.texts, strict=True)], bool)
    if (held := word[column.code]).any():
        found = sorted({column.texts[code] for code in np.unique(column.code[held])})
        n, total = held.sum(), len(held)
        if of == "rows":  # of the file: several of the table may stand for one
            n, total = len(np.unique(cells.number[held])), len(np.unique(cells.number))
        problems.remarks.append(
            f"{n:,} of {total:,} {of} in {cells.path.name} have no {what}, as {quoted(found)} "
            f"stand{'s' if len(found) == 1 else ''} for none."
        )
    texts = ["" if empty else text for empty, text in zip(nothing, column.texts, strict=True)]
    return Column(column.code, texts)


def lookup(cells: Cells, role: str, known: Mapping[str, int], what: str, remedy: str, problems: Problems) -> np.ndarray:
    """The number that each cell's text stands for, int64 ``[R]`` (-1: none), by the numbers ``known`` by text.

    The first place of each text that is not known, and of empty cells, is noted: as no ``what``, ending in ``remedy``.
    """
    column = cells.columns[role]
    number = np.array([known.get(text, -1) for text in column.texts], np.int64)
    used = np.bincount(column.code, minlength=len(column.texts))
    note_texts(cells, role, np.flatnonzero((number < 0) & (used > 0)), what, lambda text: "", remedy, problems)
    return number[column.code]


def note_texts(
    cells: Cells, role: str, codes: Sequence[int], what: str, more: Callable[[str], str], remedy: str,
    problems: Problems,
) -> None:  # fmt: skip
    """Note texts of a column that are no ``what``, by their codes; ``more`` says more of one ("; the nearest is …")."""
    column = cells.columns[role]
    used = np.bincount(column.code, minlength=len(column.texts))

    def message(code: int) -> str:
        text = column.texts[code]
        found = f"found no {what} '{text}'" if text else f"the {what} is empty"
        return f"{cells.place(column.first(code))}: {found}{rows(used[code])}{more(text)}. {remedy}"

    note(
        map(message, codes),
        len(codes),
        f"{what}s like these, {used[codes[OF_A_KIND:]].sum():,} rows",
        problems,
        cells.path,
    )


def several(n: int, what: str) -> str:
    """A number of things in words."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def rows(n: int) -> str:
    """How many rows a message is about, in brackets, where it is not one."""
    return f" ({n:,} rows)" if n > 1 else ""


def note(messages: Iterable[str], total: int, kind: str, problems: Problems, path: Path | None = None) -> None:
    """Note the first mistakes of one ``kind`` (in words, of several), and how many more there are in all."""
    for message in itertools.islice(messages, OF_A_KIND):
        problems.add(message)
    if (more := total - OF_A_KIND) > 0:
        problems.add(f"{path}: and {more:,} more {kind}." if path else f"And {more:,} more {kind}.", more)


def items(cells: Cells, role: str, images: Images, by: str, problems: Problems) -> np.ndarray:
    """The item that each row is about, int64 ``[R]`` (-1: none).

    ``by`` is ``name`` (a path below the folder, or a file name or stem that occurs once) or ``index`` (the place, from
    0, of the file in the order of the names).
    """
    last, folder = len(images) - 1, images.folder
    if by == "index":
        check_order(images, problems)
        known = {str(index): index for index in range(len(images))}
        remedy = f"Write a whole number from 0 to {last}, the place of the image in {folder} in name order."
        return lookup(cells, role, known, "image", remedy, problems)
    return named_items(cells, role, images, problems)


def named_items(cells: Cells, role: str, images: Images, problems: Problems) -> np.ndarray:
    """:func:`items` by name: as :mod:`.names` matches them; a remark says so where a rule was needed."""
    column, files = cells.columns[role], list(images)
    used = np.bincount(column.code, minlength=len(column.texts))
    code_of = {column.texts[code]: code for code in np.flatnonzero(used)}
    match = naming.match(code_of, files)
    if match.ruled:
        problems.remarks.append(
            f"{match.ruled:,} of {len(code_of):,} names of images in {cells.path.name} are not written as the files "
            f"are. One rule gives each its image ({match.rule}), such as '{files[match.image[match.example]]}' for "
            f"'{match.example}'."
        )
    place = f"Write a path below {images.folder} (or a file name that occurs once there)"
    remedy, nearest = f"{place}, add the image, or remove the row.", naming.Nearest(files) if match.missing else None

    def near(text: str) -> str:
        found = nearest.to(text) if nearest and text else []
        return f"; the nearest {'name is' if len(found) == 1 else 'names are'} {quoted(found)}" if found else ""

    missing = set(match.missing)
    lacking = [code for text, code in code_of.items() if text in missing or not text.strip()]
    note_texts(cells, role, np.array(lacking, int), "image", near, remedy, problems)
    note(
        (
            f"{cells.place(column.first(code_of[text]))}: found no image '{text}'{rows(used[code_of[text]])}, but "
            f"{len(found):,} that it may name, such as {quoted(files[index] for index in found[:2])}. {place}."
            for text, found in match.several.items()
        ),
        len(match.several), "names that several images fit", problems, cells.path,
    )  # fmt: skip
    note(
        (
            f"{cells.place(column.first(code_of[text]))}: found no image '{text}'{rows(used[code_of[text]])} beside "
            f"'{other}' ({cells.unit} {cells.number[column.first(code_of[other])]}): both may name "
            f"'{files[index]}'. {place}, alike for both if they are one image."
            for index, (other, text) in ((index, pair(found, files)) for index, found in match.shared.items())
        ),
        len(match.shared), "images that several names fit", problems, cells.path,
    )  # fmt: skip
    index = np.array([match.image.get(text, -1) for text in column.texts], np.int64)
    return index[column.code]


def pair(found: Sequence[str], exact: Sequence[str]) -> tuple[str, str]:
    """Two of several names, the one that is written as it should be first."""
    first = min(found, key=lambda name: name not in exact)
    return first, next(name for name in found if name != first)


def quoted(found: Iterable[str]) -> str:
    """Names in a message."""
    return " and ".join(f"'{name}'" for name in found)


def check_order(images: Images, problems: Problems) -> None:
    """Refuse names whose order as text differs from their order as numbers: rows would meet the wrong images."""
    by_number = sorted(
        images, key=lambda name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
    )
    text, number = next((pair for pair in zip(images, by_number, strict=True) if len(set(pair)) > 1), ("", ""))
    if text:
        problems.add(
            f"{images.folder}: '{text}' comes before '{number}' as text but after it as a number, so the row of each "
            f"is not certain. Pad the numbers with zeros, or name the images in the table."
        )


def class_names(place: str, labels: Sequence[str], classes: list[str] | None, problems: Problems) -> list[str]:
    """The classes given, or the distinct labels: whole numbers in their order, others sorted as text.

    Labels that look like a mistake are noted.
    """
    if classes:
        return classes
    names = sorted(set(labels) - {""})
    if all(WHOLE.fullmatch(name) for name in names) and (ordered := sorted(names, key=int)) != names:
        at = next(at for at, pair in enumerate(zip(names, ordered, strict=True)) if len(set(pair)) > 1)
        problems.remarks.append(
            f"The labels are whole numbers, so the classes stand in the order of these: {', '.join(ordered[:12])}"
            f"{', …' if len(ordered) > 12 else ''}. As text, '{names[at]}' would stand before '{ordered[at]}'; a "
            f"list of all in source.classes fixes another order."
        )
        names = ordered
    alike: dict[str, str] = {}
    for name in names:
        other = alike.setdefault(unicodedata.normalize("NFKC", name).strip().casefold(), name)
        if other != name:
            problems.add(
                f"{place}: found the labels '{other}' and '{name}'. Write them alike, or, if both are classes, list "
                f"them in source.classes."
            )
    decimal = [name for name in names if re.fullmatch(r"[-+]?\d*\.\d+", name) or name.casefold() in ("nan", "inf")]
    if decimal:
        problems.add(
            f"{place}: found the label '{decimal[0]}', expected the name or number of a class. Write class numbers "
            f"without decimals, remove rows without a label, or, if it is a class, list it in source.classes."
        )
    if structured := [name for name in names if re.fullmatch(r"\s*(\{.*\}|\[.*\])\s*", name, re.DOTALL)]:
        problems.add(
            f"{place}: found the label {structured[0]!r:.80}, which looks like JSON "
            f"({several(len(structured), 'such label')}). Read the file with the source of the tool that wrote it, or "
            f"write the name of one class a cell; if it is a class, list it in source.classes."
        )
    if joined := [name for name in names if name not in structured and is_joined(name, names)]:
        problems.add(
            f"{place}: found the label {joined[0]!r:.80}, which looks like several classes in one cell "
            f"({several(len(joined), 'such label')}). Write a row a class; if it is one class, list it in "
            f"source.classes."
        )
    return names


def is_joined(label: str, labels: Sequence[str]) -> bool:
    """Whether a label looks like several: parts between bars or semicolons, or known labels between commas."""
    parts = [part.strip() for part in re.split(r"[|;]", label)]
    listed = [part.strip() for part in label.split(",")]
    return (len(parts) > 1 and all(parts)) or (len(listed) > 1 and set(listed) <= set(labels))


def labelled(cells: Cells, classes: list[str] | None, rule: str, problems: Problems) -> np.ndarray:
    """Which rows have a label, bool ``[R]``; others are noted, or left out where ``rule`` (``missing``) is leave_out.

    No label is an empty cell, and one of the words that programs write for one, unless ``classes`` lists it.
    """
    column = cells.columns["label"]
    used = np.bincount(column.code, minlength=len(column.texts))
    absent = np.array([is_missing(text) and text not in (classes or ()) for text in column.texts], bool)
    codes = np.flatnonzero(absent & (used > 0))
    if rule == "leave_out" and len(codes) and not absent[column.code].all():
        found = ", ".join(f"'{column.texts[code]}'" if column.texts[code] else "empty" for code in codes)
        problems.remarks.append(
            f"{used[codes].sum()} of {len(cells)} rows have no label ({found}) and were left out (`missing`)."
        )
        return ~absent[column.code]
    known = classes or [column.texts[code] for code in np.flatnonzero(~absent & (used > 0))]
    write = f"Write one of {', '.join(known[:12])}" if 0 < len(known) <= 12 else "Write the name of a class"
    leave = "or set source.missing to 'leave_out' to leave such rows out"
    with problems.settled_by("missing", "leave_out"):
        for code in codes:
            text, row = column.texts[code], column.first(code)
            if not text.strip():
                problems.add(f"{cells.place(row)}: the label is empty{rows(used[code])}. {write}, {leave}.")
                continue
            problems.add(
                f"{cells.path}: found the label '{text}', which stands for none, in {cells.unit} {cells.number[row]}"
                f"{rows(used[code])}, expected the name or number of a class. {write}, {leave}, or, if it is a class, "
                f"list it in source.classes."
            )
    return ~absent[column.code]


def one_vote_each(
    cells: Cells, role: str, item: np.ndarray, names: Sequence[str], problems: Problems, rule: str = "refuse",
    time: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Which rows count, bool ``[R]``, where one known annotator may have voted several times on one item.

    ``rule`` (``repeats``) says which of these: the ``first`` or ``last``, by ``time`` (float ``[R]``, nan: unknown)
    where each of them has one, else by their order in the file; ``all``; or none (``refuse``), then they are noted.
    """
    column = cells.columns[role]
    known = np.array([text != "" for text in column.texts], bool)[column.code] & (item >= 0)
    found = np.flatnonzero(known)
    key = item[found] * len(column.texts) + column.code[found]
    keep = np.ones(len(cells), bool)
    if not (np.diff(np.sort(key)) == 0).any():
        return keep
    _, group, size = np.unique(key, return_inverse=True, return_counts=True)
    by_time = np.zeros(len(size), bool)
    when = np.zeros(len(found))
    if time is not None:
        by_time = np.bincount(group, np.isnan(time[found]), len(size)) == 0
        when = np.where(by_time[group], time[found], 0)
    order = np.lexsort((found, when, group))
    again = np.flatnonzero(np.diff(group[order]) == 0)
    if rule == "refuse":
        with problems.settled_by("repeats", "first", "last", "all"):
            note(
                (
                    f"{cells.both(before, row)} votes of '{column.each(row)}' on the image '{names[item[row]]}'. Keep "
                    f"one, say with source.repeats which count (first, last or all), or set the annotator's column to "
                    f"null."
                    for before, row in (sorted(found[order[[place, place + 1]]]) for place in again)
                ),
                len(again), "votes of an annotator who had voted on the image", problems, cells.path,
            )  # fmt: skip
        return keep
    voted = f"In {several((size > 1).sum(), 'case')} an annotator voted more than once on an image"
    if rule == "all":
        problems.remarks.append(f"{voted}; all {size[size > 1].sum()} of these votes count (`repeats`).")
        return keep
    keep[found[order[again + (rule == "first")]]] = False
    timed, others = (by_time & (size > 1)).sum(), (~by_time & (size > 1)).sum()
    by = " and ".join(f"{n} by {what}" for n, what in ((timed, "time"), (others, "the order of rows")) if n)
    problems.remarks.append(
        f"{voted}; the {rule} vote counts (`repeats`: {by}), and {len(again)} others were left out."
    )
    return keep


def moments(cells: Cells, role: str, what: str, problems: Problems) -> np.ndarray:
    """The times of a column, float64 ``[R]`` (nan: none): numbers as they are, or dates as seconds since 1970 (UTC)."""
    column = cells.columns[role]
    given = [text for text in column.texts if text]
    dated = bool(given) and not any(np.isfinite(number(text)) for text in given)
    read = seconds if dated and any(np.isfinite(seconds(text)) for text in given) else number
    values = np.array([read(text) for text in column.texts], np.float64)
    bad = ~np.isfinite(values) & np.array([text != "" for text in column.texts], bool)
    note_cells(cells, role, what, bad, "a number, a date and time as 2024-05-31T12:00:00, or nothing", problems)
    return values[column.code]


def seconds(text: str) -> float:
    """A date and time in the form of ISO 8601 in seconds since 1970; nan for other text. Without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return np.nan
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def numbers(cells: Cells, role: str, what: str, test: Any, expected: str, problems: Problems) -> np.ndarray:
    """The numbers of a column, float64 ``[R]`` (nan where a cell holds none); cells that fail ``test`` are noted."""
    column = cells.columns[role]
    values = np.array([number(text) for text in column.texts], np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~test(values)
    note_cells(cells, role, what, bad, expected, problems)
    return values[column.code]


def note_cells(cells: Cells, role: str, what: str, bad: np.ndarray, expected: str, problems: Problems) -> None:
    """Note the texts of a column, called ``what``, that are ``bad`` (bool, of each text)."""
    column = cells.columns[role]
    used = np.bincount(column.code, minlength=len(column.texts))
    codes = np.flatnonzero(bad & (used > 0))
    note(
        (
            f"{cells.place(column.first(code))}, column '{what}': found '{column.texts[code]}', expected {expected}"
            f"{rows(used[code])}. Correct that cell."
            for code in codes
        ),
        len(codes), f"values of column '{what}', {used[codes[OF_A_KIND:]].sum():,} rows", problems, cells.path,
    )  # fmt: skip


def stop_early(problems: Problems) -> None:
    """Raise the many mistakes that were found, rather than read on in a file of another kind."""
    if len(problems.messages) >= MOST_NAMED:
        problems.stop()


def class_columns(cells: Cells, classes: Sequence[str], test: Any, expected: str, problems: Problems) -> np.ndarray:
    """The numbers of a table with a column a class, float64 ``[R, C]``; see :func:`numbers`."""
    columns = [numbers(cells, f"classes.{name}", name, test, expected, problems) for name in classes]
    return np.array(columns).T.reshape(len(cells), len(classes))


def number(text: str) -> float:
    """The number that a cell holds; nan where it holds none."""
    try:
        return np.nan if "_" in text else float(text)  # Python would read 1_0 as 10
    except ValueError:
        return np.nan


def document(path: Path) -> Any:
    """What a JSON file holds; a key that an object has twice, of which readers keep the last, is a UserError, too."""
    try:
        with text_of(path) as file:
            return json.loads(file.read(), object_pairs_hook=distinct)
    except UnicodeDecodeError:
        reason = f"line {first_bad_line(path)} is not UTF-8 text"
        raise UserError(f"{path}: cannot be read as JSON ({reason}). Save it in UTF-8, or get it again.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}). Correct it, or get the file again.") from None


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that occurs twice is a ValueError, not the last of the two."""
    found = dict(pairs)
    if len(found) < len(pairs):
        (key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"an object has the key {shown(key)} twice")
    return found


def shown(value: Any) -> str:
    """A JSON value in a message: a list or an object by its kind alone, text with its odd characters escaped."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    return (repr(value) if isinstance(value, str) else json.dumps(value))[:100]


def is_name(value: Any) -> bool:
    """Whether a JSON value can name something: text that shows, without control characters or half characters."""
    return isinstance(value, str) and value.isprintable() and not value.isspace() and value != ""
