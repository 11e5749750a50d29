"""How far a long piece of work is: a bar in a terminal, a line every half minute in a log file."""

from __future__ import annotations

import io
import sys
from typing import Any

from tqdm import tqdm

SECONDS = 30  # between two lines of a log


class _Lines(tqdm):
    """The bar as plain lines, for a log: none for what takes less than SECONDS."""

    def __init__(self, *arguments: Any, **options: Any):
        # tqdm moves the cursor through `file`; lines need none of that.
        super().__init__(*arguments, **options, mininterval=SECONDS, delay=SECONDS, ncols=0, file=io.StringIO())

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Write one line."""
        print(msg or str(self), file=sys.stderr, flush=True)
        return True


def progress(*arguments: Any, **options: Any) -> tqdm:
    """A :class:`tqdm.tqdm` with the same arguments, for whoever reads standard error."""
    return (tqdm if sys.stderr.isatty() else _Lines)(*arguments, **options)
