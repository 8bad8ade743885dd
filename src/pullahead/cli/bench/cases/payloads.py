"""Items that are large, there and back, or only there: how near everybody comes to copying the bytes.

From 100 KB on, an item is a NumPy array, as large items are. Pullahead, joblib and Ray move the bytes of
arrays beside the pickle; the others send them through a pipe within it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any, Final, NamedTuple

from pullahead.cli.bench.case import WORKERS, Absent, Case, Contender, Stage, Target
from pullahead.cli.bench.cases.contest import EVERYBODY, LARGE, contest, family, without_numpy
from pullahead.cli.bench.peers import POOLS, mpire, standard
from pullahead.cli.bench.rate import Rate
from pullahead.cli.bench.works import first, noop

MEMCPY: Final = "memcpy, once each way"
KB, MB = 1_000, 1_000_000
PICKLING: Final = (standard.EXECUTOR, standard.IMAP, standard.MAP, mpire.IMAP, f"{mpire.IMAP}, chunk_size=1")
#: Bytes of a round, at most: whoever returns a list has them all in memory. In less, the beginning counts.
_MOST: Final = 1000 * MB
_ITEMS: Final = 100_000
_SECONDS: Final = (0.5, 0.05)


class Size(NamedTuple):
    """One size of items, in bytes; what comes back; and whether it is measured beside clusters, too."""

    name: str
    words: str
    size: int
    work: Callable[[Any], Any] = noop
    targets: tuple[Target, ...] = ()
    beside: bool = False


SIZES: Final = (
    Size("payload-1KB", "1 KB of bytes to a worker and back", KB),
    Size("payload-100KB", "100 KB of array to a worker and back", 100 * KB),
    Size(
        "payload-10MB",
        "10 MB of array to a worker and back",
        10 * MB,
        targets=(
            Target("ratio", MEMCPY, 0.75, at_least=True),
            Target("ratio", PICKLING, 3.0, at_least=True, called="the best peer that pickles"),
        ),
        beside=True,
    ),
    Size("payload-10MB-there", "10 MB of array to a worker, a number back", 10 * MB, first),
)


def prepare(kind: Size, peers: tuple[str, ...], stage: Stage) -> list[Contender | Absent]:
    """Start everybody's pool."""
    size = kind.size
    if size >= 100 * KB and (absent := without_numpy()):
        return [absent]
    count = min(_ITEMS, max(2 * WORKERS, (_MOST // 50 if stage.quick else _MOST) // size))
    rate = partial(
        Rate,
        seconds=_SECONDS[stage.quick],
        most=count,
        # others each time: joblib sends an array that it has seen before for nothing
        items=lambda count: [_item(size) for _ in range(count)],
        per_item=size / MB,
    )
    everybody = contest(stage, peers, kind.work, rate, settings=LARGE, warm=_item(size))
    if not kind.targets or peers != POOLS:
        return everybody
    return [*everybody, Contender(MEMCPY, partial(_memcpy, size, count, _SECONDS[stage.quick] / 4))]


def _item(size: int) -> Any:
    return bytes(bytearray(size)) if size < 100 * KB else import_module("numpy").ones(size // 8)


def _memcpy(size: int, count: int, seconds: float) -> float:
    """Copy arrays there and back, by one thread, into memory that is mapped; return MB/s each way.

    As many and as new ones as everybody gets: what is copied again and again is in the processor's caches.
    """
    copy = import_module("numpy").copyto
    arrays = [_item(size) for _ in range(count)]
    there, back = arrays[0].copy(), arrays[0].copy()
    done, start = 0, perf_counter()
    while (now := perf_counter()) < start + seconds or done < count:
        copy(there, arrays[done % count])
        copy(back, there)
        done += 1
    return float(done * size / MB / (now - start))


def _case(size: Size, suffix: str) -> Case:
    return Case(
        name=f"{size.name}{suffix}",
        title=f"{size.words}, {WORKERS} workers",
        unit="MB/s",
        more_is_better=True,
        rounds=(3, 1),
        prepare=partial(prepare, size, EVERYBODY[suffix]),
        targets=size.targets if EVERYBODY[suffix] == POOLS else (),
        notes=(
            "MB/s are those of one way. No result is kept, but by whoever returns a list. Memcpy copies the "
            "same items, by one thread, one way after the other, into memory that is mapped"
        ),
        beside=size.name if suffix else "",
    )


CASES: Final = family(SIZES, _case)
