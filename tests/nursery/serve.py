"""Forks a worker of Ray for each that asks, until its standard input ends."""

import gc
import os
import runpy
import select
import signal
import socket
import sys
from typing import NamedTuple

_MOST_WAITING = 64


class Wanted(NamedTuple):
    """A worker, as somebody has asked for it."""

    files: list[int]
    folder: str
    blocked: list[int]  # signals
    arguments: list[str]
    environment: dict[str, str]


def read(asking: socket.socket) -> Wanted:
    _, files, *_ = socket.recv_fds(asking, 1, 3)
    text = b""
    while part := asking.recv(1 << 16):
        text += part
    folder, blocked, count, *words = os.fsdecode(text).split("\0")
    arguments, surroundings = words[: int(count)], words[int(count) :]
    signals = [int(one) for one in blocked.split(",") if one]
    return Wanted(files, folder, signals, arguments, dict(one.split("=", 1) for one in surroundings))


def serve(address: str) -> Wanted:
    """Return in each worker, and never in this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(address)
        door.listen(_MOST_WAITING)
        print(flush=True)
        while True:
            ready, _, _ = select.select([door, sys.stdin], [], [])
            if sys.stdin in ready:
                sys.exit()
            asking, _ = door.accept()
            with asking:
                wanted = read(asking)
            os.environ.clear()
            os.environ.update(wanted.environment)
            _import_what_all_do()  # not before: some of it reads what it is to be like from that environment

            gc.freeze()
            if os.fork() == 0:
                return wanted
            for file in wanted.files:
                os.close(file)


def _import_what_all_do() -> None:
    import numpy  # noqa: F401
    import ray._private.node
    import ray.actor  # noqa: F401

    import pullahead.actors.ray.host
    import pullahead.farm.queue
    import pullahead.farm.worker  # noqa: F401


def become(wanted: Wanted) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, wanted.blocked)
    for number, file in enumerate(wanted.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(wanted.folder)
    sys.argv = wanted.arguments
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    become(serve(sys.argv[1]))
