"""The one exception that users see."""


class UserError(Exception):
    """A mistake that the user can repair.

    The message names the place (file, row or key), what was found, what was expected and what to do. The command
    line prints it alone, without a traceback, and exits with status 2.
    """
