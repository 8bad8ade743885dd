"""What the command line does about SIGINT and SIGTERM.

The first signal drains the run: it takes no more items, gives back what is unstarted, finishes what runs and
delivers it. The second ends the process at once; the workers notice and end by themselves.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any, Final

from pullahead.cli.ending import INTERRUPTED
from pullahead.farm.interrupts import Interrupts

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def of_a_command() -> Interrupts:
    """Return what handles the signals of a command. What the process ignores, as under nohup, stays so."""
    return Interrupts(SIGNALS, _is_heard, _end)


def _is_heard(handler: Any) -> bool:
    return bool(handler != signal.SIG_IGN)


def _end() -> None:
    with suppress(OSError):  # nobody may be there to read it
        if os.isatty(2):  # the progress line hides the cursor; whoever ends at once must bring it back
            os.write(2, b"\x1b[?25h\n")
        os.write(2, b"pullahead run: ended at once; what was running is lost, what was written is not\n")
    os._exit(INTERRUPTED)
