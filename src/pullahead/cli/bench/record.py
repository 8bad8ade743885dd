"""For machines: everything that was measured, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pullahead.cli.bench.machine import Conditions
from pullahead.cli.bench.measure import Line, Outcome, Spread, Verdict

#: Grows when a reader of an older file would misunderstand a newer one.
FORMAT: Final = 2

Record = dict[str, Any]


def record_of(about: Conditions, outcomes: list[Outcome]) -> Record:
    """Return everything as what JSON knows."""
    return {"format": FORMAT, **asdict(about), "cases": [_case(outcome) for outcome in outcomes]}


def write(file: Path, about: Conditions, outcomes: list[Outcome], **more: Any) -> None:
    """Write a file. `more`: what was found out beside the cases."""
    whole = {**record_of(about, outcomes), **more}
    file.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _case(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "name": case.name,
        "title": case.title,
        "unit": case.unit,
        "more_is_better": case.more_is_better,
        "beside": case.beside,
        "notes": case.notes,
        "bound": None if case.bound is None else case.bound[0],
        "contenders": [_line(outcome, line) for line in outcome.lines],
        "absent": [asdict(one) for one in outcome.absent],
        "targets": [
            {**_target(verdict), "measured": verdict.figure, "met": verdict.met}
            for verdict in outcome.verdicts
        ],
    }


def _target(verdict: Verdict) -> dict[str, Any]:
    target = verdict.target
    return {
        "figure": target.figure,
        "of": list(target.contenders),
        "called": target.whom,
        "limit": target.limit,
        "at_least": target.at_least,
    }


def _line(outcome: Outcome, line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "ratio": None if line.ratio is None else _spread(line.ratio),
        **_spread(line.figures),
        "streams": line.streams,
        "share": outcome.share(line),
        "on_cpu": None if line.on_cpu is None else _spread(line.on_cpu),
        "utilization": None if line.utilization is None else _spread(line.utilization),
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "median": spread.median,
        "least": spread.least,
        "greatest": spread.greatest,
        "rounds": list(spread.rounds),
    }
