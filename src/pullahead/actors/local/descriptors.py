"""Sockets and descriptors that travel through them."""

from __future__ import annotations

import array
import os
import resource
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["FD_SPACE", "close_all", "most_open", "received_fds", "socket_pair"]

_AT_ONCE: Final = 64  # how many may arrive with one read
FD_SPACE: Final = socket.CMSG_SPACE(4 * _AT_ONCE)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def received_fds(ancillary: list[Any]) -> list[int]:
    """Unpack the descriptors that came with a read."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    for fd in found:
        os.set_inheritable(fd, False)
    return list(found)


def most_open() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
