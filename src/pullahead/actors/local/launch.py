"""Starting the fork server, and waiting for its end."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

from pullahead.actors.local import kinds
from pullahead.actors.local.descriptors import socket_pair
from pullahead.errors import PullaheadError

__all__ = ["ForkServer"]

# `-c`, not `-m`, because the module must be found on the driver's path as it is now, not as it was at start.
_CODE = (
    "import sys; sys.path[:] = {path!r}; "
    "from pullahead.actors.local.forkserver import main; main({fd}, {pid}, {driver}, *{more!r})"
)
# What actors are likely to need if their driver has it: whose functions are `async def` has imported it, most
# likely. It takes a sixth of what the fork server's own imports take, so others are spared it.
_ALSO = ("asyncio",)
_PATIENCE = 5.0  # seconds; ending takes milliseconds, unless a process cannot be killed


class ForkServer:
    """The process that starts all others, seen from the driver."""

    def __init__(self) -> None:
        if not sys.executable:
            raise PullaheadError("sys.executable is empty: there is no Python to run actors with")
        self.driver = (secrets.randbits(22) + 1) << kinds.SESSION_SHIFT
        self.sock, theirs = socket_pair()
        more = tuple(name for name in _ALSO if name in sys.modules)
        code = _CODE.format(path=sys.path, fd=theirs.fileno(), pid=os.getpid(), driver=self.driver, more=more)
        # The flags that make a child interpreter behave like this one; multiprocessing uses the same.
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # the terminal's Ctrl-C is for the driver
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """The fork server's process id."""
        return self._process.pid

    def wait(self) -> None:
        """Wait until it has ended, with all actors."""
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children die with it
            self._process.wait()

    def abandon(self) -> None:
        """Forget it, in a forked process: it is not our child."""
        self._process.returncode = 0
