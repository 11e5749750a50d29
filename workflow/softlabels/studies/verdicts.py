"""Published claims against a study: what a ledger calls their rows, and the verdict that a row comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .claims import Statement

KIND = "verdict"  # begins the kind of a row, before the name of the statement
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
WORDS = {"lower": "lower than", "higher": "higher than", "equal": "equal to"}
SIGNS = {"lower": -1, "higher": 1}


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
    mean, margin = found["mean"]["value"], statement["margin"] or 0.0
    if statement["direction"] == "equal":
        return SUPPORTED if abs(mean) < margin else CONTRADICTED
    sign = SIGNS[statement["direction"]]
    return SUPPORTED if sign * mean > margin else CONTRADICTED
