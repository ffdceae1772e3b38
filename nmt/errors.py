"""Exceptions that commands report in one line, without a traceback."""

import signal


class UserError(Exception):
    """A mistake in a file, a key or a command, described in one line together with the remedy.

    Commands print it without a traceback and exit with code 2.
    """


class Unfinished(UserError):
    """A long task that ended early. Completed parts are kept, and the same command continues from them."""


class Interrupted(Exception):
    """Training stopped by a signal, after a checkpoint was written."""

    def __init__(self, signal_number: int, remedy: str = "the same command with train.resume=auto continues") -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number
        self.remedy = remedy


def first_line(error: Exception | str) -> str:
    """Return the first line of a library's error message, without the details for the library's authors."""
    return str(error).split("\n")[0]
