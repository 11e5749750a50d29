"""Varied keys, their values and levels as tables and figures show them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def heads(keys: Sequence[str]) -> list[str]:
    """What columns of varied keys are called: the last part, or the whole key where two end alike."""
    last = [key.rpartition(".")[2] for key in keys]
    return [end if last.count(end) == 1 else key for key, end in zip(keys, last, strict=True)]


def percent(level: float) -> str:
    """A level as people write it: ``95%``, ``99.9%``."""
    return f"{100 * level:g}%"


def number(text: str | None) -> float | None:
    """The finite number that a value is, or None for a word such as ``all``."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def length(seconds: float) -> str:
    """About how long something takes, for people."""
    for most, unit, name in ((99.5, 1, "s"), (5970, 60, "min"), (172_800, 3600, "hours")):
        if seconds < most:
            return f"{seconds / unit:.{int(unit == 3600)}f} {name}"
    return f"{seconds / 86_400:.1f} days"
