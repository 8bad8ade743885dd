"""`--engine` and `--address`: what `pullahead.init` gets of them."""

from __future__ import annotations

import importlib.util
from typing import Any

import click

__all__ = ["engine_options"]


def engine_options(engine: str, address: str | None) -> dict[str, Any]:
    """Return the options of the engine.

    Raises:
        click.UsageError: there is no such engine here, or it has no address.
    """
    if engine == "local":
        if address is not None:
            raise click.UsageError("--address is for --engine ray")
        return {}
    if importlib.util.find_spec("ray") is None:
        raise click.UsageError("--engine ray needs Ray: pip install 'pullahead[ray]'")
    return {"logging_level": "WARNING"} | ({} if address is None else {"address": address})
