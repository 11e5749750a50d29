"""``features.npy`` of a run: pooled features float32 ``[n_test, F]`` of the test items, ascending."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from .. import io
from ..errors import UserError
from .rows import require_finite


def write(path: Path, features: np.ndarray) -> None:
    """Write the features of the test items."""
    buffer = BytesIO()  # numpy itself does not say that a disk is full
    np.save(buffer, features, allow_pickle=False)
    with io.atomic(path) as part:
        part.write_bytes(buffer.getbuffer())


def read(path: Path, test: np.ndarray) -> np.ndarray:
    """The features of the test items as float64 ``[n_test, F]``; row k belongs to the k-th of ``test``.

    Raises:
        UserError: not one row for each test item, or a feature that is not finite.
    """
    features = np.load(path, allow_pickle=False)
    if features.ndim != 2 or len(features) != len(test):
        raise UserError(
            f"{path}: found an array {list(features.shape)}, expected [{len(test)}, F]: one row for each test item "
            f"of the split. Train the run again with this split."
        )
    require_finite(path, "features", test, features)
    return features.astype(np.float64)
