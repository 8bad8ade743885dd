"""`pullahead journal`: what a journal says, for people. Nothing in it is unpickled."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from pullahead.cli.ending import one_line
from pullahead.observe import words

if TYPE_CHECKING:
    from pullahead.journal.reader import Reader, Summary

#: Failures that are shown unless asked for more.
_MOST: Final = 20
#: Characters of an item and of its error.
_ITEM: Final = 60
_ERROR: Final = 200


@click.group(short_help="Say what a journal holds.")
def journal() -> None:
    """Say what the journal of a run holds."""


@journal.command(short_help="Print counts and failures.")
@click.argument("file", metavar="DB")
@click.option("--retry-failed", is_flag=True, help="Make the items that have failed ready for the next run.")
@click.option("--failures", type=click.IntRange(min=0), default=_MOST, metavar="N", help="Print at most N.")
def show(file: str, retry_failed: bool, failures: int) -> None:
    """Print what the journal DB holds: how many items are done, which have failed, and where results went.

    Reading it runs no code, whoever wrote it.

    \b
    Examples:
      pullahead journal show run.db
      pullahead journal show run.db --retry-failed
    """
    from pullahead.errors import JournalError
    from pullahead.journal.reader import Reader

    try:
        reader = Reader(file)
        try:
            click.echo(_text(file, reader, failures))
            if retry_failed:
                ready = reader.retry_failed()
                click.echo(f"{words.plural(ready, 'item')} that failed will be tried again by the next run")
        finally:
            reader.close()
    except JournalError as error:
        raise click.ClickException(str(error)) from error


def _text(file: str, reader: Reader, most: int) -> str:
    summary = reader.summary()
    lines = [_headline(file, summary), f"  {_counts(summary)}"]
    lines += [f"  {_sink(*sink)}" for sink in summary.sinks]
    failed = reader.failures(most)
    for place, item, attempts, error in failed:
        name = f"{place}: " if isinstance(place, int) else ""
        shown = one_line(str(item))[:_ITEM]
        lines.append(f"  failed  {name}{shown}, {_tried(attempts)}: {one_line(error)[:_ERROR]}")
    more = summary.states.get("failed", 0) - len(failed)
    if more > 0:
        lines.append(f"  and {words.plural(more, 'failure')} more; --failures {most + more} prints all")
    return "\n".join(lines)


def _headline(file: str, summary: Summary) -> str:
    facts = summary.facts  # of which a file that is damaged may lack some
    work, version, created = facts.get("work", "an unknown work"), facts.get("version"), facts.get("created")
    said = f", version {version}" if version is not None else ""
    known = "key" if facts.get("places") == "key" else "position"
    runs = words.plural(len(summary.sessions), "run")
    since = ""
    if isinstance(created, float) and 0.0 < created < 1e11:
        since = datetime.fromtimestamp(created).strftime(" since %Y-%m-%d %H:%M")
    return f"{file}: {work}{said}; items known by their {known}; {runs}{since}"


def _counts(summary: Summary) -> str:
    names = {"done": "done", "failed": "failed", "open": "tried, and to be tried again"}
    return ", ".join(
        f"{summary.states.get(state, 0):,} {name}"
        for state, name in names.items()
        if state != "open" or summary.states.get(state)
    )


def _sink(name: str, size: int | None, results: int) -> str:
    length = "" if size is None else f", {size:,} bytes"
    return f"{results:,} handed to {name}{length}"


def _tried(attempts: int) -> str:
    from pullahead.farm.failure import tried

    return tried(attempts)
