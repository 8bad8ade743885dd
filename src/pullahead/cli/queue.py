"""`pullahead queue`: a live queue for people: made, filled, looked at, mended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from pullahead.cli.ending import USAGE, Refused, one_line
from pullahead.observe import words

if TYPE_CHECKING:
    from pullahead.sources.postgresql import PostgresQueue
    from pullahead.sources.queue import DeadItem, Queue, Stats

#: Failures that are shown unless asked for more.
_MOST: Final = 20
#: Characters of an item and of its error.
_ITEM: Final = 60
_ERROR: Final = 200


_ADDRESS = click.argument("address", metavar="ADDRESS")


@click.group(short_help="Make, fill and look after a live queue.")
def queue() -> None:
    """Make, fill and look after a live queue.

    ADDRESS is 'postgresql://user@host/database?queue=NAME' or 'redis://host/0?stream=NAME&group=NAME', the
    same as for `pullahead run --from`.
    """


@queue.command(short_help="Make the tables in PostgreSQL, or bring them up to date.")
@_ADDRESS
@click.option("--table", metavar="NAME", help="A table of yours whose rows are the items of this queue.")
@click.option("--key", metavar="COLUMN", help="Says which row it is; usually id.")
@click.option("--item", metavar="COLUMN", help="Is the item; if not given, the row as a whole is.")
@click.option("--result", metavar="COLUMN", help="Gets the results: of type json, jsonb or text.")
def init(address: str, table: str | None, **columns: str | None) -> None:
    """Make the tables in the PostgreSQL database at ADDRESS, or bring them up to date. Doing it again does
    nothing. A stream of Redis needs none of that.

    With --table, the rows of a table that you have are items of the queue, those that are there and those
    that come. They are put, and taken away, by triggers.

    \b
    Example:
      pullahead queue init 'postgresql://host/db?queue=films' --table films --item path --result words
    """
    given = {name: column for name, column in columns.items() if column is not None}
    if given and table is None:
        raise click.UsageError(f"expected --table NAME with --{next(iter(given))}, got none")
    with _opened_tables(address) as opened:
        before, after = opened.init()
        adopted = None if table is None else opened.adopt(table, **given)
    if before == after:
        click.echo(f"the tables are there, in version {after}")
    elif before == 0:
        click.echo(f"made the tables, in version {after}")
    else:
        click.echo(f"brought the tables from version {before} to version {after}")
    if adopted is not None:
        click.echo(f"{words.plural(adopted, 'row')} of {table} put, and each that comes")


@queue.command(short_help="Put items.")
@_ADDRESS
@click.argument("inputs", metavar="[INPUT]...", nargs=-1)
@click.option("--from", "from_", metavar="FILE", help="One item per line, JSON values if it ends in .jsonl.")
@click.option("--priority", type=int, default=0, metavar="N", help="PostgreSQL: the larger, the earlier.")
@click.option(
    "--delay", type=click.FloatRange(min=0), metavar="S", help="PostgreSQL: seconds until they may be taken."
)
def put(address: str, inputs: tuple[str, ...], from_: str | None, priority: int, delay: float | None) -> None:
    """Put each INPUT into the queue at ADDRESS, or the lines of a file, or what is piped to standard input.

    \b
    Examples:
      pullahead queue put 'postgresql://host/db?queue=jobs' *.mp4
      pullahead queue put 'postgresql://host/db?queue=jobs' --from jobs.jsonl --priority 5
      pullahead queue put 'redis://host/0?stream=jobs' *.mp4
    """
    from pullahead.cli.inputs import choose_items
    from pullahead.sources import is_address

    with _opened(address) as opened:
        if from_ is not None and is_address(from_):
            raise Refused("expected a file for --from, got the address of a queue")
        items, _ = choose_items(inputs, from_)
        click.echo(f"put {words.plural(len(opened.put(items, priority=priority, delay=delay)), 'item')}")


@queue.command(short_help="Say how many items are where.")
@_ADDRESS
def stats(address: str) -> None:
    """Say how many items of the queue at ADDRESS are ready, out, waiting, done and dead.

    Redis keeps no count of what is done.
    """
    with _opened(address) as opened:
        found = opened.stats()
        click.echo("\n".join(_lines(found)))


@queue.command(short_help="List what has failed for good.")
@_ADDRESS
@click.option("--most", type=click.IntRange(min=1), default=_MOST, metavar="N", help="Print at most N.")
def failed(address: str, most: int) -> None:
    """List what has failed for good in the queue at ADDRESS, the latest first: id, item, and why."""
    from pullahead.sources.queue import CountsDead

    with _opened(address) as opened:
        found = opened.dead(most)
        total = opened.count_dead() if isinstance(opened, CountsDead) else opened.stats().dead
    lines = [_failure(one) for one in found]
    if total > len(found):
        lines.append(f"and {words.plural(total - len(found), 'failure')} more; --most {total} prints all")
    click.echo("\n".join(lines) if lines else "nothing has failed")


@queue.command(short_help="Make what has failed ready again.")
@_ADDRESS
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of it.")
def retry(address: str, ids: tuple[str, ...], everything: bool) -> None:
    """Make items of the queue at ADDRESS ready again that have failed for good: by ID, or all."""
    if bool(ids) == everything:
        got = "both" if everything else "neither"
        raise click.UsageError(f"expected the ids that `queue failed` prints, or --all, got {got}")
    with _opened(address) as opened:
        again = opened.retry(None if everything else ids)
    click.echo(f"{words.plural(again, 'item')} will be tried again")
    if not everything and again < len(set(ids)):
        missing = words.plural(len(set(ids)) - again, "id")
        expected = f"expected ids of items that have failed in {opened.name}"
        raise _Said(f"{expected}, got {missing} of nothing that can be tried again")


class _Said(click.ClickException):
    """It is said in a line, and the exit code is that of `pullahead run`."""

    exit_code = USAGE


@contextmanager
def _opened(address: str) -> Iterator[Queue]:
    from pullahead.sources.addresses import open_queue

    with _told(), open_queue(address) as opened:
        yield opened


@contextmanager
def _opened_tables(address: str) -> Iterator[PostgresQueue]:
    from pullahead.sources.addresses import A_TABLE, is_postgresql
    from pullahead.sources.query import without_password

    with _told():
        if not is_postgresql(address):
            raise Refused(f"expected an address as {A_TABLE}, got {without_password(address, ())}")
        from pullahead.sources.postgresql import PostgresQueue

        with PostgresQueue(address) as opened:
            yield opened


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong in here is said in a line."""
    from pullahead.errors import ResultError, SourceError

    try:
        yield
    except (Refused, SourceError, ResultError, ValueError, ImportError) as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        raise _Said(f"{error}{notes}") from error


def _lines(found: Stats) -> Iterator[str]:
    oldest = "" if found.oldest is None else f", the oldest for {words.seconds(found.oldest)}"
    yield f"ready    {found.ready:,}{oldest}"
    holders = f", with {words.plural(found.consumers, 'run')}" if found.out else ""
    yield f"out      {found.out:,}{holders}"
    late = f"; {found.due:,} of out and waiting may be taken now" if found.due else ""
    yield f"waiting  {found.waiting:,}{late}"
    if found.done is not None:
        yield f"done     {found.done:,}"
    yield f"dead     {found.dead:,}"


def _failure(one: DeadItem) -> str:
    when = datetime.fromtimestamp(one.ended).strftime("%Y-%m-%d %H:%M:%S")
    tries = words.plural(one.attempts, "attempt")
    return f"{one.id}  {when}  {one_line(one.item)[:_ITEM]}  {tries}: {one_line(one.reason)[:_ERROR]}"
