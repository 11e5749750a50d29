"""The label itself, in every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import Run

ENTRY = {"about": "The label itself, in every epoch.", "options": {}}


def targets(data: Run, epoch: int, seed: int, options: dict[str, Any]) -> np.ndarray:
    """The labels, float32 ``[N, C]``."""
    return data.target
