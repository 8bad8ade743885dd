"""The contenders. Each module has a class for what is put and how consumers are started, and its settings.

A setting is what the system's own documentation calls it. What is not set is at its default, but for the
number of worker processes, which is two for everybody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, Protocol, final

from benchmarks.queues.work import Item

#: What a consumer of a peer is to be, for the module that it imports: JSON.
ENVIRONMENT: Final = "PULLAHEAD_QUEUES_PEER"

#: What a consumer is measured at. The best settings of a peer differ.
NOOP, SHORT, LOAD, MIXED, START, KILLS = "noop", "short", "load", "mixed", "start", "kills"
KINDS: Final = (NOOP, SHORT, LOAD, MIXED, START, KILLS)


class System(Protocol):
    """One contender on its server."""

    #: Arguments of Python, for each program that consumes.
    commands: Sequence[Sequence[str]]
    #: What those need to know beside.
    environment: Mapping[str, str]

    def put_all(self, items: Sequence[Item]) -> None:
        """Put items, so that they are there all at once."""

    def put(self, item: Item) -> None:
        """Put one item as a program of a user does."""

    def waiting(self) -> int:
        """Say how many items the server still has that have neither ended nor failed, as it knows."""

    def failed(self) -> int:
        """Say how many items are recorded as failed for good."""

    def close(self) -> None:
        """Let go of the connections."""


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """What is set of a peer.

    Attributes:
        app: for the object that it is configured by.
        arguments: of its command line.
        environment: variables that it reads.
        programs: how many of them are started.
    """

    app: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    programs: int = 1


def for_consumers(url: str, settings: Settings) -> dict[str, str]:
    """Return the environment in which the modules of peers make their `app`."""
    return {ENVIRONMENT: json.dumps({"url": url, "settings": dict(settings.app)}), **settings.environment}


def told() -> dict[str, Any] | None:
    """Return what a consumer was told, in a consumer; None elsewhere."""
    text = os.environ.get(ENVIRONMENT)
    return None if text is None else json.loads(text)


def is_here(package: str) -> bool:
    """Say whether it is installed."""
    return find_spec(package) is not None
