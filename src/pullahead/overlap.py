"""The pattern in one line: fetch the next items while the current one is computed.

    for item in pullahead.overlap(queue.get_work_item.remote, give_back=queue.put_back.remote):
        process(item)

Rules:
1. Items come in the order in which they were requested, whatever the order of the answers.
2. Requests are made as in the pattern: wait for an item, ask for the next, compute. While the caller
   computes, `lookahead` items are in hand or asked for; while it waits, at least one is asked for.
3. The first sentinel among the answers, in turn or not, ends the requests. The iteration ends once every
   request under way has been answered, so items behind the sentinel are yielded first.
4. A failed fetch is raised at its turn, and the next `next()` goes on. A generator could not: it is finished
   by its first exception. Hence a class that behaves like one.
5. Nothing that was fetched vanishes: it is yielded, given back, or counted in a warning. That holds for
   answers that come after the caller has left, too; nobody waits for those.

Who calls `fetch`: The first call is made on a thread of our own, because only its result tells what `fetch`
is. If that is a future or an `ObjectRef`, the thread ends and every other call is made by the caller, between
two of its items: handing a request to a thread would cost up to a switch interval of 5 ms while the caller
computes in Python. Otherwise `fetch` blocks, and that thread makes all calls, one after another, so that a
connection which it opens belongs to one thread. Refused: the first call by the caller itself, which would
split a blocking function between two threads. Either way one call returns before the next is made, so the
order of requests is the order of items. An iterable is the blocking function that is its `__next__`.

How deep: `pullahead.core.lookahead`, fed with the times measured here, under a `Ceiling`. A fetch that
waits for work to exist looks like a slow one, and depth against an empty queue is only a pile of requests
that takes the next items away from other workers. Trying tells the two apart: see `Ceiling`.

Threads: answers arrive on any thread. `Window`, which decides, is only touched under one lock; fetches,
callbacks and `give_back` run outside it. The lock is reentrant, because the garbage collector may close an
abandoned iterator from inside any allocation. Callbacks and the thread refer to the `_Flow`, never to the
`Overlap` itself: that is why a `break`, which drops the last reference, closes it at once.

Refused: cancelling the requests under way on leaving. A cancelled future of an actor call still takes its
item off the queue, and then nobody has it.
"""

from __future__ import annotations

import contextvars
import enum
import inspect
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from math import ceil
from types import TracebackType
from typing import Any, Final, Generic, Literal, Protocol, Self, TypeVar, cast, final, overload

from pullahead.core import trace
from pullahead.core.lookahead import Lookahead
from pullahead.core.meter import Meter

