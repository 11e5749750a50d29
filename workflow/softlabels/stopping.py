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


@contextmanager
def at_once() -> Iterator[None]:
    """While the block runs, a request ends it at once with :class:`Stopped`."""

    def stop(number: int, frame: Any) -> None:
        for other in SIGNALS:  # one is enough: a second must not disturb the cleaning up
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(_text(number))

    with _handled(stop):
        yield


@contextmanager
def on_check() -> Iterator[Callable[[], None]]:
    """While the block runs, a request waits for a call of the function that this yields, or for the block's end."""
    requests: list[int] = []

    def check() -> None:
        if requests:
            raise Stopped(_text(requests[0]))

    with _handled(lambda number, frame: requests.append(number)):
        yield check
    check()


def _text(number: int) -> str:
    return f"stopped by {signal.Signals(number).name}"


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    # A signal that is ignored stays so: a shell ignores SIGINT for what it starts in the background.
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
