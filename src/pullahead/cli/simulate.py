"""`pullahead simulate`: policies side by side under virtual time, in one table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from pullahead.sim import Distribution, Result
    from pullahead.sim.policies import Policy
    from pullahead.sim.scenario import Scenario

_UNITS: Final = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_NUMBER: Final = re.compile(r"\s*(\d+\.?\d*(?:e[-+]?\d+)?|\.\d+)\s*(s|ms|us|µs|)\s*", re.IGNORECASE)
#: Columns when the output is no terminal: wide enough for the table.
_WIDTH: Final = 110
#: And how many more for what queues do.
_WIDER: Final = 20


def seconds(text: str) -> float:
    """Read a duration: "10ms", "250 us", "1.5s", "0.01"."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"expected a duration like 10ms, 250us or 1.5s, got {text!r}")
    return float(match[1]) * _UNITS[match[2].lower()]


def distribution(text: str) -> Distribution:
    """Read a distribution: a duration, or kind:parameters."""
    from pullahead.sim import bimodal, constant, empirical, lognormal

    kind, colon, rest = text.partition(":")
    parts = rest.split(",")
    try:
        if not colon:
            return constant(seconds(text))
        if kind == "constant" and len(parts) == 1:
            return constant(seconds(rest))
        if kind == "lognormal" and len(parts) == 2:
            return lognormal(seconds(parts[0]), float(parts[1]))
        if kind == "bimodal" and len(parts) == 3:
            return bimodal(seconds(parts[0]), seconds(parts[1]), float(parts[2]))
        if kind == "empirical":
            return empirical(seconds(line) for line in Path(rest).read_text().split())
    except (ValueError, OSError) as error:
        raise click.BadParameter(str(error)) from None
    raise click.BadParameter(
        "expected a duration, lognormal:MEAN,CV, bimodal:SMALL,LARGE,P or empirical:FILE with a duration per "
        f"line, got {text!r}"
    )


