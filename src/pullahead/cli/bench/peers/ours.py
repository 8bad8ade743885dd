"""Pullahead's pool."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from pullahead.cli.bench.case import WORKERS
from pullahead.cli.bench.peers.way import NAPS, Work, drain

NAME = "pullahead.Pool.map"


def pool(stack: ExitStack, work: Work, warm: Any = 0, **options: Any) -> Any:
    """Start one. `warm` is an item that the work can take; `options` are the pool's."""
    import pullahead

    started = stack.enter_context(pullahead.Pool(work, workers=WORKERS, **options))
    drain(started.map([warm] * NAPS))
    return started
