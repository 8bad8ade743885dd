"""Requests, waits and gives back: the shell around `pullahead.core.prefetch`.

Who calls `fetch`: The first call is made on a thread of our own, because only its result tells what `fetch`
is. If that is a future or an `ObjectRef`, the thread ends and every other call is made by the caller, between
two of its items: handing a request to a thread would cost up to a switch interval of 5 ms while the caller
computes in Python. Otherwise `fetch` blocks, and that thread makes all calls, one after another, so that a
connection which it opens belongs to one thread. Refused: the first call by the caller itself, which would
split a blocking function between two threads. Either way one call returns before the next is made, so the
order of requests is the order of items. An iterable is the blocking function that is its `__next__`.

Threads: answers arrive on any thread. `Prefetch`, which decides, is only touched under one lock; fetches,
callbacks and `give_back` run outside it. The lock is reentrant, because the garbage collector may close an
abandoned iterator from inside any allocation. Callbacks and the thread refer to the `Flow`, never to the
`Overlap` itself: that is why a `break`, which drops the last reference, closes it at once.

Refused: cancelling the requests under way on leaving. A cancelled future of an actor call still takes its
item off the queue, and then nobody has it.
"""

from __future__ import annotations

import contextvars
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, final

from pullahead.core.prefetch import Answer, Prefetch, Request, is_sentinel
from pullahead.overlapping.account import Account
from pullahead.overlapping.futures import as_future, async_refused, future_inside, outcome
from pullahead.overlapping.leftovers import Leftovers
from pullahead.overlapping.weight import weight


