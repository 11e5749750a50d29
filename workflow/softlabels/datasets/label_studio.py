"""An export of Label Studio: JSON (a task an entry), JSON-MIN or CSV (an annotation an entry).

In JSON, an annotation has a ``result`` for each question, known by its ``from_name``::

    [{"id": 7, "data": {"image": "/data/upload/3/9c1e04ab-cat.jpg"}, "annotations": [
        {"completed_by": 4, "was_cancelled": false, "result": [
            {"from_name": "kind", "type": "choices", "value": {"choices": ["cat"]}}]}]}]

Before version 1.0 the ``annotations`` were ``completions``. JSON-MIN and CSV have the keys of ``data`` and the
questions side by side, and no longer know which annotations were skipped or are ground truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Problems
from . import exports, imported
from .cells import suffix_of
from .contract import Content, Options
from .exports import Records

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "Images and an export of Label Studio (JSON, JSON-MIN, CSV or TSV).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {"type": "string", "description": "The exported file (required).", "input": "votes", "required": True},
        "question": {"type": ["string", "null"], "default": None,
            "description": "Name (`from_name`) of the question whose answers are the votes; null where there is one."},
        "ground_truth": {"enum": ["leave_out", "keep"], "default": "leave_out",
            "description": "What happens to annotations that are marked as ground truth."},
    },
    "shared": ["image", "finding", "several", "classes", "unvoted", "minimum_votes", "missing", "repeats",
        "pseudonymise", "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
}  # fmt: skip

FORM = "an export of Label Studio (JSON: tasks with 'annotations'; JSON-MIN or CSV: 'annotation_id' in each)"
LISTS = ("annotations", "completions")  # the second before version 1.0
# What an entry of JSON-MIN or CSV has besides the task's data and the answers.
OWN = {"id", "annotation_id", "annotator", "created_at", "updated_at", "lead_time", "agreement", "comments"}
ANSWERS = ("choices", "rating")  # types of results that may be votes


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with an export of Label Studio."""
    path = files["votes"]
    found = Records(source, files, problems, "task")
    if suffix_of(path) == ".json":
        document = imported.document(path)
        entries = [document] if isinstance(document, dict) else document
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            raise exports.other_file(path, exports.keys_of(document), FORM)
        if any("result" in entry and isinstance(entry.get("task"), dict) for entry in entries):  # from cloud storage
            entries = [{**exports.mapping(entry.get("task")), "annotations": [entry]} for entry in entries]
        if any(key in entry for entry in entries for key in LISTS):
            tasks(entries, found)
        elif any("annotation_id" in entry for entry in entries):
            flat(entries, found)
        else:
            raise exports.other_file(path, exports.keys_of(document), FORM)
    else:
        flat(rows(found, problems), found)
    return found.content("annotations")


def tasks(entries: list[dict[str, Any]], found: Records) -> None:
    """The votes of an export as JSON."""
    kept = []
    numbered = all(type(entry.get("id")) is int and abs(entry["id"]) < 2**62 for entry in entries)
    for position, entry in enumerate(entries, start=1):
        number = entry["id"] if numbered else position
        data, annotations = entry.get("data"), next((entry[key] for key in LISTS if key in entry), [])
        if not isinstance(data, dict) or not isinstance(annotations, list):
            found.problems.add(f"{found.place(number)}: found no 'data' with a list of annotations. Export it again.")
            imported.stop_early(found.problems)
            continue
        found.leave_out("drafts", len(exports.entries(entry.get("drafts"))))
        found.leave_out("predictions of models", len(exports.entries(entry.get("predictions"))))
        for annotation in annotations:
            if not isinstance(annotation, dict):
                found.leave_out("annotations of which only the number was exported")
            elif annotation.get("was_cancelled") or annotation.get("skipped"):
                found.leave_out("cancelled (skipped) annotations")
            elif annotation.get("ground_truth") and found.source["ground_truth"] == "leave_out":
                found.leave_out("annotations marked as ground truth")
            else:
                kept.append((number, data, annotation))
    found.left_out = +found.left_out  # without what there is none of
    results = [(*each, list(answers(each[2].get("result")))) for each in kept]
    names = [name for *_, given in results for name, _ in given]
    if not names and kept:
        kinds = {result.get("type") for *_, a in kept for result in exports.mappings(a.get("result"))}
        what = f"results of type {exports.listed(sorted(map(str, kinds)))}" if kinds else "only empty results"
        raise exports.other_file(found.path, what, f"results of type {' or '.join(ANSWERS)}")
    question = exports.chosen(found.path, "question", "question", found.source["question"], names) if names else None
    for number, data, annotation, given in results:
        choices = [choice for name, values in given if name == question for choice in values]
        if not any(name == question for name, _ in given):
            found.leave_out(f"annotations without an answer to '{question}'")
            continue
        when = exports.seconds(annotation.get("created_at"))
        found.vote(number, texts(data), person(annotation.get("completed_by")), choices, when)


