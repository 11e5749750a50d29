"""Requests to stop: Ctrl-C, a time limit that comes near, a cluster that needs the node.

SIGTERM, SIGUSR1 and SIGINT end a training as soon as nothing would be torn, with one message and exit status STATUS.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
STATUS = 75  # EX_TEMPFAIL of sysexits.h: a failure that passes; the same command again goes on


class Stopped(BaseException):
    """Somebody asked the process to stop. The message says which signal, where, and what is kept."""


def end_at_once() -> None:
    """From now on, a request ends the process at once, with :class:`Stopped`."""

    def stop(number: int, frame: Any) -> None:
        ignore()  # one is enough: a second must not disturb the cleaning up
        raise Stopped(_text(number))

    for number in _heard():
        signal.signal(number, stop)


def ignore() -> None:
    """From now on, requests are ignored: the work is done, and stopping would only make it look undone."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def on_check() -> Iterator[Callable[[], None]]:
    """While the block runs, a request waits for a call of the function that this yields, or for the block's end."""
    requests: list[int] = []

    def check() -> None:
        if requests:
            raise Stopped(_text(requests[0]))

    previous = {number: signal.signal(number, lambda number, frame: requests.append(number)) for number in _heard()}
    try:
        yield check
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    check()


def _heard() -> list[signal.Signals]:
    """What is ignored stays so: a shell ignores SIGINT for what it starts in the background."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def _text(number: int) -> str:
    return f"stopped by {signal.Signals(number).name}"
