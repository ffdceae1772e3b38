"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """A mistake in a file, a key or a command, told in one line that names it and the remedy.

    Commands print it without a traceback and exit with code 2.
    """
