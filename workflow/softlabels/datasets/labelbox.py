"""An export of Labelbox: a line (NDJSON) or a list entry for each data row, with a label for each annotator.

Each label answers questions (classifications) by a ``radio_answer``, or with several choices, ``checklist_answers``::

    {"data_row": {"id": "cl12", "global_key": "a.jpg", "row_data": "https://h/a.jpg"}, "projects": {"clp9": {"labels": [
        {"label_details": {"created_by": "x@y.z"}, "performance_details": {"skipped": false}, "annotations": {
            "classifications": [{"name": "kind", "radio_answer": {"name": "Cat", "value": "cat"}}]}}]}}}

The first version of the export had a list entry for each label, with ``Label``, ``Created By`` and ``External ID``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Problems
from . import exports, imported
from .cells import text_of
from .contract import Content, Options
from .distributions import json_lines
from .exports import Records

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "Images and an export of Labelbox (NDJSON, or the same as a JSON list; also of its first version).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {"type": "string", "description": "The exported file (required).", "input": "votes", "required": True},
        "question": {"type": ["string", "null"], "default": None,
            "description": "Name of the classification whose answers are the votes; null where there is one."},
        "project": {"type": ["string", "null"], "default": None,
            "description": "Id (or name) of the project whose labels are the votes; null where there is one."},
    },
    "shared": ["image", "finding", "several", "classes", "unvoted", "minimum_votes", "missing", "repeats",
        "pseudonymise", "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
}  # fmt: skip

FORM = "an export of Labelbox (objects with 'data_row' and 'projects', or with 'Label' and 'Labeled Data')"
NAMES = ("global_key", "external_id", "row_data", "id")  # of a data row, that may name the image
OLD_NAMES = ("External ID", "Labeled Data", "DataRow ID", "Global Key")


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with an export of Labelbox."""
    path = files["votes"]
    unit, entries = records(path, problems)
    found = Records(source, files, problems, unit)
    if entries and all("data_row" in entry for _, entry in entries):
        labels = list(labels_of_rows(entries, found))
    elif entries and all("Label" in entry for _, entry in entries):
        labels = [label for number, entry in entries for label in old_label(number, entry, found)]
    else:
        what = exports.keys_of(entries[0][1]) if entries else "nothing"
        raise exports.other_file(path, what, FORM)
    titles = [title for *_, given in labels for title, _ in given]
    question = exports.chosen(path, "question", "question", source["question"], titles) if labels else None
    for number, names, annotator, time, given in labels:
        choices = [choice for title, values in given if title == question for choice in values]
        if any(title == question for title, _ in given):
            found.vote(number, names, annotator, [spelled(choice, source["classes"]) for choice in choices], time)
        else:
            found.leave_out(f"labels without an answer to '{question}'")
    return found.content("labels")


def records(path: Path, problems: Problems) -> tuple[str, list[tuple[int, dict[str, Any]]]]:
    """The objects of a file with one a line, or of a JSON list: what their numbers are called, number and object."""
    with text_of(path, errors="surrogateescape") as file:
        whole = file.read(4096).lstrip()[:1] == "["
    if not whole:
        entries = list(json_lines(path, problems))
        problems.stop()
        return "line", entries
    entries = imported.document(path)
    if not all(isinstance(entry, dict) for entry in entries):
        raise exports.other_file(path, exports.keys_of(entries), FORM)
    return "entry", list(enumerate(entries, start=1))


ORDINARY = "Default"  # the kind of a label that is no benchmark
# Number, names of the image, annotator, time, and the question and choices of each answer.
Label = tuple[int, dict[str, str], Any, float | None, list[tuple[str, list[Any]]]]


def labels_of_rows(entries: list[tuple[int, dict[str, Any]]], found: Records) -> Iterator[Label]:
    """The labels of data rows that were not skipped."""
    there = {}
    for _, entry in entries:
        for key, project in exports.mapping(entry.get("projects")).items():
            there[key] = exports.mapping(project).get("name")
    wanted = found.source["project"]
    wanted = next((key for key, name in there.items() if wanted and name == wanted), wanted)
    chosen = exports.chosen(found.path, "project", "project", wanted, there)
    for number, entry in entries:
        row = exports.mapping(entry["data_row"])
        names = {key: row[key] for key in NAMES if isinstance(row.get(key), str) and row[key]}
        project = exports.mapping(exports.mapping(entry.get("projects")).get(chosen))
        for label in exports.mappings(project.get("labels")):
            details = exports.mapping(label.get("label_details"))
            if (kind := label.get("label_kind") or ORDINARY) != ORDINARY:
                found.leave_out(f"labels of the kind {exports.imported.shown(kind)}")
                continue
            if exports.mapping(label.get("performance_details")).get("skipped"):
                found.leave_out("skipped labels")
                continue
            given = list(answers(exports.mapping(label.get("annotations")).get("classifications")))
            yield number, names, details.get("created_by"), exports.seconds(details.get("created_at")), given


def answers(classifications: Any) -> Iterator[tuple[str, list[Any]]]:
    """Question and choices of each classification that is answered by choices, and of those below its answers."""
    for part in exports.mappings(classifications):
        title = str(part.get("name") or part.get("title") or part.get("value"))
        if isinstance(one := part.get("radio_answer"), dict):
            chosen = [one]
        elif isinstance(part.get("checklist_answers"), list):
            chosen = part["checklist_answers"]
        elif isinstance(part.get("answers"), list):  # of the first version
            chosen = part["answers"]
        elif isinstance(part.get("answer"), dict | list):
            chosen = part["answer"] if isinstance(part["answer"], list) else [part["answer"]]
        else:  # free text, a date
            continue
        yield title, chosen
        for answer in chosen:
            yield from answers(exports.mapping(answer).get("classifications"))


def old_label(number: int, entry: Mapping[str, Any], found: Records) -> Iterator[Label]:
    """The label of an entry of the first version, unless it was skipped."""
    label = entry["Label"]
    if entry.get("Skipped") or label == "Skip":
        found.leave_out("skipped labels")
        return
    names = {key: entry[key] for key in OLD_NAMES if isinstance(entry.get(key), str) and entry[key]}
    given = list(answers(exports.mapping(label).get("classifications")))
    yield number, names, entry.get("Created By"), exports.seconds(entry.get("Created At")), given


def spelled(choice: Any, classes: list[str] | None) -> Any:
    """The name of a choice; where the classes are listed by the shorter ``value`` of choices, that."""
    if not isinstance(choice, dict):
        return choice
    name, value = choice.get("name", choice.get("title")), choice.get("value")
    short = name is None or (classes and value in classes and name not in classes)
    return value if short else name


def recognise(look: Look) -> Guess | None:
    """What a file of this tool is."""
    if {"data_row", "projects"} <= {*look.columns}:
        return look.guess("Labelbox's export", look.CERTAIN, kind="labelbox")
    if {"Label", "Labeled Data", "Created By"} <= {*look.columns} and not look.is_table:
        return look.guess("Labelbox's export of its first version", look.CERTAIN, kind="labelbox")
    return None
