"""The options of `map`, `run` and `Pool`: checked once, in one place, with one clear line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Self, final
from uuid import uuid4

from pullahead.core.retry import RetryPolicy
from pullahead.farm import clock, line
from pullahead.farm.machine import usable_cores
from pullahead.farm.work import WorkSpec
from pullahead.farm.worker import WorkerOptions
from pullahead.journal import Journal
from pullahead.sources.source import Capabilities


@final
@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may say about a run; the meaning of each is documented at `pullahead.map`.

    Raises:
        TypeError, ValueError: an option that makes no sense; the message says what was expected.
    """

    workers: int | tuple[int, int] | None = None
    lookahead: int | str = "auto"
    batch_size: int | None = None
    batch_wait: float = 0.0
    load: Callable[..., Any] | None = None
    store: Callable[..., Any] | None = None
    load_concurrency: int | str = "auto"
    on_error: str = "raise"
    retries: int = 0
    retry_on: type[Exception] | tuple[type[Exception], ...] = Exception
    item_timeout: float | None = None
    grace: float = 30.0
    journal: Any = None
    key: Callable[[Any], Any] | None = None
    trace: bool = False
    ordered: bool | None = None  # as the source has it
    pairs: bool = False
    progress: Any = None
    worker_options: dict[str, Any] | None = field(default=None)
    queues: int = 1

    def __post_init__(self) -> None:
        for name in ("ordered", "pairs", "trace"):
            value = getattr(self, name)
            if not isinstance(value, bool) and not (name == "ordered" and value is None):
                raise TypeError(f"{name}: expected True or False, got {getattr(self, name)!r}")
        _expect_workers(self.workers)
        _expect_count("lookahead", self.lookahead, 0, "'auto'")
        _expect_count("batch_size", self.batch_size, 1, "None")
        _expect_count("load_concurrency", self.load_concurrency, 1, "'auto'")
        _expect_count("retries", self.retries, 0)
        if not isinstance(self.batch_wait, int | float) or not 0 <= self.batch_wait < float("inf"):
            raise ValueError(f"batch_wait: expected seconds from 0, got {self.batch_wait!r}")
        _expect_seconds("item_timeout", self.item_timeout)
        if isinstance(self.grace, bool) or not isinstance(self.grace, int | float):
            raise TypeError(f"grace: expected seconds, got {self.grace!r}")
        if not 0 <= self.grace < float("inf"):
            raise ValueError(f"grace: expected seconds from 0, got {self.grace!r}")
        _expect_errors("retry_on", self.retry_on)
        if self.on_error not in ("raise", "collect"):
            raise ValueError(f"on_error: expected 'raise' or 'collect', got {self.on_error!r}")
        if self.progress not in (None, True, False) and not callable(self.progress):
            raise TypeError(f"progress: expected None, True or a function of a report, got {self.progress!r}")
        if self.worker_options is not None and not isinstance(self.worker_options, dict):
            raise TypeError(f"worker_options: expected a dict of actor options, got {self.worker_options!r}")
        Journal.of(self.journal)
        self._check_queues()
        if self.key is not None and not callable(self.key):
            raise TypeError(f"key: expected a function of an item, got {self.key!r}")
        if self.key is not None and self.journal is None:
            raise ValueError("key: expected with a journal, whose items it names; got no journal")

    def _check_queues(self) -> None:
        _expect_count("queues", self.queues, 1)
        if self.queues == 1:
            return
        if self.journal is not None:
            raise ValueError(
                f"queues: expected 1 with a journal, which is a file with one writer, got {self.queues}"
            )
        if self.least_workers is not None:
            why = "where workers come and go, which one queue has to know of"
            raise ValueError(f"queues: expected 1 {why}, got {self.queues}")
        if self.queues > self.worker_count:
            most = f"at most one per worker, of which there are {self.worker_count}"
            raise ValueError(f"queues: expected {most}, got {self.queues}")

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """Check the names as well: a misspelt option is a TypeError that lists those that there are."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise TypeError(f"{name}: no such option; there are {', '.join(known)}")
        return cls(**given)

    @property
    def worker_count(self) -> int:
        """How many workers there may be: one per usable core unless the user said otherwise."""
        most = self.workers[1] if isinstance(self.workers, tuple) else self.workers
        return most or usable_cores()

    @property
    def least_workers(self) -> int | None:
        """How many workers there are at least, if they come and go."""
        return self.workers[0] if isinstance(self.workers, tuple) else None

    @property
    def fixed_lookahead(self) -> int | None:
        """The lookahead, if the user chose one."""
        return None if isinstance(self.lookahead, str) else self.lookahead

    @property
    def unit(self) -> int:
        """How many items one call of `process` takes."""
        return self.batch_size or 1

    def order(self, can: Capabilities) -> bool:
        """Return whether results come in order.

        Raises:
            ValueError: for what such a source cannot do, and why.
        """
        if self.journal is not None and can.deadlines:
            raise ValueError(
                "journal: expected none with a live queue, which itself remembers what has ended and does "
                f"not bring the same items again, got {self.journal!r}"
            )
        if self.ordered and not can.ordered:
            raise ValueError(
                "ordered: expected False or nothing with a live queue, whose items have no order among its "
                "consumers and come again at any time, got True"
            )
        return can.ordered if self.ordered is None else self.ordered

    def spec(self, work: Any) -> WorkSpec:
        """Return what travels to the workers.

        Raises:
            TypeError: it is no work.
            ValueError: a journal could not tell it from another one.
        """
        spec = WorkSpec(work, self.load, self.store, self.batch_size or 0)
        journal = Journal.of(self.journal)
        if journal is not None and journal.version is None and "<lambda>" in spec.name:
            raise ValueError(
                "journal: expected a work with a name, or a journal with a version, got a lambda: "
                "it could not be told from another one"
            )
        return spec

    def worker(self) -> WorkerOptions:
        """Return how a worker works."""
        return WorkerOptions(
            lookahead=_number(self.lookahead),
            batch_wait=float(self.batch_wait),
            load_concurrency=_number(self.load_concurrency),
            trace=bool(self.trace),
            retry_on=self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,),
            item_timeout=None if self.item_timeout is None else float(self.item_timeout),
            gives_back=self.worker_count > 1,  # else there is nobody who would run it sooner
            join=line.join,
            clock=clock.make,
            recorded=self.journal is not None,
            queue_name=f"pullahead-queue-{uuid4().hex}-",
        )

    def retry(self) -> RetryPolicy:
        """Return what happens to failed items."""
        return RetryPolicy(retries=self.retries)


def _number(value: int | str) -> int | None:
    return None if isinstance(value, str) else value


def _expect_workers(value: Any) -> None:
    """A number or two, not from 0: what an item costs, and starting a worker, a worker has to say."""
    if not isinstance(value, tuple):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"workers: expected a whole number, (least, most) or None, got {value!r}")
        _expect_count("workers", value, 1, "None")
        return
    if len(value) != 2 or any(isinstance(one, bool) or not isinstance(one, int) for one in value):
        raise TypeError(f"workers: expected two whole numbers (least, most), got {value!r}")
    least, most = value
    if not 1 <= least <= most:
        raise ValueError(f"workers: expected (least, most) with 1 <= least <= most, got {value!r}")


def _expect_errors(name: str, value: Any) -> None:
    for one in value if isinstance(value, tuple) else (value,):
        if not isinstance(one, type) or not issubclass(one, Exception):
            raise TypeError(f"{name}: expected an exception type or a tuple of them, got {one!r}")


def _expect_seconds(name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected seconds or None, got {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}: expected seconds above 0 or None, got {value!r}")


def _expect_count(name: str, value: Any, least: int, otherwise: str = "") -> None:
    special = {"None": None, "'auto'": "auto"}
    if otherwise and value == special[otherwise]:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        wanted = f"a whole number or {otherwise}" if otherwise else "a whole number"
        raise TypeError(f"{name}: expected {wanted}, got {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected a number from {least}, got {value}")
