"""The assignments of a Toloka pool: a TSV file, one row a task of an assignment.

The columns ``INPUT:`` hold the task, ``OUTPUT:`` the answers, ``GOLDEN:`` the right answers of control and training
tasks, ``ASSIGNMENT:`` who answered, and whether the assignment was accepted. Boxes have one ``OUTPUT:`` column each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    "about": "Images and the assignments of a Toloka pool (TSV).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {"type": "string", "description": "The exported file (required).", "input": "votes", "required": True},
        "question": {"type": ["string", "null"], "default": None,
            "description": "Name of the output field whose values are the votes; null where there is one."},
        "control": {"enum": ["leave_out", "keep"], "default": "leave_out",
            "description": "What happens to control and training tasks (a right answer stands beside them)."},
    },
    "shared": ["image", "finding", "several", "classes", "unvoted", "minimum_votes", "missing", "repeats",
        "pseudonymise", "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
}  # fmt: skip

NEEDED = (r"INPUT:.+", r"OUTPUT:.+", r"ASSIGNMENT:.+")
FORM = "the assignments of a Toloka pool (columns INPUT:…, OUTPUT:… and ASSIGNMENT:…)"
NO_VOTES = ("REJECTED", "SKIPPED", "EXPIRED", "ACTIVE")  # states of an assignment whose answers do not count
WHO = ("ASSIGNMENT:worker_id", "ASSIGNMENT:user_id")
WHEN = ("ASSIGNMENT:submitted", "ASSIGNMENT:started")


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with the assignments of a Toloka pool."""
    table = exports.table(files["votes"], NEEDED, FORM, problems)
    empty = {name: np.array([not text.strip() for text in c.texts], bool)[c.code] for name, c in table.columns.items()}
    blank = np.logical_and.reduce(list(empty.values()))  # between assignments
    found = Records(source, files, problems, table.unit)

    golden = [name for name in table.columns if name.startswith("GOLDEN:")]
    outputs = {name.removeprefix("OUTPUT:"): name for name in table.columns if name.startswith("OUTPUT:")}
    answered = [name for name, column in outputs.items() if not empty[column].all()]
    boxes = len(answered) > 1 and all(is_box(table.columns[outputs[name]].texts) for name in answered)
    boxes = boxes and source["question"] is None
    question, used = None, []
    for row in np.flatnonzero(~blank):
        state = exports.cell(table, "ASSIGNMENT:status", row).strip().upper()
        if state in NO_VOTES:
            found.leave_out(f"tasks of assignments with the status {state}")
        elif source["control"] == "leave_out" and any(not empty[name][row] for name in golden):
            found.leave_out("control and training tasks")
        else:
            used.append(row)
    ticked = {row: ticks(table, row, outputs, answered) for row in used} if boxes else {}
    if boxes:
        if source["finding"] is None and source["several"] == "refuse":  # else they are said to be choices
            check_boxes(table, ticked, answered)
        found.remarks.append(f"Of {exports.listed(answered)}, the output field that is true is the choice.")
    else:
        question = exports.chosen(table.path, "output field", "question", source["question"], answered)
    for row in used:
        if not boxes and empty[outputs[question]][row]:
            found.leave_out(f"tasks without an answer to '{question}'")
        else:
            names = {name: exports.cell(table, name, row) for name in table.columns if name.startswith("INPUT:")}
            if boxes:
                choices = ticked[row]
            else:
                value = exports.parsed(exports.cell(table, outputs[question], row))
                choices = value if isinstance(value, list) else [value]
            who = next(filter(None, (exports.cell(table, name, row) for name in WHO)), None)
            when = next(filter(None, (exports.cell(table, name, row) for name in WHEN)), None)
            found.vote(int(table.number[row]), names, who, choices, exports.seconds(when))
    return found.content("tasks")


def ticks(table: Cells, row: int, outputs: Mapping[str, str], answered: Sequence[str]) -> list[str]:
    """The output fields that are true in a row."""
    return [name for name in answered if exports.is_true(exports.cell(table, outputs[name], row))]


def check_boxes(table: Cells, ticked: Mapping[int, list[str]], answered: Sequence[str]) -> None:
    """Refuse fields of true and false that need not be the choices of one question: not just one is true in a row."""
    others = [row for row, choices in ticked.items() if len(choices) != 1]
    if others:
        choices = ticked[others[0]]
        raise Undecided(
            f"{table.place(others[0])}: found {exports.listed(choices) if choices else 'none'} true among the output "
            f"fields {exports.listed(answered)} ({len(others)} of {len(ticked)} tasks have none or several), expected "
            f"one, as boxes of one question have. Set source.question to one of the fields if each asks for itself "
            f"(classes false and true); if they are boxes of one question, set source.finding to one of them to import "
            f"whether it was true, or source.several to 'leave_out' to do without such tasks.", "question", answered,
        )  # fmt: skip


def is_box(texts: list[str]) -> bool:
    """Whether a column holds nothing but true and false."""
    return {text.strip().casefold() for text in texts} <= {"true", "false", ""}


def recognise(look: Look) -> Guess | None:
    """What a file of this platform is."""
    if look.is_table and all(any(re.fullmatch(pattern, name) for name in look.columns) for pattern in NEEDED):
        return look.guess("the assignments of a Toloka pool", look.CERTAIN, kind="toloka")
    return None
