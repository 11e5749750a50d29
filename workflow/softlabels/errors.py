"""The one exception that users see, a list of problems that becomes one, and errors that say that memory lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

MOST_SHOWN = 20
# Of RuntimeErrors that are none of torch's own out-of-memory errors: of the CPU allocator, CUDA, cuBLAS and cuDNN.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


class UserError(Exception):
    """A mistake that the user can repair.

    The message names the place (file, row or key), what was found, what was expected and what to do. The command
    line prints it alone, without a traceback, and exits with status 2. ``listed`` has the single mistakes where it
    is made of several, and how many like it each stands for.
    """

    def __init__(self, message: str, listed: dict[str, int] | None = None):
        super().__init__(message)
        self.listed = listed or {message: 1}


class Undecided(UserError):
    """A UserError that one option of the source settles: its ``key``, and ``values`` for it, the likeliest first."""

    def __init__(self, message: str, key: str, values: Sequence[Any], listed: dict[str, int] | None = None):
        super().__init__(message, listed)
        self.key, self.values = key, list(values)


class Problems:
    """Mistakes that are gathered, so that the user hears of all of them at once.

    A reader adds what it finds and goes on as long as that makes sense; :meth:`stop` ends it if there was anything.
    What a reader decides without a mistake goes to ``remarks``, a sentence each, for the data card.
    """

    def __init__(self) -> None:
        self.messages: dict[str, int] = {}  # in order, each once; for how many mistakes of its kind it stands
        self.remarks: list[str] = []
        self.settled: dict[str, tuple[str, Sequence[Any]]] = {}  # by message, the option that settles it, and values

    @contextmanager
    def settled_by(self, key: str, *values: Any) -> Iterator[None]:
        """What is noted meanwhile is settled by one option of the source: see :class:`Undecided`."""
        before = set(self.messages)
        yield
        self.settled |= dict.fromkeys(self.messages.keys() - before, (key, values))

    def add(self, message: str, times: int = 1) -> None:
        """Note one mistake, worded as in a :class:`UserError`, or in one sentence that there are more of a kind."""
        self.messages.setdefault(message, times)

    def stop(self) -> None:
        """Raise a UserError with all mistakes noted so far (the first MOST_SHOWN in words), if there are any.

        Where an option settles each of them, it is an :class:`Undecided` about the first's.
        """
        if not self.messages:
            return
        first = next(iter(self.messages))
        error = UserError
        if self.settled.keys() >= self.messages.keys():
            error = partial(Undecided, key=self.settled[first][0], values=self.settled[first][1])
        if len(self.messages) == 1:
            raise error(first, listed=dict(self.messages))
        shown = list(self.messages)[:MOST_SHOWN]
        total = sum(self.messages.values())
        more = sum(list(self.messages.values())[MOST_SHOWN:])
        lines = [f"{total:,} problems:", *shown, *([f"… and {more:,} more of these."] if more else [])]
        raise error("\n  - ".join(lines), listed=dict(self.messages))


def is_lack_of_memory(error: BaseException) -> bool:
    """Does an error say that there is too little memory?"""
    signs = any(sign in str(error) for sign in OUT_OF_MEMORY)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and signs)
