"""A data set of Prodigy as ``prodigy db-out`` writes it: a JSON object a line, one for each task that was answered.

With the interface ``choice``, ``accept`` lists the ids of the chosen options::

    {"image": "a.jpg", "options": [{"id": "cat", "text": "Cat"}], "accept": ["cat"], "answer": "accept",
     "_annotator_id": "pets-ann", "_timestamp": 1707211049}

Binary tasks have a ``label``, and ``answer`` says whether it fits: accept, or reject.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Problems
from . import exports
from .contract import Content, Options
from .distributions import json_lines
from .exports import Records

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "Images and a data set of Prodigy (JSONL of `db-out`; choices, or binary answers).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {"type": "string", "description": "The exported file (required).", "input": "votes", "required": True},
    },
    "shared": ["image", "finding", "several", "classes", "unvoted", "minimum_votes", "missing", "repeats",
        "pseudonymise", "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
}  # fmt: skip

FORM = "a data set of Prodigy (objects with 'answer', and 'accept' or 'label')"
# Answers that are no image's name: the file's content itself, or what Prodigy adds.
INSIDE = re.compile(r"data:[a-z]+/")
NO_NAMES = ("answer", "label", "accept", "text", "html")
UNNAMED = re.compile(r"(.*-)?\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")  # a session of nobody in particular: when it began


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with a data set of Prodigy."""
    path = files["votes"]
    records = list(json_lines(path, problems))
    problems.stop()
    if not records or not all("answer" in record for _, record in records):
        first = next((record for _, record in records if "answer" not in record), None)
        raise exports.other_file(path, exports.keys_of(first) if records else "nothing", FORM)
    if any("versions" in record for _, record in records):
        raise exports.other_file(path, "decisions of the recipe 'review'", "the answers of the annotators themselves")
    found = Records(source, files, problems, "line")
    binary = [record for _, record in records if is_binary(record)]
    if binary and len(binary) < len(records):
        raise exports.other_file(path, "choices among binary answers", "one of the two (export each data set alone)")
    if not binary and not any("accept" in record for _, record in records):
        raise exports.other_file(path, exports.keys_of(records[0][1]), FORM)
    labels = {record["label"] for record in binary}
    unnamed = 0
    for number, record in records:
        answer, accept = record["answer"], record.get("accept")
        if not isinstance(answer, str | None) or not isinstance(accept, list | None):
            wrong = "accept" if isinstance(answer, str | None) else "answer"
            problems.add(
                f"{found.place(number)}: found {exports.imported.shown(record[wrong])} for '{wrong}', expected "
                f"{'a list of ids' if wrong == 'accept' else 'accept, reject or ignore'}. Export the data set again."
            )
            exports.imported.stop_early(problems)
            continue
        only = next(iter(labels)) if len(labels) == 1 else None
        if answer == "accept":
            choices = [record["label"]] if binary else accept or []
        elif answer == "reject" and only:
            choices = [f"not {only}"]
        else:
            found.leave_out({"ignore": "ignored tasks", "reject": "rejected tasks"}.get(answer, "unanswered tasks"))
            continue
        who = next((record[key] for key in ("_annotator_id", "_session_id") if record.get(key)), None)
        if isinstance(who, str) and UNNAMED.fullmatch(who):
            who, unnamed = None, unnamed + 1
        found.vote(number, names(record), who, choices, exports.seconds(record.get("_timestamp")))
    if unnamed:
        found.remarks.append(f"{unnamed} votes of sessions without a name are of unknown people.")
    if not any(role.startswith("image.") for role in found.columns) and found.numbers:
        raise exports.other_file(
            path, "no key that could name an image (the images are in the file itself)",
            "a path or name in a key such as 'path' (Prodigy keeps it with --remove-base64)",
        )  # fmt: skip
    return found.content("tasks")


def is_binary(record: Mapping[str, Any]) -> bool:
    """Whether a task asks if a label fits."""
    return isinstance(record.get("label"), str) and "accept" not in record


def names(record: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a task, and of its ``meta``, that may name the image."""
    meta = record["meta"] if isinstance(record.get("meta"), dict) else {}
    texts = {**record, **{f"meta.{key}": value for key, value in meta.items()}}
    return {
        key: value for key, value in texts.items()
        if isinstance(value, str) and value and key[0] != "_" and key not in NO_NAMES and not INSIDE.match(value)
    }  # fmt: skip


def recognise(look: Look) -> Guess | None:
    """What a file of this tool is."""
    if "answer" in look.columns and {"accept", "label"} & {*look.columns} and look.is_lines:
        return look.guess("a data set of Prodigy", look.CERTAIN, kind="prodigy")
    return None
