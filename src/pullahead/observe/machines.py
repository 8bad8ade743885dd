"""Which machines the workers of a run were on, as prints and pictures say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pullahead.core.meter import WorkerTotals


def places(workers: Iterable[WorkerTotals]) -> dict[int, dict[str, int]]:
    """Return the machines of each lane, in the order of its workers, and the pid of the last one on each."""
    found: dict[int, dict[str, int]] = {}
    for totals in sorted(workers, key=lambda totals: totals.started):
        found.setdefault(totals.worker, {})[totals.host] = totals.pid
    return found


def labels(workers: Sequence[WorkerTotals], most: int) -> dict[int, str]:
    """Return the name of each lane's machine, the last one's if there were several, in `most` letters.

    Nothing where all workers were on one: it would say nothing.
    """
    hosts = {totals.host for totals in workers if totals.host}
    if len(hosts) < 2:
        return {}
    first = {host: host.partition(".")[0] for host in hosts}
    is_enough = len(set(first.values())) == len(hosts) and not any(one.isdigit() for one in first.values())
    names = first if is_enough else {host: host for host in hosts}
    return {lane: _short(names.get(list(hosts)[-1], ""), most) for lane, hosts in places(workers).items()}


def _short(name: str, most: int) -> str:
    """Cut the middle out of a long name: machines of a cluster differ at the end."""
    if len(name) <= most:
        return name
    end = (most - 1) * 2 // 3
    return f"{name[: most - 1 - end]}…{name[-end:]}"
