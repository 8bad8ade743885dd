"""Workers of Ray that begin as forks of one process, which has imported what they all import.

By itself Ray starts an interpreter for each of them, and each imports `ray`: half a second of a core, three
times a test, which was most of what the tests on Ray took. From its registration with the raylet on, a fork
is a worker like any other: Ray knows it by the token that it was given, not by who started it.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

_HERE = Path(__file__).parent

#: What a raylet starts instead of an interpreter. Whatever is no worker gets one.
_SCRIPT = """#!/bin/sh
case "$1" in
*/default_worker.py) exec {python} -IS {ask} {address} "$@" ;;
*) exec {python} "$@" ;;
esac
"""


#: Each is there as long as the pipe to it, and its folder.
_nurseries: list[tuple[subprocess.Popen[bytes], TemporaryDirectory[str]]] = []


@contextmanager
def workers_are_forked() -> Iterator[None]:
    """Let raylets that are started inside get their workers from a process that begins here.

    It ends with this one.
    """
    folder = TemporaryDirectory(prefix="nursery")
    address, script = (Path(folder.name, name) for name in ("door", "python"))
    nursery = subprocess.Popen(
        [sys.executable, _HERE / "serve.py", address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    _nurseries.append((nursery, folder))
    assert nursery.stdout is not None
    if not nursery.stdout.readline():  # or it listens now
        raise RuntimeError("the process that forks workers of Ray did not begin")
    nursery.stdout.close()
    words = {"python": sys.executable, "ask": str(_HERE / "ask.py"), "address": str(address)}
    script.write_text(_SCRIPT.format(**{name: shlex.quote(word) for name, word in words.items()}))
    script.chmod(0o700)
    with patch.object(sys, "executable", str(script)):
        yield
