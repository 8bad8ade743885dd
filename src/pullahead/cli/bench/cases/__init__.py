"""What is compared. A module has one case or a family; each is imported when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pullahead.cli.bench.case import Case

#: In the order in which they run, and the module that has them in its CASES. First whatever needs the cores
#: for itself; what starts clusters, which are never quite idle, is last.
CASES: Final = {
    "roundtrip": "roundtrip",
    "noop": "noop",
    "busy-10us": "busy",
    "busy-100us": "busy",
    "busy-0.5ms": "busy",
    "busy-5ms": "busy",
    "sleep-1ms": "busy",
    "mixed": "mixed",
    "documents": "documents",
    "payload-1KB": "payloads",
    "payload-100KB": "payloads",
    "payload-10MB": "payloads",
    "payload-10MB-there": "payloads",
    "maps": "maps",
    "cpu": "cpu",
    "trace": "trace",
    "traced": "trace",
    "load": "load",
    "start": "start",
    "start-torch": "start",
    "memory": "memory",
    "idle": "memory",
    "roundtrip-clusters": "roundtrip",
    "noop-clusters": "noop",
    "busy-0.5ms-clusters": "busy",
    "busy-5ms-clusters": "busy",
    "mixed-clusters": "mixed",
    "documents-clusters": "documents",
    "payload-10MB-clusters": "payloads",
    "maps-clusters": "maps",
    "cpu-clusters": "cpu",
}


def names(engine: str) -> list[str]:
    """Return the names of the cases of an engine, in the order in which they run."""
    return list(CASES if engine == "local" else _on_ray())


def case_of(name: str, engine: str = "local") -> Case:
    """Return a case by its name."""
    if engine != "local":
        return _on_ray()[name]
    case: Case = import_module(f"{__name__}.{CASES[name]}").CASES[name]
    return case


def _on_ray() -> dict[str, Case]:
    from pullahead.cli.bench.cases.on_ray import busy, noop, payloads

    return noop.CASES | busy.CASES | payloads.CASES
