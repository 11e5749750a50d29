"""Resume state: what a killed training needs to continue to the same bytes.

It lies in ``<results>/.resume/<run>/``, undeclared (the workflow manager deletes declared outputs of a killed job),
guarded by a lock, and valid for one configuration, code and input only.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from .. import io, locks, places
from ..errors import UserError, is_lack_of_memory

PATIENCE_SECONDS = 60.0  # for a trainer that saves its state because it was asked to stop
SAVING_SHARE = 0.02  # of the time at most, so that a slow file server does not slow the training
FORMAT = 2  # of the saved state: raise it when what is saved, or what it means, changes


def folder_of(model: Path) -> Path:
    """The resume folder of the run that will write ``model`` (``<results>/runs/<run>/model.safetensors``)."""
    file = places.find(model.resolve())
    if file is None:
        return model.resolve().parent / places.STATES
    return places.root_of(model, "train") / places.STATES / places.RUN.format_map(file.names)


def exclusive(folder: Path) -> AbstractContextManager[Callable[[], None]]:
    """The run's lock, see :func:`softlabels.locks.held`: a second trainer of the same run stops and names the first."""
    remedy = "Wait until it is done, or stop it (it saves its state when it is asked to terminate) and run again."
    return locks.held(folder / "lock", "This run is being trained already", remedy, PATIENCE_SECONDS)


class Saver:
    """Saves the state of one training now and then: tensors, numbers, strings and containers of them only.

    Args:
        folder, key: where, and what :func:`load` must be given.
        seconds: it is due this long after the last saving, or 1 / SAVING_SHARE times as long as that took. This is the
            most that a kill without warning loses.
        still_ours: called before each saving; raises if another process trains this run now.
    """

    def __init__(self, folder: Path, key: str, seconds: float, still_ours: Callable[[], None] = lambda: None):
        self.folder, self.key, self.seconds, self.still_ours = folder, key, seconds, still_ours
        self.next = time.monotonic() + seconds

    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() > self.next

    def save(self, state: dict[str, Any]) -> float:
        """Save now, atomically; returns the seconds that it took."""
        begun, buffer = time.monotonic(), BytesIO()
        self.still_ours()
        torch.save({"format": FORMAT, "key": self.key, **state}, buffer)  # torch does not say that a disk is full
        with io.atomic(self.folder / "state.pt") as part:
            part.write_bytes(buffer.getbuffer())
        took = time.monotonic() - begun
        self.next = time.monotonic() + max(self.seconds, took / SAVING_SHARE)
        return took


def load(folder: Path, key: str) -> dict[str, Any] | None:
    """The saved state, or None where there is none, or it is damaged, of another format or of another ``key``.

    Raises:
        UserError: it cannot be read now; it may be later, so it is not thrown away.
        MemoryError, RuntimeError: there is too little memory for it.
    """
    path, why = folder / "state.pt", "damaged"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if (state["format"], state["key"]) == (FORMAT, key):
            return state
        why = f"of another {'format' if state['format'] != FORMAT else 'configuration, code or data'}"
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}. The saved state is kept: run again when the file can be read, or remove it to "
            f"start from the beginning."
        ) from None
    except Exception as error:  # starting from the beginning gives the same result
        if is_lack_of_memory(error):
            raise
    print(f"{path}: the saved state is {why}: starting from the beginning", file=sys.stderr)
    return None


def clear(folder: Path) -> None:
    """Remove the state of a finished run; the folders above it stay, because other runs may be making theirs there."""
    shutil.rmtree(folder, ignore_errors=True)
