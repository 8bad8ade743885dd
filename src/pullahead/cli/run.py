"""`pullahead run`: the options, and nothing else. What they do is in `job`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import click


def auto_or_number(least: int) -> Callable[[str], int | str]:
    """Make a type of option: the word auto, or a whole number of at least `least`."""

    def convert(value: str) -> int | str:
        if value == "auto":
            return value
        if not value.isdecimal() or int(value) < least:
            raise click.BadParameter(f"expected auto or a whole number of at least {least}, got {value!r}")
        return int(value)

    return convert


def number_or_range(value: str) -> int | tuple[int, int]:
    """Read how many workers: "8", or "2-8" for from 2 to 8."""
    parts = value.split("-")
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(numbers) != len(parts) or len(parts) > 2 or not 1 <= numbers[0] <= numbers[-1]:
        raise click.BadParameter(f"expected a number from 1, or LEAST-MOST as in 2-8, got {value!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def json_object(value: str) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.BadParameter(f"""expected a JSON object such as {{"num_gpus": 1}}, got {value!r}""")
    return found


FROM_0: Final = click.IntRange(min=0)
FROM_1: Final = click.IntRange(min=1)
SECONDS: Final = click.FloatRange(min=0)
POSITIVE_SECONDS: Final = click.FloatRange(min=0, min_open=True)
ENGINES: Final = click.Choice(["local", "ray"])


@click.command(short_help="Run work over items, results as lines of JSON.")
@click.argument("work", metavar="WORK")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1)
@click.option(
    "--from",
    "from_",
    metavar="FILE|URL",
    help="Items: one per line, JSON values if it ends in .jsonl; or a live queue.",
)
@click.option("--to", metavar="FILE|URL", help="Results: a new file, or a queue, instead of standard output.")
@click.option("--append", is_flag=True, help="Add to the --to file if it exists.")
@click.option("--overwrite", is_flag=True, help="Replace the --to file if it exists.")
@click.option(
    "-w",
    "--workers",
    type=number_or_range,
    metavar="N|N-M",
    help="Processes; one per core if not given. From N to M come and go as there is work.",
)
@click.option("--queues", type=FROM_1, metavar="N", help="Queue actors that share the workers; usually 1.")
@click.option(
    "--lookahead",
    type=auto_or_number(0),
    metavar="auto|N",
    help="Items that a worker holds ahead; auto finds it by measuring, 0 asks when idle.",
)
@click.option("--batch-size", type=FROM_1, metavar="N", help="Hand the work N items at once, as a list.")
@click.option("--batch-wait", type=SECONDS, metavar="S", help="Seconds that a batch waits to be full.")
@click.option(
    "--load-concurrency", type=auto_or_number(1), metavar="auto|N", help="Loads at a time in each worker."
)
@click.option("--retries", type=FROM_0, metavar="N", help="Try an item that failed N times more.")
@click.option(
    "--item-timeout",
    type=POSITIVE_SECONDS,
    metavar="S",
    help="Seconds that a step of an item may take before its worker is killed.",
)
@click.option(
    "--grace",
    type=SECONDS,
    metavar="S",
    help="Seconds that what runs may still take after Ctrl-C; usually 30.",
)
@click.option("--journal", metavar="DB", help="Record every end in this file; run again to go on from there.")
@click.option(
    "--key",
    metavar="FIELD",
    help="What names an item in the journal: a field of it, or . for the whole item.",
)
@click.option("--work-version", metavar="TEXT", help="The journal of another version of WORK is refused.")
@click.option("--retry-failed", is_flag=True, help="Try the items again that the journal says have failed.")
@click.option(
    "--synchronous",
    type=click.Choice(["full", "normal"]),
    help="Whether the journal waits for the disk: a power failure may cost what normal wrote last.",
)
@click.option("--ordered/--unordered", default=None, help="Results in the items' order, or as they come.")
@click.option("--engine", type=ENGINES, default="local", help="Where the workers run: here, or on Ray.")
@click.option(
    "--address",
    metavar="WHERE",
    help="Of a Ray cluster: auto, HOST:PORT, or ray://HOST:PORT; without it, Ray starts here.",
)
@click.option(
    "--worker-options",
    type=json_object,
    metavar="JSON",
    help="""What a worker needs, in Ray's words: '{"num_gpus": 1}'.""",
)
@click.option("--timeline", metavar="FILE", help="Draw what each worker did: .svg, .png, .json for Perfetto.")
@click.option("--report", is_flag=True, help="Say at the end what happened, even if nobody watches.")
@click.option("--traceback", is_flag=True, help="Show the tracebacks of what goes wrong.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    work: str,
    inputs: tuple[str, ...],
    from_: str | None,
    to: str | None,
    append: bool,
    overwrite: bool,
    engine: str,
    address: str | None,
    timeline: str | None,
    report: bool,
    traceback: bool,
    journal: str | None,
    key: str | None,
    work_version: str | None,
    retry_failed: bool,
    synchronous: str | None,
    **options: Any,
) -> None:
    """Run WORK over each INPUT and write one line of JSON per item.

    WORK is a function f(item), or a class with a method process, as module:name or path/to/file.py:name. The
    current folder is searched first. Items are the INPUTs, or the lines of --from FILE, or what is piped to
    standard input (-). Each line of the output has the item with its result or its error.

    \b
    Examples:
      pullahead run hashes.py:sha256 *.iso
      find . -name '*.py' | pullahead run shrink:Compress --to sizes.jsonl -w 8

    A live queue is 'redis://host/0?stream=jobs&group=g' (with --to: 'redis://host/0?stream=results'), or
    'postgresql://host/database?queue=jobs' (see `pullahead queue`), which keeps the results as well. The run
    goes on until it is interrupted, or with &drain=1 until all that is in the queue has ended. An item is
    acknowledged when its result is written; what fails is in the stream jobs:dead, or said by `pullahead
    queue failed`, with its reason.

    With --journal, the same command again goes on where it was, in the same --to file: what has ended is not
    computed again.

    Exit code: 0 all done, 1 some items failed, 2 wrong usage, 130 interrupted. Ctrl-C once finishes what
    runs, twice ends at once.
    """
    from pullahead.cli.durable import durable
    from pullahead.cli.engines import engine_options
    from pullahead.cli.job import Job

    given = {name: value for name, value in options.items() if value is not None}
    given |= durable(journal, key, work_version, synchronous, retry_failed)
    where = engine_options(engine, address)
    files = inputs, from_, to, append, overwrite
    job = Job(work, *files, engine, where, timeline, report, traceback, journal, given)
    ctx.exit(job.run())