@final
class Flow:
    """What one `Overlap` does.

    Args:
        fetch: is called for each item.
        sentinel: the item that ends the requests.
        leftovers: takes what was fetched and not yielded; None where nothing can be lost.
        account: measures, and says how deep to look ahead.
        clock: seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Any],
        sentinel: object,
        leftovers: Leftovers | None,
        account: Account,
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._sentinel = sentinel
        self._leftovers = leftovers
        self._clock = clock
        self.account = account
        self.prefetch = Prefetch()
        self._lock = threading.RLock()
        self._answered = threading.Condition(self._lock)  # for the caller: its turn, or it may request
        self._wanted = threading.Condition(self._lock)  # for the thread: fetch one, or end
        self._thread: threading.Thread | None = None
        self._inside: dict[Request, Any] = {}  # answered by refs whose values are not here yet
        self._by_caller: bool | None = None  # `fetch` returns futures; None until the first answer tells

    # The caller's side.

    def next(self) -> Any:
        """Wait for the next item. Raises what its fetch raised, or StopIteration."""
        account, prefetch = self.account, self.prefetch
        account.resumed(self._clock())
        while True:
            start = self._clock()
            head, waited = self._wait()
            now = self._clock()
            if waited:
                account.waited(start, now, tail=head is None or head.answer is Answer.END)
            account.settle(now)
            if head is None:
                raise StopIteration
            # As the pattern does it: ask for the next, then compute this one. Only then is it taken, so that
            # a Ctrl-C inside the request loses nothing.
            self._request(account.depth + 1)
            with self._lock:
                if prefetch.head is not head:
                    continue  # closed meanwhile, from another thread
                prefetch.pop()
            if head.answer is Answer.ITEM:
                account.handed_out(head.number, self._clock())
                return head.value
            if head.answer is Answer.ERROR:
                account.failures += 1
                try:
                    raise head.value
                finally:
                    del head  # or the exception and this frame keep each other alive

    def close(self) -> None:
        """Stop. Does not wait for what is under way."""
        with self._lock:
            if self.prefetch.closed:
                return
            items = self.prefetch.close()
            waiting = list(self._inside)
            under_way = len(self.prefetch)
            self._answered.notify_all()
            self._wanted.notify_all()
        now = self._clock()
        self.account.resumed(now, leaving=True)
        self.account.settle(now)
        if self._leftovers is not None:
            self._leftovers.left(items, under_way)
        for request in waiting:  # they are fetched, and only what they refer to is not here
            self._came_inside(request)

    def _wait(self) -> tuple[Request | None, bool]:
        """Return the request whose turn it is, None if all is over; and whether that took a wait."""
        prefetch, waited = self.prefetch, False
        while True:
            with self._lock:
                if waited:
                    self._answered.wait_for(lambda: prefetch.ready or (self._by_caller and prefetch.wants))
                if prefetch.ready:
                    return prefetch.head, waited
            waited = True
            self._request(max(1, self.account.depth))

    def _request(self, target: int) -> None:
        """Make requests until so many are open, or let the thread make them."""
        while True:
            with self._lock:
                self.prefetch.target = target
                if not self.prefetch.wants:
                    return
                if not self._by_caller:
                    self._wake_thread()
                    return
                request = self.prefetch.ask(self._clock())
            try:
                self._fetch_into(request)
            except BaseException:  # Ctrl-C: what was not asked for is not waited for
                if request.answer is Answer.PENDING and request.keep is None:
                    with self._lock:
                        self.prefetch.withdraw(request)
                raise

    # Either side.

    def _fetch_into(self, request: Request) -> None:
        """Make one request."""
        try:
            result = self._fetch()
            future = as_future(result)
            if future is None and inspect.isawaitable(result):
                with self._lock:
                    self.prefetch.ended = True  # no later fetch can do better
                raise async_refused(result)
        except Exception as error:  # noqa: BLE001  whatever it is, it is raised at its turn
            self._answer(request, None, error)
            return
        if future is None:
            self._answer(request, result, None, by_caller=False)
        else:
            request.keep = (result, future)
            future.add_done_callback(partial(self._came, request))
            self._decide(by_caller=True)

    def _came(self, request: Request, done: Future[Any]) -> None:
        """A future is done. An item that is a ref itself is handed out as it is, once its value is here."""
        value, error = outcome(done)
        inside = future_inside(value) if error is None else None
        if inside is None:
            self._answer(request, value, error, by_caller=True)
        else:
            with self._lock:
                self._inside[request] = value, inside  # which has to live until then
                is_late = self.prefetch.closed
            if is_late:
                self._came_inside(request)
            else:
                inside.add_done_callback(partial(self._came_inside, request))

    def _came_inside(self, request: Request, here: Future[Any] | None = None) -> None:
        """The value that an item refers to is here; or nobody waits for it any more, because all is over."""
        with self._lock:
            if request not in self._inside:
                return
            value, _ = self._inside.pop(request)
        self._answer(request, value, None, True, None if here is None else outcome(here)[0])

    def _decide(self, by_caller: bool | None) -> None:
        """Remember what `fetch` is, None if it did not tell."""
        if self._by_caller is None:
            with self._lock:
                self._by_caller = by_caller
                self._answered.notify()

    def _answer(
        self,
        request: Request,
        value: Any,
        error: BaseException | None,
        by_caller: bool | None = None,
        heavy: Any = None,
    ) -> None:
        """A request was answered, on whatever thread. `heavy`: what came for it, if not the value alone."""
        if error is None:
            answer = Answer.END if is_sentinel(value, self._sentinel) else Answer.ITEM
        elif isinstance(error, StopIteration | StopAsyncIteration):
            answer = Answer.END
        else:
            answer, value = Answer.ERROR, error
        now, size = self._clock(), weight(value if heavy is None else heavy) if answer is Answer.ITEM else 0
        with self._lock:
            self._decide(
                by_caller
            )  # in one step: whoever takes the answer knows whether to make the next request
            items = self.prefetch.answered(request, answer, value)
            self.account.answered(request, now, size)
            if self.prefetch.ready:
                self._answered.notify()
            closed, under_way = self.prefetch.closed, len(self.prefetch)
        if closed and self._leftovers is not None:
            self._leftovers.came_late(items, under_way, here=threading.current_thread() is self._thread)

    # The thread's side.

    def _wake_thread(self) -> None:
        if self._thread is None:
            run = contextvars.copy_context().run
            name = "pullahead-overlap"
            self._thread = threading.Thread(target=run, args=(self._pull,), name=name, daemon=True)
            self._thread.start()
        self._wanted.notify()

    def _pull(self) -> None:
        """Fetch, one after another, until the end; or until it turns out that the caller can."""
        while self._pull_one():
            pass

    def _pull_one(self) -> bool:
        """Fetch one when it is wanted. A frame for each: no item lives in it while the thread waits."""
        prefetch = self.prefetch
        with self._lock:
            self._wanted.wait_for(lambda: prefetch.wants or prefetch.ended or prefetch.closed)
            if not prefetch.wants:
                return False
            request = prefetch.ask(self._clock())
        try:
            self._fetch_into(request)
        except BaseException as error:  # a KeyboardInterrupt raised here belongs to the caller
            if request.answer is not Answer.PENDING:
                raise  # it came too late, and the warning that says so is an error
            self._answer(request, None, error)
        return not self._by_caller
