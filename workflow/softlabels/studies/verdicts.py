"""Published claims against a study: what a ledger calls their rows, and the verdict that a row comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .claims import Statement

KIND = "verdict"  # begins the kind of a row, before the name of the statement
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
SAME = "no difference"
WORDS = {"lower": "lower than", "higher": "higher than", "equal": "equal to", "not_lower": "not lower than",
         "not_higher": "not higher than"}  # fmt: skip
BY = {True: " ± {:g}", False: " by more than {:g}"}  # a margin, by whether it is that of equality
SIGNS = {"lower": -1, "higher": 1, "not_lower": 1, "not_higher": -1}


def beyond(statement: Statement) -> float:
    """The difference at which the claim's side begins: of ``not_…`` (non-inferiority) on the other side of 0."""
    margin = statement["margin"] or 0.0
    return SIGNS[statement["direction"]] * (-margin if statement["direction"].startswith("not_") else margin)


def same(found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether an aggregate is 0 in each seed, so that it has no interval: as of one network twice, or nearly so."""
    return "p" not in found and "low" not in found and found["mean"]["value"] == 0


def kind_of(statement: Statement) -> str:
    """What a ledger calls the rows of a statement."""
    return f"{KIND} {statement['name']}"


def level_of(statement: Statement, level: float) -> float:
    """The level of a statement's interval: both ends of that of equality are tested one-sided, so 0.9 for 0.95."""
    return 2 * level - 1 if statement["direction"] == "equal" else level


def verdict(statement: Statement, found: Mapping[str, Mapping[str, Any]], level: float) -> str:
    """Supported, contradicted or undecided, by an aggregate of the ledger: its mean, and Holm's p at a level."""
    if "p" not in found or found["p"]["value"] > 1 - level:
        return UNDECIDED
    mean = found["mean"]["value"]
    if statement["direction"] == "equal":
        return SUPPORTED if abs(mean) < statement["margin"] else CONTRADICTED
    return SUPPORTED if SIGNS[statement["direction"]] * (mean - beyond(statement)) > 0 else CONTRADICTED
