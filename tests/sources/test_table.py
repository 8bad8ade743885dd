"""The table of `docs/design.md` that says what each source can do is true."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer

from pullahead.farm.options import Options
from pullahead.sources import (
    Capabilities,
    KeepsResults,
    MemoryQueue,
    Neighbourly,
    Source,
    as_source,
    is_address,
)

ROOT = Path(__file__).parents[2]
ITERABLE, MEMORY, REDIS, POSTGRES = "any iterable", "`MemoryQueue`", "Redis Streams", "PostgreSQL"


def table() -> dict[str, dict[str, str]]:
    """Return the rows by their first words; of each, the cells by the first words of their columns."""
    text = (ROOT / "docs" / "design.md").read_text().split("**What each source can do.**")[1]
    lines = [line for line in text.split("\n\n")[1].splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    names = [re.split(r"[,:(]", one)[0].strip() for one in head]
    return {re.split(r"[,:(]", row[0])[0].strip(): dict(zip(names, row, strict=True)) for row in rows}


class Opened:
    """A source as the user gives it, asked to end when it is empty and not asked."""

    def __init__(self, given: Any, asked: Any) -> None:
        with closing(as_source(given)) as source, closing(as_source(asked)) as asked_source:
            self.source: Source = source
            self.can, self.can_if_asked = source.capabilities, asked_source.capabilities


@pytest.fixture(scope="module")
def opened(redis_server: RedisServer, postgres: PostgresServer) -> dict[str, Opened]:
    stream, name, queue = redis_server.new_stream(), postgres.new_queue(), MemoryQueue()
    return {
        ITERABLE: Opened([], iter([])),
        MEMORY: Opened(queue.consumer(), queue.consumer(drain=True)),
        REDIS: Opened(redis_server.address(stream), redis_server.address(stream, drain=1)),
        POSTGRES: Opened(postgres.address(name), postgres.address(name, drain=1)),
    }


def said(is_so: bool, if_asked: bool = False) -> str:
    return "yes" if is_so else "if asked" if if_asked else "no"


def journal_is_taken(one: Opened) -> bool:
    try:
        Options(journal="run.db").order(one.can)
    except ValueError:
        return False
    return True


def declared(name: str) -> Callable[[Opened], str]:
    return lambda one: said(getattr(one.can, name), getattr(one.can_if_asked, name))


#: The rows that code answers.
ANSWERS: Mapping[str, Callable[[Opened], str]] = {
    **{f"`{field.name}`": declared(field.name) for field in fields(Capabilities)},
    "`KeepsResults`": lambda one: said(isinstance(one.source, KeepsResults)),
    "`Neighbourly`": lambda one: said(isinstance(one.source, Neighbourly)),
    "an address": lambda one: said(is_address(getattr(one.source, "name", ""))),
    "a journal": lambda one: said(journal_is_taken(one)),
}


def test_what_the_table_says_is_what_the_sources_say(opened: dict[str, Opened]) -> None:
    rows = table()
    for row, answer in ANSWERS.items():
        expected = {name: answer(one) for name, one in opened.items()}
        assert {name: rows[row][name] for name in opened} == expected, row


def test_every_capability_is_a_row_and_every_row_of_code_a_capability() -> None:
    in_code = {f"`{field.name}`" for field in fields(Capabilities)} | {"`KeepsResults`", "`Neighbourly`"}
    assert {row for row in table() if row.startswith("`")} == in_code


def test_every_row_names_tests_that_there_are() -> None:
    files = [*(ROOT / "tests").rglob("*.py"), ROOT / "src" / "pullahead" / "testing" / "sources.py"]
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    for row, cells in table().items():
        named = re.findall(r"`(test_\w+)`", cells["shown by"])
        assert named, f"{row}: no test is named"
        assert set(named) <= there, f"{row}: a test is named that there is not"
        answers = {cells[name] for name in (ITERABLE, MEMORY, REDIS, POSTGRES)}
        assert answers <= {"yes", "no", "if asked"}, f"{row}: {answers}"
