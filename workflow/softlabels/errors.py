"""The one exception that users see, and a list of problems that becomes one."""

from __future__ import annotations

MOST_SHOWN = 20


class UserError(Exception):
    """A mistake that the user can repair.

    The message names the place (file, row or key), what was found, what was expected and what to do. The command
    line prints it alone, without a traceback, and exits with status 2.
    """


class Problems:
    """Mistakes that are gathered, so that the user hears of all of them at once.

    A reader adds what it finds and goes on as long as that makes sense; :meth:`stop` ends it if there was anything.
    """

    def __init__(self) -> None:
        self.messages: dict[str, None] = {}  # in order, each once

    def add(self, message: str) -> None:
        """Note one mistake, worded as in a :class:`UserError`."""
        self.messages.setdefault(message)

    def stop(self) -> None:
        """Raise a UserError with all mistakes noted so far (the first MOST_SHOWN in words), if there are any."""
        if not self.messages:
            return
        if len(self.messages) == 1:
            raise UserError(next(iter(self.messages)))
        shown = list(self.messages)[:MOST_SHOWN]
        more = len(self.messages) - len(shown)
        lines = [f"{len(self.messages)} problems:", *shown, *([f"… and {more} more of these."] if more else [])]
        raise UserError("\n  - ".join(lines))
