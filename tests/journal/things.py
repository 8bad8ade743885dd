"""What the tests of the journal write, and in which processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from pullahead.errors import JournalError
from pullahead.journal import Journal
from pullahead.journal.reader import Reader
from pullahead.journal.records import Attempt, Ended, Entry, Record
from pullahead.journal.writer import Writer


@dataclass
class Scan:
    """An item that is no JSON."""

    name: Any
    other: Any = None
    data: bytes = b"scan"


#: Items whose digests are to be the same in every process; no two are the same item.
ITEMS: list[Any] = [
    set("abcdefghij"),
    frozenset("klmnopqrst"),
    {"tags": set("abcdefghij")},
    Scan("a", frozenset("abcdefghij")),
    {"files": {Path("a"), Path("b"), Path("c")}, "sets": {frozenset("abcdef"), frozenset("ghijkl")}},
    [Path("a"), "b", 1, 1.5, None],
    {"b": 1, "a": {"d": 2, "c": 3}},
    (Scan, Scan("x", ("y", b"z"))),
    np.arange(50.0),
    {1: "mixed", "keys": 2},
]


def entry(place: int | str, label: str | None = None) -> Entry:
    return Entry(place, b"digest of %a" % place, label)


def attempt(number: int) -> Attempt:
    return Attempt(
        number, number + 0.25, number + 0.5, f"ValueError: {number}", f"line {number}\n", b"%d" % number
    )


def done(place: int | str, result: Any = "1", attempts: int = 0) -> Ended:
    return Ended(entry(place), "done", f'"item {place}"', result, tuple(map(attempt, range(attempts))))


def failed(place: int | str, attempts: int = 1) -> Ended:
    return Ended(entry(place), "failed", f'"item {place}"', None, tuple(map(attempt, range(attempts))))


def charged(place: int | str, attempts: int = 1) -> Ended:
    return failed(place, attempts)._replace(state="open")


def try_to_write(writer: Writer, *batch: Record) -> JournalError | None:
    """Write a batch, wait for it, and return what was said."""
    heard: list[JournalError | None] = []
    told = Event()

    def wrote(error: JournalError | None) -> None:
        heard.append(error)
        told.set()

    writer.write(batch, wrote)
    assert told.wait(30), "nothing was said"
    assert len(heard) == 1
    return heard[0]


def write(writer: Writer, *batch: Record) -> None:
    error = try_to_write(writer, *batch)
    if error is not None:
        raise error


@contextmanager
def writing(path: Path, work: str = "work", places: str = "position", **options: Any) -> Iterator[Writer]:
    writer = Writer(Journal(path=path, **options), work, places, os.getpid())
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    reader = Reader(str(path))
    try:
        yield reader
    finally:
        reader.close()


def make(path: Path, *batch: Record, **options: Any) -> None:
    """Have one run write a journal."""
    with writing(path, **options) as writer:
        write(writer, *batch)


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def python(code: str, *arguments: object, **environment: str) -> list[str]:
    """Run code in another process. Returns the lines that it printed."""
    done = subprocess.run(
        _command(code, arguments),
        env=_environment() | environment,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Have code run in another process, which is killed in the end."""
    with subprocess.Popen(
        _command(code, arguments),
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def line(started: subprocess.Popen[str]) -> str:
    """Wait for a line of another process."""
    assert started.stdout is not None
    return started.stdout.readline().rstrip("\n")


def _command(code: str, arguments: Sequence[object]) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
