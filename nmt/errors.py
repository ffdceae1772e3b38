"""The exceptions that commands end with in one line: the user can mend this, or wished it."""

import signal


class UserError(Exception):
    """A mistake in a file, a key or a command, told in one line that names it and the remedy.

    Commands print it without a traceback and exit with code 2.
    """


class Unfinished(UserError):
    """A long work ended early, and what is finished of it has been kept: the same command goes on from there."""


class Interrupted(Exception):
    """Training was asked to stop, and has written a checkpoint."""

    def __init__(self, signal_number: int, remedy: str = "the same command with train.resume=auto goes on") -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number
        self.remedy = remedy


def first_line(error: Exception | str) -> str:
    """What a library says, without the lines that only its authors can use."""
    return str(error).split("\n")[0]
