"""The engines that a benchmark runs on: this machine, or a Ray of its own on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

import pullahead
from pullahead.cli.bench.peers import niceness
from pullahead.cli.engines import engine_options

option: Callable[[Any], Any] = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="On this machine, or on a Ray that is started for it.",
)


@contextmanager
def running(engine: str, cpus: int) -> Iterator[None]:
    """Run an engine. `cpus`: as many as a Ray is told that there are, so that every actor finds a place."""
    engine_options(engine, None)  # refuses an engine that is not here
    niceness.level()
    options: dict[str, Any] = {"num_cpus": cpus, "log_to_driver": False, "logging_level": "ERROR"}
    pullahead.init(engine, **(options if engine == "ray" else {}))
    try:
        yield
    finally:
        pullahead.shutdown()
