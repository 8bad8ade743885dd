"""What is compared. One module per case; each is imported when it runs, not before."""

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


def load(name: str) -> Case:
    """Return a case by its name."""
    case: Case = import_module(CASES[name]).CASE
    return case
