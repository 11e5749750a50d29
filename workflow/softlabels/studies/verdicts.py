"""Published claims against a study: the difference that each is about, with its interval and Holm's p."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..evaluation import intervals
from . import comparisons
from .claims import Statement
from .comparisons import Side, Statistics

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


def judged(ours: Side, theirs: Side, statement: Statement, level: float) -> tuple[Statistics, float]:
    """Mean difference with the ends of its interval where there is one, and the p behind the verdict (NaN: none).

    The p is two-sided that of a difference of 0 (of ∓ margin, if one is given). Of equality it is that of two one-sided
    tests (Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15) if the mean is within ± margin, else
    the two-sided one of a difference as large as the margin.
    """
    metric, margin = statement["metric"], statement["margin"] or 0.0
    found = dict(comparisons.differences(ours, theirs, [metric], level_of(statement, level))).get(metric)
    of_all = found.statistics if found else {}
    statistics = {name: of_all[name] for name in ("mean", "low", "high") if name in of_all}
    if "low" not in statistics:
        return statistics, np.nan
    mean, data = statistics["mean"][0], comparisons.sample((ours, theirs), [metric])
    if statement["direction"] != "equal":
        return statistics, float(intervals.p_value(data, SIGNS[statement["direction"]] * margin)[0])
    if abs(mean) < margin:
        return statistics, float(intervals.equivalence_p(data, margin)[0])
    return statistics, float(intervals.p_value(data, np.sign(mean) * margin)[0])


def verdict(statement: Statement, found: Mapping[str, Mapping[str, Any]], level: float) -> str:
    """Supported, contradicted or undecided, by an aggregate of the ledger: its mean, and Holm's p at a level."""
    if "p" not in found or found["p"]["value"] > 1 - level:
        return UNDECIDED
    mean, margin = found["mean"]["value"], statement["margin"] or 0.0
    if statement["direction"] == "equal":
        return SUPPORTED if abs(mean) < margin else CONTRADICTED
    sign = SIGNS[statement["direction"]]
    return SUPPORTED if sign * mean > margin else CONTRADICTED
