"""Requests that are answered in any order, and items that are handed out in the order of the requests.

Rules:
1. Up to `target` requests are open: made and not yet popped.
2. The first sentinel among the answers, in turn or not, ends the requests. What is open is still waited for,
   so items behind the sentinel are handed out first.
3. An error takes its turn like an item, and the requests go on.
4. Closing returns every item that was not handed out, and later each one that still arrives. Errors that
   nobody saw are dropped.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import Any, final


class Answer(enum.Enum):
    """What became of a request."""

    PENDING = "pending"
    ITEM = "item"
    ERROR = "error"
    END = "end"


@final
@dataclass(slots=True, eq=False)
class Request:
    """One request: its number, when it was made, and its answer."""

    number: int
    made: float
    answer: Answer = Answer.PENDING
    value: Any = None  # the item or the exception
    keep: Any = None  # what must live until the answer is there


@final
class Prefetch:
    """The open requests, in order; once closed, only those whose answers are still to come."""

    __slots__ = ("_numbers", "_open", "closed", "ended", "target")

    def __init__(self) -> None:
        self._open: deque[Request] = deque()
        self._numbers = 0
        self.target = 0  # how many requests should be open
        self.ended = False  # no more requests, but what is open is waited for
        self.closed = False  # nobody will take an item any more

    def __len__(self) -> int:
        return len(self._open)

    @property
    def wants(self) -> bool:
        """Another request should be made."""
        return len(self._open) < self.target and not self.ended and not self.closed

    @property
    def head(self) -> Request | None:
        """The request whose turn it is, if it is answered."""
        return self._open[0] if self._open and self._open[0].answer is not Answer.PENDING else None

    @property
    def over(self) -> bool:
        """Nothing will be handed out any more."""
        return self.closed or (self.ended and not self._open)

    @property
    def ready(self) -> bool:
        """Nobody has to wait: there is a head, or nothing will be handed out any more."""
        if self._open and not self.closed:
            return self._open[0].answer is not Answer.PENDING
        return self.ended or self.closed

    def ask(self, now: float) -> Request:
        request = Request(self._numbers, now)
        self._numbers += 1
        self._open.append(request)
        return request

    def withdraw(self, request: Request) -> None:
        """The request could not be made after all."""
        self._open.remove(request)

    def answered(self, request: Request, answer: Answer, value: Any) -> list[Any]:
        """Take an answer. Returns what has to be given back: the item, if it came too late."""
        request.answer, request.keep = answer, None
        if answer is Answer.END:
            self.ended = True
        if not self.closed:
            request.value = value
            return []
        self._open.remove(request)
        return [value] if answer is Answer.ITEM else []

    def pop(self) -> None:
        """The head is handed out."""
        self._open.popleft()
        self.target -= 1

    def close(self) -> list[Any]:
        """Hand out nothing more. Returns the items that have to be given back."""
        self.closed = True
        items = [request.value for request in self._open if request.answer is Answer.ITEM]
        self._open = deque(request for request in self._open if request.answer is Answer.PENDING)
        return items


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