def texts(data: Mapping[str, Any]) -> dict[str, str]:
    """The values of a task's data that may name an image."""
    return {key: value for key, value in data.items() if isinstance(value, str) and value}


def answers(result: Any) -> Iterator[tuple[str, list[Any]]]:
    """Question and choices of each result of an annotation that may be a vote."""
    for part in exports.mappings(result):
        if part.get("type") in ANSWERS and isinstance(part.get("value"), dict):
            value = part["value"].get(part["type"])
            yield str(part.get("from_name")), value if isinstance(value, list) else [value]


def person(completed_by: Any) -> Any:
    """Who made an annotation: a number, or of an object the mail address, else its number."""
    if isinstance(completed_by, dict):
        return completed_by.get("email") or completed_by.get("id")
    return completed_by


def rows(found: Records, problems: Problems) -> list[dict[str, str]]:
    """The rows of an export as CSV, as JSON-MIN has them."""
    table = exports.table(found.path, ["annotation_id", "annotator"], FORM, problems)
    columns = table.columns.items()
    return [{name: column.each(row) for name, column in columns} for row in range(len(table))]


def flat(entries: list[dict[str, Any]], found: Records) -> None:
    """The votes of an export as JSON-MIN or CSV: an entry an annotation, data and answers side by side."""
    others = list(dict.fromkeys(key for entry in entries for key in entry if key not in OWN))
    wanted, image = found.source["question"], found.source["image"]
    if wanted is None:
        known = {exports.bare(name) for name in found.images}
        spelled = [texts(entry) for entry in entries]
        questions = [
            key for key in others
            if key != image and not key.startswith("_data_")
            and not any(exports.bare(names.get(key, "")) in known for names in spelled)
            and not any(are_regions(entry.get(key)) for entry in entries)
        ]  # fmt: skip
    else:
        questions = others
    question = exports.chosen(
        found.path, "column that could be the question", "question", wanted, questions,
        "columns that could be the question",
    )  # fmt: skip
    for position, entry in enumerate(entries, start=1):
        number = entry.get("id")
        number = int(number) if str(number).isdecimal() and len(str(number)) < 19 else position
        if entry.get("annotation_id") in (None, ""):
            found.leave_out("tasks without an annotation")
            continue
        value = entry.get(question)
        value = exports.parsed(value) if isinstance(value, str) else value
        choices = value.get("choices") if isinstance(value, dict) else value
        if choices in (None, "", []):
            found.leave_out(f"annotations without an answer to '{question}'")
            continue
        names = {key: text for key, text in texts(entry).items() if key in others and key != question}
        choices = choices if isinstance(choices, list) else [choices]
        found.vote(number, names, who(entry.get("annotator")), choices, exports.seconds(entry.get("created_at")))


def are_regions(value: Any) -> bool:
    """Whether an answer is the boxes, polygons and the like of an image: a list of objects, or its JSON."""
    value = exports.parsed(value) if isinstance(value, str) and value.startswith("[") else value
    return isinstance(value, list) and any(isinstance(part, dict) for part in value)


def who(annotator: Any) -> Any:
    """Who made an annotation of JSON-MIN or CSV, which write ``None`` for an unknown person."""
    return None if annotator == "None" else person(annotator)


def recognise(look: Look) -> Guess | None:
    """What a file of this tool is."""
    if any(isinstance(row.get("data"), dict) and isinstance(row.get(key), list) for row in look.rows for key in LISTS):
        return look.guess("Label Studio's JSON export", look.CERTAIN, kind="label_studio")
    if {"annotation_id", "annotator", "lead_time"} <= {*look.columns}:
        form = "JSON-MIN" if look.document is not None else "CSV"
        return look.guess(f"Label Studio's {form} export", look.CERTAIN, kind="label_studio")
    return None