def arrivals(text: str) -> str:
    """Check "backlog", a rate, or a share of what the workers can do."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%|/s|)", text)
    if text != "backlog" and (match is None or float(match[1]) <= 0):
        raise click.BadParameter(f"expected backlog, a rate like 500/s or a load like 90%, got {text!r}")
    return text


@click.command(short_help="Compare policies under virtual time.")
@click.option("-w", "--workers", default=8, show_default=True, type=click.IntRange(1), metavar="N")
@click.option(
    "--compute", default="lognormal:10ms,0.5", show_default=True, type=distribution, metavar="D",
    help="What an item takes.",
)  # fmt: skip
@click.option(
    "--delay", default="10ms", show_default=True, type=distribution, metavar="D",
    help="What a round trip between worker and queue takes.",
)  # fmt: skip
@click.option(
    "--arrivals", default="backlog", show_default=True, type=arrivals, metavar="A",
    help="backlog: all items are there. 500/s: so many come. 90%: so much of what the workers can do.",
)  # fmt: skip
@click.option(
    "-n", "--items", type=click.IntRange(1), metavar="N", help="How many.  [default: 1,000 per worker]"
)
@click.option(
    "--queues", default=1, show_default=True, type=click.IntRange(1), metavar="N",
    help="Queue actors that share the workers.",
)  # fmt: skip
@click.option(
    "--exchange-cost", default="0s", show_default=True, type=seconds, metavar="S",
    help="What a queue takes to handle one call: about 1ms on Ray.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=int, metavar="N", help="Of all that is drawn.")
@click.option(
    "--lookahead", "only", multiple=True, metavar="auto|N",
    help="Only this policy (may be given several times), not the usual seven.",
)  # fmt: skip
@click.option("--timeline", metavar="FILE", help="Draw what each worker did: .svg, .png, .json for Perfetto.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, not a table.")
def simulate(
    workers: int,
    compute: Distribution,
    delay: Distribution,
    arrivals: str,
    items: int | None,
    queues: int,
    exchange_cost: float,
    seed: int,
    only: tuple[str, ...],
    timeline: str | None,
    as_json: bool,
) -> None:
    """Compare policies under virtual time, on the same items.

    The machines that decide are those of a real run; what computing and travelling take is drawn from D: a
    duration (10ms, 250us, 1.5s), lognormal:MEAN,CV, bimodal:SMALL,LARGE,P or empirical:FILE with a measured
    duration per line.

    \b
    Examples:
      pullahead simulate --compute 1ms --delay 20ms -w 64
      pullahead simulate --compute bimodal:1ms,200ms,0.05 --arrivals 90%
      pullahead simulate --compute empirical:times.txt --lookahead 16 --lookahead auto
      pullahead simulate -w 10000 --compute 10s -n 50000 --queues 8 --exchange-cost 1ms --lookahead auto
    """
    from pullahead.sim.policies import POLICIES
    from pullahead.sim.scenario import Scenario

    if timeline is not None and not timeline.endswith((".svg", ".png", ".json")):
        raise click.BadParameter(
            f"expected a name in .svg, .png or .json, got {timeline!r}", param_hint="--timeline"
        )
    try:
        scenario = Scenario(
            workers=workers,
            compute=compute,
            delay=delay,
            arrivals=_rate(arrivals, workers, compute),
            items=items or 1000 * workers,
            seed=seed,
            queues=queues,
            exchange_cost=exchange_cost,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    policies = [_policy(name) for name in only] if only else list(POLICIES)
    results = list(_run(scenario, policies))
    if as_json:
        click.echo(json.dumps([_numbers(name, result) for name, result in _with_ideal(results)], indent=2))
    else:
        _show(scenario, results)
    if timeline is not None:
        _draw(timeline, results, quiet=as_json)


def _policy(name: str) -> Policy:
    from pullahead.sim.policies import PULLAHEAD, fixed

    if name == "auto":
        return PULLAHEAD
    if not name.isdecimal():
        raise click.BadParameter(
            f"expected auto or a whole number from 0, got {name!r}", param_hint="--lookahead"
        )
    return fixed(int(name))


def _rate(text: str, workers: int, compute: Distribution) -> Any:
    if text == "backlog":
        return text
    number = float(text.rstrip("%/s "))
    if not text.endswith("%"):
        return number
    if not compute.mean:
        raise click.BadParameter(
            "a share of what the workers can do needs items that take time", param_hint="--arrivals"
        )
    return number / 100 * workers / compute.mean


def _run(scenario: Scenario, policies: list[Policy]) -> Iterator[tuple[str, Result]]:
    with _status() as say:
        for policy in policies:
            say(f"simulating {policy.name}")
            yield policy.name, scenario.policy(policy.lookahead, policy.recall).run()


@contextmanager
def _status() -> Iterator[Any]:
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("simulating") as status:
        yield status.update


def _with_ideal(results: list[tuple[str, Result]]) -> list[tuple[str, Result]]:
    return [*results, ("ideal", results[0][1].ideal)]


def _numbers(name: str, result: Result) -> dict[str, Any]:
    return {
        "policy": name,
        "seconds": result.seconds,
        "throughput": result.throughput,
        "utilization": result.utilization,
        "sojourn_p50": result.sojourn(0.5),
        "sojourn_p99": result.sojourn(0.99),
        "held_mean": result.held_mean,
        "messages_per_item": result.messages_per_item,
        "recalls_per_item": result.recalls_per_item,
        "hoard_idle_seconds": result.hoard_idle_seconds,
        "queue_load": result.queue_load,
        "queue_load_mean": sum(result.queue_loads) / len(result.queue_loads),
        "messages_between": result.messages_between,
        "moved_per_item": result.moved_per_item,
    }


def _show(scenario: Scenario, results: list[tuple[str, Result]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from pullahead.observe import words

    shows_queues = scenario.queues > 1 or scenario.exchange_cost > 0
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH + (_WIDER if shows_queues else 0))
    rate = scenario.arrivals
    come = "all there at the beginning" if rate == "backlog" else f"{words.count(float(rate))} items/s come"
    console.print(
        f"{words.plural(scenario.items, 'item')}, {come}; {words.plural(scenario.workers, 'worker')}; "
        f"seed {scenario.seed}"
    )
    console.print(f"compute {scenario.compute}, round trip {scenario.delay}", markup=False)
    if shows_queues:
        cost = words.seconds(scenario.exchange_cost)
        console.print(f"{words.plural(scenario.queues, 'queue')}; an exchange keeps one busy for {cost}")
    table = Table(box=SIMPLE_HEAD)
    table.add_column("lookahead", no_wrap=True)
    for title in (
        "items/s",
        "of\nideal",
        "busy",
        "p50",
        "p99",
        "held",
        "messages\nper item",
        "recalls\nper item",
        "hoard\nidle",
        *(("queue\nload", "between\nqueues") if shows_queues else ()),
    ):
        table.add_column(title, justify="right", no_wrap=True)
    ideal = results[0][1].ideal
    for name, result in _with_ideal(results):
        table.add_row(
            name,
            words.count(result.throughput),
            words.percent(result.throughput / ideal.throughput),
            words.percent(result.utilization),
            words.seconds(result.sojourn(0.5)),
            words.seconds(result.sojourn(0.99)),
            f"{result.held_mean:.3g}",
            f"{result.messages_per_item:.3g}",
            f"{result.recalls_per_item:.3g}",
            words.seconds(result.hoard_idle_seconds),
            *_of_queues(result, shows_queues),
            style="bold" if name == "auto" else "dim" if name == "ideal" else None,
        )
    console.print(table)
    console.print(
        "p50, p99: from an item's arrival to the end of its computation. held: items at or on the way to a\n"
        "worker, not begun. hoard idle: seconds that items waited at a busy worker while another was hungry.",
        style="dim",
    )


def _of_queues(result: Result, shows: bool) -> tuple[str, ...]:
    """Return the load of the busiest queue, and the messages per item between queues."""
    from pullahead.observe import words

    return (words.percent(result.queue_load), f"{result.messages_between:.3g}") if shows else ()


def _draw(path: str, results: list[tuple[str, Result]], quiet: bool) -> None:
    from pullahead.observe.report import timelines

    try:
        written = timelines(path, [(name, result.observe(True)) for name, result in results])
    except (ImportError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"The timeline is in {written}", err=quiet)
