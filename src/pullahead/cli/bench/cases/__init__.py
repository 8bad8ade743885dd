"""What is compared. One module per case; each is imported when it runs. On Ray, a module has many."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pullahead.cli.bench.case import Case

#: In the order in which they run. A new case is a module with a CASE and a line here.
CASES: Final = {
    "roundtrip": "pullahead.cli.bench.cases.roundtrip",
    "noop": "pullahead.cli.bench.cases.noop",
    "busy": "pullahead.cli.bench.cases.busy",
    "start": "pullahead.cli.bench.cases.start",
    "trace": "pullahead.cli.bench.cases.trace",
}


def names(engine: str) -> list[str]:
    """Return the names of the cases of an engine, in the order in which they run."""
    return list(CASES if engine == "local" else _on_ray())


def load(name: str, engine: str = "local") -> Case:
    """Return a case by its name."""
    case: Case = import_module(CASES[name]).CASE if engine == "local" else _on_ray()[name]
    return case


def _on_ray() -> dict[str, Case]:
    from pullahead.cli.bench.cases.on_ray import busy, payloads

    return busy.CASES | payloads.CASES
