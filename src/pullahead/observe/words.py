"""Numbers as a person would say them. NaN is "–", because "nan %" helps nobody."""

from __future__ import annotations

from math import isfinite

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def seconds(value: float) -> str:
    """Say a duration in three digits: "12.3 s", "450 µs", "1 h 02 min"."""
    if not isfinite(value):
        return "–"
    if value >= 99.95:  # what "%.3g" would round to three digits without a point
        return _clock(round(value))
    for size, name in _UNITS:
        if value >= size * 0.9995:
            return f"{_digits(value / size)} {name}"
    return "0 s"


def percent(share: float) -> str:
    """Say a share: "94 %", and with one more digit where it matters, near nothing and near everything."""
    if not isfinite(share):
        return "–"
    value = share * 100
    near_an_end = 0.05 <= value < 9.95 or 99 <= value < 99.95
    return f"{value:.1f} %" if near_an_end else f"{value:.0f} %"


def count(value: float) -> str:
    """Say a number of things, or of things per second: "1,234", "0.35"."""
    if not isfinite(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else _digits(value)


def plural(number: int, noun: str) -> str:
    """Say "1 item", "2 items"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _digits(value: float) -> str:
    """Three digits, never in exponent form."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _clock(whole: int) -> str:
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
