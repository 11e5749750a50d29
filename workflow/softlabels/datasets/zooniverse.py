"""The classifications of a Zooniverse project, a CSV file with JSON in its cells, one row a classification.

``annotations`` holds the answers by task, ``subject_data`` what the uploader said of the image by the subject's id::

    [{"task": "T0", "task_label": "Kind?", "value": "Cat"}]
    {"458021": {"retired": null, "image_name": "x.jpg"}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problems, Undecided
from . import exports
from .cells import Cells
from .contract import Content, Options
from .exports import Records

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "Images and the classifications of a Zooniverse project (CSV).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {"type": "string", "description": "The exported file (required).", "input": "votes", "required": True},
        "task": {"type": ["string", "null"], "default": None,
            "description": "Task whose answers are the votes, such as T0; null where there is one."},
        "workflow": {"type": ["string", "integer", "null"], "default": None,
            "description": "Id or name of the workflow whose classifications are used; null where there is one."},
        "versions": {"type": ["array", "null"], "items": {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?$"},
            "minItems": 1, "default": None,
            "description": "Versions of the workflow that are used, as text (\"13.10\" is not \"13.1\"), or the whole "
            "of one (\"13\"); null takes all."},
        "logged_out": {"enum": ["anonymous", "address", "leave_out"], "default": "anonymous",
            "description": "Who gave the votes of people who were not logged in - nobody known, or the hash of their "
            "address, which several may share."},
        "test": {"enum": ["leave_out", "keep"], "default": "leave_out",
            "description": "What happens to classifications that were made while the project was not live."},
    },
    "shared": ["image", "finding", "several", "classes", "unvoted", "minimum_votes", "missing", "repeats",
        "pseudonymise", "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
}  # fmt: skip

NEEDED = ("classification_id", "user_name", "annotations", "subject_data")
FORM = f"classifications of Zooniverse (columns {', '.join(NEEDED)})"
LOGGED_OUT = "not-logged-in-"
NO_NAMES = ("retired", "already_seen")  # what subject_data says besides the uploader's own keys


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with the classifications of a Zooniverse project."""
    table = exports.table(files["votes"], NEEDED, FORM, problems)
    found = Records(source, files, problems, table.unit)
    table = of_workflow(table, found)
    given: list[tuple[int, dict[str, Any]]] = []
    for row in range(len(table)):
        reason = no_vote(table, row, source)
        if reason:
            found.leave_out(reason)
            continue
        subjects = exports.parsed(exports.cell(table, "subject_data", row))
        if isinstance(subjects, dict) and len(subjects) > 1:
            problems.add(
                f"{table.place(row)}: is a classification of {len(subjects)} subjects, expected one: an answer about "
                f"several images is no vote for one of them. Remove such rows."
            )
            continue
        answers = exports.parsed(exports.cell(table, "annotations", row))
        if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
            problems.add(
                f"{table.place(row)}: 'annotations' is not the JSON of Zooniverse. Export the classifications again, "
                f"and do not open them in a spreadsheet."
            )
            exports.imported.stop_early(problems)
            continue
        given.append((row, dict(pairs(answers))))
    problems.stop()
    there = [task for _, answers in given for task in answers]
    task = exports.chosen(table.path, "task", "task", source["task"], there) if there else None
    anonymous = 0
    for row, answers in given:
        value = answers.get(task)
        if value is None:
            found.leave_out(f"classifications without an answer to {task}")
            continue
        user = exports.cell(table, "user_name", row)
        if user.startswith(LOGGED_OUT) and source["logged_out"] == "anonymous":
            user, anonymous = "", anonymous + 1
        choices = value if isinstance(value, list) else [value]
        found.vote(int(table.number[row]), names(table, row), user, choices,
                   exports.seconds(exports.cell(table, "created_at", row)))  # fmt: skip
    if anonymous:
        found.remarks.append(f"{anonymous} votes are of people who were not logged in: they count as anonymous.")
    return found.content("classifications")


