"""The life of an actor's process, from the fork to the constructor."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from typing import Never, final

from pullahead.actors import api
from pullahead.actors.local import system
from pullahead.actors.local.engine import LocalEngine
from pullahead.actors.local.host import Host
from pullahead.actors.local.runtime import Runtime
from pullahead.actors.notes import Notepad

__all__ = ["Birth", "run"]

# Seconds after which a thread that waits for the interpreter gets it, instead of 0.005: a control call is
# received in 0.7 ms while pure Python computes, not in 7, and the computation does not notice.
_SWITCH_INTERVAL = 0.0005


@final
@dataclass(frozen=True, slots=True)
class Birth:
    """What a new process must know before it hears from anyone."""

    process: int
    serial_number: int
    creator: int
    hub_fd: int
    creator_fd: int
    parent_pid: int
    notepad: Notepad


def run(birth: Birth, environment: dict[str, str]) -> Never:
    """Be an actor until killed. Called right after the fork."""
    try:
        _settle_in(birth)
        runtime = Runtime(birth.process, birth.serial_number, socket.socket(fileno=birth.hub_fd), _hub_gone)
        api.set_engine(LocalEngine(runtime, None, birth.notepad))
        host = Host(runtime, birth.creator, environment)
        runtime.peers.link(birth.creator, socket.socket(fileno=birth.creator_fd))
        runtime.loop.start()
        host.run()
    except BaseException:  # noqa: BLE001  nobody is above us: the fork server's code must not run here
        traceback.print_exc()
    finally:
        os._exit(1)


def _hub_gone(_runtime: Runtime) -> None:
    os._exit(1)  # for systems without PDEATHSIG; elsewhere the kernel was faster


def _settle_in(birth: Birth) -> None:
    system.die_with_parent(birth.parent_pid)
    system.close_all_but((birth.hub_fd, birth.creator_fd))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    for stream in (sys.stdout, sys.stderr):
        # The process may be killed at any time: a line that was printed must not wait in a buffer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
