"""The command line.

Exit codes: 0 everything done, 1 some items failed or the run could not go on, 2 wrong usage (which
includes input that cannot be read), 130 interrupted, 141 the reader of the output went away (what the
shell shows for a program that dies of a closed pipe).

Whatever goes wrong is said in one line on standard error, with what was expected, what came and where; a
traceback comes only with `--traceback`. Results go to standard output, everything else to standard error.

Nothing heavy is imported before a command runs, so that `pullahead --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: what follows the program's name, `sys.argv[1:]` if None.
    """
    from pullahead.cli.ending import ending
    from pullahead.cli.group import cli

    sys.exit(ending(lambda: cli.main(arguments, prog_name="pullahead", standalone_mode=False)))
