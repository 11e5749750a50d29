"""The results of a batch of Amazon Mechanical Turk: a CSV file, one row an assignment.

The image stands in a column ``Input.NAME``. The answer is JSON in ``Answer.taskAnswers``, or a column of its own::

    [{"category": {"label": "Cat"}}]      Answer.taskAnswers: one choice
    [{"animal": {"cat": true, "dog": false}}]                  buttons or boxes
    Answer.category.label, Answer.category                     a column with the choice
    Answer.animal.cat, Answer.animal.dog                       a column a choice, true or false
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Problems
from . import exports
from .cells import Cells
from .contract import Content, Options
from .exports import Records

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "Images and the results of a batch of Amazon Mechanical Turk (CSV).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {"type": "string", "description": "The exported file (required).", "input": "votes", "required": True},
        "question": {"type": ["string", "null"], "default": None,
            "description": "Name of the answer that is the vote; null where there is one."},
        "rejected": {"enum": ["leave_out", "keep"], "default": "leave_out",
            "description": "What happens to assignments that were rejected."},
    },
    "shared": ["image", "finding", "several", "classes", "unvoted", "minimum_votes", "missing", "repeats",
        "pseudonymise", "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
}  # fmt: skip

NEEDED = (r"WorkerId", r"Input\..+", r"Answer\..+")
FORM = "the results of a batch (columns WorkerId, Input.… and Answer.…)"
TASK_ANSWERS = "Answer.taskAnswers"
CHOSEN = ("label", "labels")  # of an answer: what was chosen, also where that is true or false
BOOLEANS = {"true": True, "false": False, "": False}


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with the results of a batch of Mechanical Turk."""
    table = exports.table(files["votes"], NEEDED, FORM, problems)
    found = Records(source, files, problems, table.unit)
    given = []
    boxes = columns_of_choices(table)
    for row in range(len(table)):
        if source["rejected"] == "leave_out" and is_rejected(table, row):
            found.leave_out("rejected assignments")
        else:
            given.append((row, dict(answers(table, row, boxes, problems))))
    problems.stop()
    found.remarks += [
        f"Of the columns Answer.{name}.…, {exports.listed(columns)}, the one that is true is the choice."
        for name, columns in boxes.items()
    ]
    there = [name for _, answer in given for name in answer]
    question = exports.chosen(table.path, "answer", "question", source["question"], there) if there else None
    inputs = [name for name in table.columns if name.startswith("Input.")]
    for row, answer in given:
        if answer.get(question) is None:
            found.leave_out(f"assignments without an answer to '{question}'")
            continue
        names = {name: text for name in inputs if (text := table.columns[name].each(row))}
        when = exports.seconds(exports.cell(table, "SubmitTime", row))
        found.vote(int(table.number[row]), names, exports.cell(table, "WorkerId", row), answer[question], when)
    return found.content("assignments")


def is_rejected(table: Cells, row: int) -> bool:
    """Whether an assignment was rejected, or is to be (the column that is filled in to do so)."""
    return exports.cell(table, "AssignmentStatus", row).strip() == "Rejected" or bool(
        exports.cell(table, "Reject", row).strip()
    )


def columns_of_choices(table: Cells) -> dict[str, dict[str, str]]:
    """The columns ``Answer.NAME.CHOICE`` of true and false, by name and choice."""
    found: dict[str, dict[str, str]] = {}
    for column in table.columns:
        match = re.fullmatch(r"Answer\.(.+)\.(.+)", column)
        if match and match[2] not in CHOSEN:
            texts = {text.casefold() for text in table.columns[column].texts}
            if texts <= BOOLEANS.keys() and texts != {""}:
                found.setdefault(match[1], {})[match[2]] = column
    return found


def answers(
    table: Cells, row: int, boxes: Mapping[str, Mapping[str, str]], problems: Problems
) -> Iterator[tuple[str, list[Any]]]:
    """Name and choices of each answer of an assignment."""
    for name, columns in boxes.items():
        yield name, [choice for choice, column in columns.items() if exports.is_true(exports.cell(table, column, row))]
    done = {column for columns in boxes.values() for column in columns.values()}
    for column in table.columns:
        text = exports.cell(table, column, row).strip()
        if column == TASK_ANSWERS:
            parts = exports.parsed(text)
            if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
                if text:
                    problems.add(f"{table.place(row)}: {column} holds no JSON list of answers. Download it again.")
                    exports.imported.stop_early(problems)
                continue
            yield from ((name, choices(value)) for part in parts for name, value in part.items())
        elif column.startswith("Answer.") and column not in done and text:
            name = column.removeprefix("Answer.").removesuffix(".label").removesuffix(".labels")
            yield name, choices(exports.parsed(text))


def choices(value: Any) -> list[Any]:
    """The choices that an answer holds: one, several under ``labels``, or those that are true."""
    if isinstance(value, dict) and not value.keys().isdisjoint(CHOSEN):
        value = next(value[key] for key in CHOSEN if key in value)
    elif isinstance(value, dict):
        return [name for name, chosen in value.items() if exports.is_true(chosen)]
    return value if isinstance(value, list) else [value]


def recognise(look: Look) -> Guess | None:
    """What a file of this platform is."""
    if look.is_table and all(any(re.fullmatch(pattern, name) for name in look.columns) for pattern in NEEDED):
        return look.guess("the results of a batch of Mechanical Turk", look.CERTAIN, kind="mturk")
    return None
