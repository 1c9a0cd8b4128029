"""The one exception that a person at the command line is meant to read."""


class UserError(Exception):
    """A problem that the user can mend: one line that names the flag or file and the remedy.

    `main.py` and the other command lines print it to stderr and exit with status 2, without a traceback.
    """