def of_workflow(table: Cells, found: Records) -> Cells:
    """The rows of the workflow and the versions that are wanted."""
    wanted, versions = found.source["workflow"], found.source["versions"]
    if "workflow_id" in table.columns:
        column = table.columns["workflow_id"]
        labels = dict.fromkeys(column.texts)
        if "workflow_name" in table.columns:
            for code, name in zip(column.code, table.columns["workflow_name"].code, strict=True):
                labels[column.texts[code]] = table.columns["workflow_name"].texts[name]
        wanted = None if wanted is None else str(wanted)
        wanted = next((key for key, name in labels.items() if name == wanted), wanted) if wanted else None
        if wanted is None and len(labels) > 1:
            named = exports.listed((f"{key} ({name})" if name else key for key, name in labels.items()), 20)
            raise Undecided(
                f"{table.path}: found classifications of {len(labels)} workflows, {named}. Set source.workflow to one "
                f"of these ids.", "workflow", list(labels),
            )  # fmt: skip
        workflow = exports.chosen(table.path, "workflow", "workflow", wanted, labels)
        table = reduced(table, "workflow_id", {workflow}, "classifications of other workflows", found)
    if "workflow_version" in table.columns:
        texts = table.columns["workflow_version"].texts
        if versions:
            kept = {text for text in texts if text in versions or text.partition(".")[0] in versions}
            for version in versions:
                exports.chosen(table.path, "version", "versions", version, [*texts, *(t.split(".")[0] for t in texts)])
            table = reduced(table, "workflow_version", kept, "classifications of other versions", found)
        elif len(majors := {text.partition(".")[0] for text in texts}) > 1:
            found.remarks.append(
                f"The votes are of {len(majors)} versions of the workflow ({exports.listed(sorted(majors))}), whose "
                f"tasks may differ."
            )
    return table


def reduced(table: Cells, name: str, wanted: set[str], others: str, found: Records) -> Cells:
    """The rows whose column has one of the wanted texts; the others are counted."""
    column = table.columns[name]
    keep = np.array([text in wanted for text in column.texts], bool)[column.code]
    if not keep.all():
        found.leave_out(others, int((~keep).sum()))
    return table.kept(keep)


def no_vote(table: Cells, row: int, source: Options) -> str:
    """Why a row is no vote ("": it is one)."""
    if exports.is_true(exports.cell(table, "gold_standard", row)):
        return "classifications that are the gold standard"
    metadata = exports.parsed(exports.cell(table, "metadata", row))
    if source["test"] == "leave_out" and isinstance(metadata, dict) and metadata.get("live_project") is False:
        return "classifications that were made before the project was live"
    if source["logged_out"] == "leave_out" and exports.cell(table, "user_name", row).startswith(LOGGED_OUT):
        return "classifications of people who were not logged in"
    return ""


def pairs(answers: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Task and value of each answer, and of the tasks within a combined one."""
    found = []
    for answer in answers:
        value = answer.get("value")
        if isinstance(value, list) and value and all(isinstance(part, dict) and "task" in part for part in value):
            found += pairs(value)
        elif "task" in answer:
            found.append((str(answer["task"]), value))
    return found


def names(table: Cells, row: int) -> dict[str, str]:
    """What ``subject_data`` says of the image, and the subject's id."""
    data = exports.parsed(exports.cell(table, "subject_data", row))
    found = {}
    for key, about in data.items() if isinstance(data, dict) else ():
        found["subject id"] = str(key)
        for name, value in about.items() if isinstance(about, dict) else ():
            if isinstance(value, str | int) and not isinstance(value, bool) and name not in NO_NAMES:
                found[re.sub(r"^(#|//|!)+", "", name).strip()] = str(value)
    return found or {"subject id": exports.cell(table, "subject_ids", row)}


def recognise(look: Look) -> Guess | None:
    """What a file of this platform is."""
    if look.is_table and {*NEEDED} <= {*look.columns}:
        return look.guess("the classifications of a Zooniverse project", look.CERTAIN, kind="zooniverse")
    return None
