"""The command."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path

import click
from benchmarks.queues import cases, kills, systems
from benchmarks.queues.contenders import ALWAYS, BROKERS, EVERYSEC, candidates, running, versions
from benchmarks.queues.show import show

from pullahead.cli.bench import record
from pullahead.cli.bench.case import Case
from pullahead.cli.bench.machine import conditions
from pullahead.cli.bench.measure import Outcome, compete
from pullahead.cli.bench.show import Screen

_MEASURED = tuple(f"{kind}-{broker}" for broker in BROKERS for kind in systems.KINDS if kind != systems.KILLS)


@click.command()
@click.option(
    "--only", type=click.Choice([*_MEASURED, systems.KILLS]), multiple=True,
    help="Only this one; may be given again.",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Each in turn.")
@click.option(
    "--fsync", type=click.Choice([EVERYSEC, ALWAYS]), default=EVERYSEC, show_default=True,
    help="When Redis writes to the disk what it has appended.",
)  # fmt: skip
@click.option(
    "--sleep", is_flag=True,
    help="Items of mixed sizes sleep: for a machine that has other things to do. Threads are workers then.",
)  # fmt: skip
@click.option("--ours", is_flag=True, help="Pullahead alone, without peers.")
@click.option("--quick", is_flag=True, help="Few items, one round: does it work?")
@click.option(
    "--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write every round to a file."
)
def main(
    only: tuple[str, ...], rounds: int, fsync: str, sleep: bool, ours: bool, quick: bool, file: Path | None
) -> None:
    """Compare Pullahead's live queues with peers on the same servers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and end what was started
    screen = Screen()
    about = conditions(quick)
    about = replace(about, versions={**about.versions, **versions(fsync)})
    screen.conditions(about)
    with running(fsync) as servers:
        outcomes = []
        for name in _MEASURED:
            if not only or name in only:
                kind, _, broker = name.partition("-")
                some = candidates(broker, kind, ours=ours)
                case = cases.case(kind, broker, some, servers, cases.How(rounds, quick, sleep))
                outcomes.append(_compete(case, quick, screen))
        verdicts = kills.measure(servers, ours, quick) if not only or systems.KILLS in only else []
    if verdicts:
        show(verdicts)
    if not quick:
        screen.targets(outcomes)
    if file is not None:
        record.write(file, about, outcomes, kills=[asdict(one) for one in verdicts])


def _compete(case: Case, quick: bool, screen: Screen) -> Outcome:
    with screen.watching(case) as watch:
        outcome = compete(case, quick, watch)
    screen.outcome(outcome)
    return outcome


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.queues")