__all__ = ["Overlap", "Statistics", "Times", "overlap"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Items. Each one that waits here is one that no other worker can run. RabbitMQ's guide advises 100–300.
MAX_AHEAD: Final = 256
#: Items. As deep as "auto" goes without proof: four computes cover most round trips, and four requests
#: at an empty queue do little harm.
FREE_AHEAD: Final = 4

_PAYS: Final = 0.75  # twice the depth should halve the stalls; noise may eat half of that gain
_ROUND: Final = 8  # items: stalls are compared as means over at least so many
_REST: Final = 128  # items until a depth that did not pay is tried again: sources change, but not that fast
_RECENT: Final = 1024  # times kept for the percentiles of `statistics()`


class SupportsResult(Protocol[T_co]):
    """What this module needs to know of a `concurrent.futures.Future`, for type checkers."""

    def result(self, timeout: float | None = None) -> T_co: ...
    def add_done_callback(self, fn: Callable[[Any], object], /) -> None: ...


class SupportsFuture(Protocol[T_co]):
    """An `ObjectRef`, ours or Ray's, for type checkers."""

    def future(self) -> SupportsResult[T_co]: ...


# -- what is decided, without clocks and threads --------------------------------------------------------


class Answer(enum.Enum):
    """What became of a request."""

    PENDING = "pending"
    ITEM = "item"
    ERROR = "error"
    END = "end"


@dataclass(slots=True, eq=False)
class Slot:
    """One request: its number, when it was made, and its answer."""

    number: int
    requested: float
    answer: Answer = Answer.PENDING
    value: Any = None  # the item or the exception
    keep: Any = None  # what must live until the answer is there


@final
class Window:
    """The requests that were made and not yet yielded, in order."""

    __slots__ = ("_numbers", "_slots", "closed", "ended", "late")

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()
        self._numbers = 0
        self.ended = False  # a sentinel was among the answers: no more requests
        self.closed = False
        self.late = 0  # requests that were under way when it was closed and still are

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def over(self) -> bool:
        """Nothing will be yielded any more."""
        return self.closed or (self.ended and not self._slots)

    @property
    def head(self) -> Slot | None:
        """The request whose turn it is, if it is answered."""
        if self._slots and self._slots[0].answer is not Answer.PENDING:
            return self._slots[0]
        return None

    def wants(self, target: int) -> bool:
        """Tell whether another request should be made so that `target` of them are open."""
        return len(self._slots) < target and not self.ended and not self.closed

    def ask(self, now: float) -> Slot:
        slot = Slot(self._numbers, now)
        self._numbers += 1
        self._slots.append(slot)
        return slot

    def withdraw(self, slot: Slot) -> None:
        """The last request could not be made after all."""
        if self.closed:
            self.late -= 1
        else:
            self._slots.remove(slot)

    def answer(self, slot: Slot, answer: Answer, value: Any) -> bool:
        """Take an answer. True if it is an item that came too late and has to be given back."""
        slot.answer, slot.keep = answer, None
        if answer is Answer.END:
            self.ended = True
        if self.closed:
            self.late -= 1
            return answer is Answer.ITEM
        slot.value = value
        return False

    def pop(self) -> Slot:
        """Take the answered request whose turn it is."""
        return self._slots.popleft()

    def close(self) -> list[Any]:
        """Return the fetched items that have to be given back. Errors that nobody saw are dropped."""
        self.closed = True
        self.late = sum(slot.answer is Answer.PENDING for slot in self._slots)
        items = [slot.value for slot in self._slots if slot.answer is Answer.ITEM]
        self._slots.clear()
        return items


@final
class Ceiling:
    """How deep "auto" may go: as deep as pays.

    Against slow answers, twice the lookahead halves the time stalled per item. Against a slow source it
    changes nothing. So the limit doubles while the policy wants more and the last doubling cut the stalls to
    `_PAYS` or less. One that did not is taken back, and from then on the limit tries half and double in turn,
    `_REST` items apart: what once looked like a gain may have been chance, and sources change.

    Stalls are compared per item over rounds that begin behind one stall and end with another, because they
    come once per `limit` items when answers are slow. Without stalls there is nothing to change.
    """

    __slots__ = ("_before", "_count", "_down", "_from", "_seconds", "_skip", "limit", "refused")

    def __init__(self) -> None:
        self.limit = FREE_AHEAD
        self.refused = False  # the last doubling did not pay
        self._from = 0  # the limit before the one that is being tried, 0 if none is
        self._before = 0.0  # the stall per item under it, in seconds
        self._down = False  # try half next
        self._skip = 0  # items until the next round: they were asked for under another limit, or it rests
        self._count = -1  # items in this round, -1 until the stall that it begins behind
        self._seconds = 0.0

    def yielded(self, stalled: float, wanted: int) -> None:
        """One more item, after so many seconds of stall; the policy would like this depth."""
        if wanted <= self.limit:
            self._from, self._count, self._down, self.refused = 0, -1, False, False
        elif self._skip > 0:
            self._skip -= 1
        elif self._count >= 0:
            self._count += 1
            self._seconds += stalled
            if stalled > 0.0 and self._count >= max(_ROUND, self.limit):
                self._judge(self._seconds / self._count)
        elif stalled > 0.0:
            self._count, self._seconds = 0, 0.0

    def _judge(self, mean: float) -> None:
        self._count = -1
        tried, before, self._from = self._from, self._before, 0
        if tried and self.limit > tried and mean > _PAYS * before:
            self.limit, self.refused, self._down, self._skip = tried, True, True, _REST
        elif tried and self.limit < tried:
            if mean * _PAYS > before:  # that was too shallow
                self.limit, self._down = tried, False
            self._skip = _REST
        else:
            self._from, self._before, self._skip = self.limit, mean, self.limit
            if self._down and self.limit > FREE_AHEAD:
                self.limit //= 2
            else:
                self.limit = min(2 * self.limit, MAX_AHEAD)
                self.refused = self.refused and not tried


def is_sentinel(value: object, sentinel: object) -> bool:
    """Compare by identity, then by `==`, never element by element.

    None is only equal to itself. Arrays answer `==` with an array, which is neither true nor false and takes
    long for a large one: what has a shape is compared by identity alone.
    """
    if value is sentinel:
        return True
    if sentinel is None or getattr(value, "shape", ()) != () or getattr(sentinel, "shape", ()) != ():
        return False
    try:
        equal: Any = value == sentinel
        return getattr(equal, "shape", ()) == () and bool(equal)
    except Exception:  # noqa: BLE001  a user's __eq__ may raise anything; then they are not equal
        return False


# -- what was measured -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Times:
    """Durations in seconds: how many, their mean, and percentiles of the latest 1024."""

    count: int
    mean: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `Overlap.statistics()` returns. All times in seconds.

    Attributes:
        items: how many items were yielded.
        failures: how many failed fetches were raised.
        fetch: from a request to its answer (for a blocking `fetch`: inside the call).
        compute: from handing out an item to asking for the next one.
        stalls: how often the caller had to wait for an item.
        stall_seconds: how long in all. The wait for the end, after the last item, is none of it.
        hidden_seconds: time fetching while the caller computed; side by side counts once.
        exposed_seconds: time fetching while the caller was stalled.
        utilization: time computing ÷ time since the first `next()`.
        lookahead: how many items are held or asked for beyond the current one, now.
        reason: why.
    """

    items: int
    failures: int
    fetch: Times
    compute: Times
    stalls: int
    stall_seconds: float
    hidden_seconds: float
    exposed_seconds: float
    utilization: float
    lookahead: int
    reason: str


@final
class _Samples:
    __slots__ = ("_count", "_recent", "_total")

    def __init__(self) -> None:
        self._count = 0
        self._total = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def add(self, seconds: float) -> None:
        self._count += 1
        self._total += seconds
        self._recent.append(seconds)

    def times(self) -> Times:
        recent = sorted(list(self._recent))  # noqa: C414  the copy is atomic, sorting a live deque is not
        if not recent:
            return Times(0, 0.0, 0.0, 0.0)
        p50, p95 = (recent[ceil(q * len(recent)) - 1] for q in (0.5, 0.95))
        return Times(self._count, self._total / self._count, p50, p95)


@final
class _Account:
    """Where the caller's time went, and what follows for the lookahead. Only the caller's thread writes."""

    def __init__(self, lookahead: int | None, recorder: trace.Recorder | None) -> None:
        self._policy = Lookahead(lookahead)
        self._ceiling = Ceiling() if lookahead is None else None
        self._recorder = trace.Recorder(on=False) if recorder is None else recorder  # an empty one is false
        self._meter: Meter | None = None
        self._fetches, self._computes = _Samples(), _Samples()
        self._computing: tuple[int, float] | None = None  # the item that the caller has, and since when
        self._stalled = 0.0  # seconds since the last item
        self.items = self.failures = self.stalls = 0
        self.depth = self._policy.depth

    @property
    def reason(self) -> str:
        policy, ceiling = self._policy, self._ceiling
        if ceiling is None or policy.depth <= ceiling.limit:
            return policy.reason
        if ceiling.refused:
            return f"{self.depth}: {2 * self.depth} did not shorten the stalls, so the source itself is slow"
        return f"{self.depth}: deeper as long as that pays ({policy.reason})"

    def meter(self, now: float) -> Meter:
        if self._meter is None:
            self._meter = Meter(0, now)
        return self._meter

    def handed_out(self, number: int, now: float) -> None:
        self.items += 1
        self._computing = (number, now)
        if self._ceiling is not None:
            self._ceiling.yielded(self._stalled, self._policy.depth)
        self._stalled = 0.0

    def resumed(self, now: float, leaving: bool = False) -> None:
        """The caller is done with the item that it had; if it leaves, maybe in the middle."""
        meter = self.meter(now)
        if self._computing is None:
            return
        (number, start), self._computing = self._computing, None
        meter.computed(start, now, 1, 0.0)
        self._computes.add(now - start)
        self._recorder.add(trace.PROCESS, start, now, number)
        if not leaving:
            self._policy.computed(now - start, 1)

    def waited(self, start: float, now: float, tail: bool) -> None:
        """The caller had to wait for the answer whose turn it was; a tail turned out to be the end."""
        if tail:
            self.meter(now).idled(start, now)
        else:
            self.meter(now).stalled(start, now, trace.CAUSE_FETCH)
            self.stalls += 1
            self._stalled += now - start
            if self.items:  # nothing could have been asked for ahead of the first item
                self._policy.stalled()
        self._recorder.add(trace.STALL, start, now, detail=trace.CAUSE_TAIL if tail else trace.CAUSE_FETCH)

    def fetched(self, number: int, start: float, end: float) -> None:
        """A request was answered. Call it when the caller's own time up to `end` has been accounted for."""
        self.meter(start).communicated(start, end)
        self._fetches.add(end - start)
        self._recorder.add(trace.FETCH, start, end, number)
        self._policy.fetched(end - start)

    def settle(self, now: float) -> None:
        """Let the lookahead follow the measurements."""
        ceiling, depth = self._ceiling, self._policy.depth
        if ceiling is not None:
            depth = min(depth, ceiling.limit)
        if depth != self.depth:
            self.depth = depth
            self._recorder.add(trace.LOOKAHEAD, now, now, depth, detail=self.reason)

    def statistics(self) -> Statistics:
        totals = (self._meter or Meter(0, 0.0)).totals
        wall = totals.ended - totals.started
        return Statistics(
            items=self.items,
            failures=self.failures,
            fetch=self._fetches.times(),
            compute=self._computes.times(),
            stalls=self.stalls,
            stall_seconds=totals.stalls.get(trace.CAUSE_FETCH, 0.0),
            hidden_seconds=totals.hidden,
            exposed_seconds=totals.exposed,
            utilization=totals.useful / wall if wall > 0.0 else 0.0,
            lookahead=self.depth,
            reason=self.reason,
        )


# -- who does it -----------------------------------------------------------------------------------------


@final
class _Returns:
    """Gives items back in order, one call at a time, and lets no error vanish."""

    def __init__(self, give_back: Callable[[Any], object]) -> None:
        self._give_back = give_back
        self._items: deque[Any] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def give(self, items: list[Any], here: bool) -> None:
        """Give items back on this thread, or on a new one: an engine's callback thread must not block."""
        with self._lock:
            self._items.extend(items)
            if self._busy or not items:
                return  # whoever is at it takes these along
            self._busy = True
        if here:
            self._drain()
        else:
            threading.Thread(target=self._drain, name="pullahead-give-back", daemon=True).start()

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._items:
                    self._busy = False
                    return
                item = self._items.popleft()
            try:
                future = _as_future(self._give_back(item))
            except BaseException as error:  # noqa: BLE001  the items behind this one must go back all the same
                _Unraisable(error, self._give_back)
            else:
                if future is not None:
                    future.add_done_callback(self._returned)

    def _returned(self, future: Future[Any]) -> None:
        error = _outcome(future)
        if error is not None:
            _Unraisable(error, self._give_back)


@final
class _Unraisable:
    """Shows an exception that no caller can receive: dropped at once, it hands it to `sys.unraisablehook`.

    That is the only way there: the type of the hook's argument cannot be built.
    """

    def __init__(self, error: BaseException, give_back: object) -> None:
        self._error, self._give_back = error, give_back

    def __del__(self) -> None:
        self._error.add_note(f"raised by {self._give_back!r}, so overlap() could not give back an item")
        raise self._error


def _as_future(result: object) -> Future[Any] | None:
    """Return the future behind an `ObjectRef` of either engine or a future, None for a plain value.

    For Ray, asking for the future right after the request is what makes a large result travel at once.
    """
    if isinstance(result, Future):
        return result
    if not callable(getattr(type(result), "future", None)):
        return None
    future = cast(SupportsFuture[Any], result).future()
    if not isinstance(future, Future):
        raise TypeError(
            f"expected {type(result).__name__}.future() to return a concurrent.futures.Future, "
            f"got {type(future).__name__}"
        )
    return future


def _outcome(future: Future[Any]) -> BaseException | None:
    """Return the exception of a future that is done."""
    return CancelledError() if future.cancelled() else future.exception()


class _AsyncFetchError(TypeError):
    """Raised inside for an awaitable answer: no later fetch can do better, so it ends the requests."""


def _refuse_awaitable(result: object) -> None:
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()  # or Python warns that it was never awaited
        raise _AsyncFetchError(_ASYNC)


_ASYNC: Final = (
    "overlap: expected a function that blocks or returns a future, got an async one; "
    "pass lambda: asyncio.run_coroutine_threadsafe(fetch(), loop), with a loop that runs in another thread"
)


@final
class _Flow:
    """Requests, waits and gives back for one `Overlap`. The rules are in the module and in `Window`."""

    def __init__(
        self,
        fetch: Callable[[], Any],
        is_end: Callable[[Any], bool],
        returns: _Returns | None,
        warns: bool,
        account: _Account,
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._is_end = is_end
        self._returns = returns
        self._warns = warns
        self._clock = clock
        self.account = account
        self.window = Window()
        lock = threading.RLock()
        self._answered = threading.Condition(lock)  # for the caller: its turn has come, or it may request
        self._wanted = threading.Condition(lock)  # for the thread: there is something to fetch, or it may end
        self._lock = lock
        self._target = 0  # how many requests should be open now
        self._thread: threading.Thread | None = None
        self._decided = False  # what `fetch` is; the first answer tells
        self._by_caller = False  # it returns futures
        self._fresh: deque[tuple[int, float, float]] = deque()  # answered, not accounted for
        self._lost = 0  # items that came after closing, without a give_back

    # The caller's side.

    def next(self) -> Any:
        """Wait for the next item. Raises what its fetch raised, or StopIteration."""
        account, window = self.account, self.window
        account.resumed(self._clock())
        while True:
            start = self._clock()
            waited = self._wait()
            now = self._clock()
            with self._lock:
                head = window.head
            if waited:
                account.waited(start, now, tail=head is None or head.answer is Answer.END)
            self._measure(now)
            if head is None:
                raise StopIteration
            # As the pattern does it: ask for the next, then compute this one. Only then is it taken, so that
            # a Ctrl-C inside the request loses nothing.
            self._request(account.depth + 1)
            with self._lock:
                if window.head is not head:
                    continue  # closed meanwhile, from another thread
                window.pop()
                self._target = account.depth
            if head.answer is Answer.ITEM:
                account.handed_out(head.number, self._clock())
                return head.value
            if head.answer is Answer.ERROR:
                account.failures += 1
                try:
                    raise head.value
                finally:
                    del head  # or the exception and this frame keep each other alive

    def _wait(self) -> bool:
        """Wait until the head is answered or all is over. True unless it was so already."""
        window, target = self.window, max(1, self.account.depth)
        with self._lock:
            if window.head is not None or window.over:
                return False
        while True:
            self._request(target)
            with self._lock:
                while not (window.head is not None or window.over or self._may_request(target)):
                    self._answered.wait()
                if window.head is not None or window.over:
                    return True

    def _may_request(self, target: int) -> bool:
        return self._by_caller and self.window.wants(target)

    def _measure(self, now: float) -> None:
        while self._fresh and self._fresh[0][2] <= now:
            self.account.fetched(*self._fresh.popleft())
        self.account.settle(now)

    def _request(self, target: int) -> None:
        """Make requests until so many are open, or let the thread make them."""
        while True:
            with self._lock:
                self._target = target
                if not self.window.wants(target):
                    return
                if not self._by_caller:
                    self._wake_thread()
                    return
                slot = self.window.ask(self._clock())
            try:
                self._fetch_into(slot)
            except BaseException:  # Ctrl-C: what was not asked for is not waited for
                if slot.answer is Answer.PENDING and slot.keep is None:
                    with self._lock:
                        self.window.withdraw(slot)
                raise

    # Either side.

    def _fetch_into(self, slot: Slot) -> bool:
        """Make one request. True if its answer is a future."""
        try:
            result = self._fetch()
            future = _as_future(result)
            if future is None:
                _refuse_awaitable(result)
        except Exception as error:  # noqa: BLE001  whatever it is, it is raised at its turn
            self._fail(slot, error)
            return False
        if future is None:
            self._answer(slot, Answer.END if self._is_end(result) else Answer.ITEM, result)
            return False
        slot.keep = (result, future)
        future.add_done_callback(lambda done: self._done(slot, done))
        return True

    def _done(self, slot: Slot, future: Future[Any]) -> None:
        """A future is done; runs on whatever thread it was done on."""
        error = _outcome(future)
        if error is not None:
            self._fail(slot, error)
            return
        value = future.result()
        self._answer(slot, Answer.END if self._is_end(value) else Answer.ITEM, value)

    def _fail(self, slot: Slot, error: BaseException) -> None:
        if isinstance(error, StopIteration | StopAsyncIteration):
            self._answer(slot, Answer.END, None)
            return
        if isinstance(error, _AsyncFetchError):
            error = TypeError(str(error))
            with self._lock:
                self.window.ended = True
        self._answer(slot, Answer.ERROR, error)

    def _answer(self, slot: Slot, answer: Answer, value: Any) -> None:
        now = self._clock()
        with self._lock:
            orphan = self.window.answer(slot, answer, value)
            self._fresh.append((slot.number, slot.requested, now))
            if self.window.head is slot or self.window.over:
                self._answered.notify()
            late = self.window.late
        if self.window.closed:
            self._late(value if orphan else None, orphan, late)

    def _late(self, item: Any, orphan: bool, late: int) -> None:
        """An answer came after the caller had left."""
        if orphan and self._returns is not None:
            self._returns.give([item], here=threading.current_thread() is self._thread)
            return
        self._lost += orphan
        if self._lost and not late and self._warns and self._returns is None:
            _warn(f"{_items(self._lost)} came after overlap() was left early and {_are(self._lost)} lost", 2)

    def close(self, stacklevel: int) -> None:
        """Stop. Gives back what was fetched, or warns. Does not wait for what is under way."""
        with self._lock:
            if self.window.closed:
                return
            items = self.window.close()
            late = self.window.late
            self._answered.notify_all()
            self._wanted.notify_all()
        now = self._clock()
        self.account.resumed(now, leaving=True)
        self._measure(now)
        if self._returns is not None:
            self._returns.give(items, here=True)
        elif self._warns and (items or late):
            requests = f"{late} request{'s' * (late != 1)} under way"
            _warn(
                f"overlap() was left early with {_items(len(items))} fetched and {requests}: "
                "pass give_back= to return them",
                stacklevel + 1,
            )

    # The thread's side.

    def _wake_thread(self) -> None:
        if self._thread is None:
            context = contextvars.copy_context()
            self._thread = threading.Thread(
                target=lambda: context.run(self._pull), name="pullahead-overlap", daemon=True
            )
            self._thread.start()
        self._wanted.notify()

    def _pull(self) -> None:
        """Fetch, one after another, until the end; or until it turns out that the caller can."""
        while True:
            with self._lock:
                while not self.window.wants(self._target):
                    if self.window.ended or self.window.closed:
                        return
                    self._wanted.wait()
                slot = self.window.ask(self._clock())
            if self._pull_one(slot):
                return

    def _pull_one(self, slot: Slot) -> bool:
        """Fetch one; its own frame, so that no item lives here while the thread waits. True to hand over."""
        try:
            is_future = self._fetch_into(slot)
        except BaseException as error:  # noqa: BLE001  a KeyboardInterrupt raised here belongs to the caller
            self._fail(slot, error)
            return False
        with self._lock:
            if not self._decided and (is_future or slot.answer is not Answer.ERROR):
                self._decided, self._by_caller = True, is_future
                self._answered.notify()
        return self._by_caller


def _items(count: int) -> str:
    return f"{count} item{'s' * (count != 1)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _warn(message: str, stacklevel: int) -> None:
    # A RuntimeWarning, not a ResourceWarning: Python hides those by default, and these are lost items.
    warnings.warn(message, RuntimeWarning, stacklevel=stacklevel + 1)


# -- the public face -------------------------------------------------------------------------------------


@final
class Overlap(Iterator[T], Generic[T]):
    """The iterator that `overlap` returns. One thread at a time may iterate; any may `close()` it."""

    __slots__ = ("__weakref__", "_flow")

    def __init__(self, flow: _Flow) -> None:
        self._flow = flow

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return cast(T, self._flow.next())
        except BaseException:
            # The traceback keeps this frame alive: without a reference to the iterator in it, a `for` loop
            # that is left by this exception closes the iterator before any `except` block runs.
            del self
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._flow.close(stacklevel=2)

    def __del__(self) -> None:
        self._flow.close(stacklevel=2)

    def __repr__(self) -> str:
        account, window = self._flow.account, self._flow.window
        state = "closed" if window.closed else "ended" if window.over else f"{len(window)} requested"
        return f"<overlap: {_items(account.items)}, {state}, lookahead {account.reason}>"

    def close(self) -> None:
        """Stop: every item that was fetched and not yielded is given back, late ones when they come.

        Without `give_back` a RuntimeWarning says how many there are. Returns at once and can be repeated.
        """
        self._flow.close(stacklevel=2)

    def statistics(self) -> Statistics:
        """Return where the time went so far. May be called at any time, also in the loop and after it."""
        return self._flow.account.statistics()


@overload
def overlap(
    fetch: Callable[[], SupportsFuture[T | None]] | Iterable[SupportsFuture[T]],
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[T], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[T]: ...
@overload
def overlap(
    fetch: Callable[[], SupportsResult[T | None]] | Iterable[SupportsResult[T]],
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[T], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[T]: ...
@overload
def overlap(
    fetch: Callable[[], T | None] | Iterable[T],
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[T], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[T]: ...
def overlap(
    fetch: Any,
    *,
    sentinel: object = None,
    lookahead: int | Literal["auto"] = "auto",
    give_back: Callable[[Any], object] | None = None,
    recorder: trace.Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Overlap[Any]:
    """Iterate over fetched items; the next ones are fetched while the current one is computed.

    Nothing is fetched before the first `next()`.

    Args:
        fetch: a function without arguments that returns a future (an `ObjectRef`, ours or Ray's, or a
            `concurrent.futures.Future`), or that blocks until it has an item. It blocks on one thread of
            its own, one call after another. Or an iterable, which is read ahead on that thread; what it
            yields may be futures as well.
        sentinel: the item that says that there are no more, by identity, then by `==`. Every request
            that is under way when it comes must be answered too, by items or by more sentinels. Where
            None is an item, pass `sentinel=object()`. In an iterable, which ends by itself, None is an item.
            A StopIteration from `fetch` ends it as well.
        lookahead: how many items to hold or ask for beyond the current one: "auto" finds it from measured
            times, at most 256; 1 is the plain pattern; 0 asks only when the item is wanted.
        give_back: called with every item that was fetched and not yielded when the loop is left early. It
            may block or return a future. An item that arrives after that is given back on another thread.
            Errors in it go to `sys.unraisablehook`. Without it such items are lost, and a RuntimeWarning says
            how many, except for an iterable that can be read again, such as a list.
        recorder: writes what happened, for timelines.
        clock: seconds, for tests.

    Returns:
        An iterator with `close()` and `statistics()`. Leaving the loop closes it when nothing else refers to
        it; `with` does so for certain. Fetch errors are raised at their turn and do not end it.

    Raises:
        TypeError: for an async function, for text, for an actor's method without `.remote`, and whatever is
            neither a function nor an iterable.
        ValueError: for a negative lookahead.
    """
    if lookahead != "auto" and (isinstance(lookahead, bool) or not isinstance(lookahead, int)):
        raise TypeError(f"lookahead: expected 'auto' or a number from 0, got {lookahead!r}")
    function, reread = _as_function(fetch)
    if function is not fetch and sentinel is None:
        sentinel = object()  # equal to nothing
    return Overlap(
        _Flow(
            function,
            is_end=lambda value: is_sentinel(value, sentinel),
            returns=None if give_back is None else _Returns(give_back),
            warns=not reread,
            account=_Account(None if lookahead == "auto" else lookahead, recorder),
            clock=clock,
        )
    )


def _as_function(fetch: Any) -> tuple[Callable[[], Any], bool]:
    """Return the function to call for each item, and whether the items can be read again from `fetch`."""
    is_async = inspect.isawaitable(fetch) or hasattr(type(fetch), "__aiter__")
    if inspect.iscoroutinefunction(fetch) or (is_async and not callable(fetch)):
        if inspect.iscoroutine(fetch):
            fetch.close()  # or Python warns that it was never awaited
        raise TypeError(_ASYNC)
    if not isinstance(fetch, type) and callable(getattr(fetch, "remote", None)):
        raise TypeError(
            "overlap: expected a function, got an actor's method; pass queue.get_work_item.remote itself"
        )
    if callable(fetch):
        return fetch, False
    if isinstance(fetch, str | bytes) or not isinstance(fetch, Iterable):
        raise TypeError(f"overlap: expected a function or an iterable of items, got {type(fetch).__name__}")
    iterator = iter(fetch)
    return iterator.__next__, iterator is not fetch
