"""Where and with what it was measured."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final, final

from pullahead._version import __version__
from pullahead.cli.bench.case import WORKERS
from pullahead.farm.machine import usable_cores

#: Of peers, and of what items are made of, as pip knows them.
_PACKAGES: Final = ("joblib", "mpire", "distributed", "ray", "torch", "numpy")


@final
@dataclass(frozen=True, slots=True)
class Conditions:
    """What a reader needs to know before believing a figure.

    Attributes:
        when: in UTC, as ISO 8601 writes it.
        quick: whether the figures are only there to show that everything runs.
        workers: processes in each pool.
        cores: that this process may use.
        load: how many processes wanted a core in the minute before; near 0 when nothing else runs.
        versions: of Python, Pullahead, and peers with a version of their own (None: not installed).
        platform: system, kernel and processor.
    """

    when: str
    quick: bool
    workers: int
    cores: int
    load: float
    versions: dict[str, str | None]
    platform: str


def conditions(quick: bool) -> Conditions:
    """Look around."""
    return Conditions(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        quick=quick,
        workers=WORKERS,
        cores=usable_cores(),
        load=round(os.getloadavg()[0], 2),
        versions={
            "python": platform.python_version(),
            "pullahead": __version__,
            **{package: _version(package) for package in _PACKAGES},
        },
        platform=platform.platform(),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
