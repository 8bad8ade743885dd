"""What the queue was told and has not answered for good: what another one must be told if it dies."""

from __future__ import annotations

from collections import deque
from typing import Any, final

from pullahead.core import messages as m
from pullahead.core.trace import CAUSE_FETCH
from pullahead.farm.recorded import Recorded
from pullahead.farm.recording import Known


@final
class Told:
    """Listens to what the caller and the queue say to each other. Not for two threads at a time."""

    def __init__(self) -> None:
        self._runs: dict[int, set[str]] = {}  # that have not ended: CLOSE or CANCEL, if that was said
        self._items: dict[
            int, tuple[int, Any, Known]
        ] = {}  # that have not ended: run, payload, what is known
        self._unsaved: deque[m.Message] = deque()  # for the journal alone
        self._drained: dict[int, None] = {}  # workers that were told to stop, and have not said goodbye

    def said(self, message: m.Message) -> None:
        """The caller said this."""
        kind, *rest = message
        if kind == m.OPEN:
            self._runs[rest[0]] = set()
        elif kind in {m.CLOSE, m.CANCEL}:
            if rest[0] in self._runs:
                self._runs[rest[0]].add(kind)
        elif kind == m.SUBMIT:
            run, first, payloads, _, known = rest
            for number, (payload, one) in enumerate(zip(payloads, known, strict=True), first):
                self._items[number] = run, payload, one
        elif kind in {m.UNSENT, m.DELIVERED}:
            self._unsaved.append(message)
        elif kind == m.DRAIN:
            self._drained[rest[0]] = None
        elif kind == m.LOST:
            self._drained.pop(rest[0], None)

    def heard(self, message: m.Message) -> None:
        """The queue said this."""
        kind, *rest = message
        if kind == m.OUTCOMES:
            for number in rest[2]:
                del self._items[number]
        elif kind == m.ENDED:
            del self._runs[rest[0]]
        elif kind == m.SAVED:
            self._unsaved.popleft()
        elif kind == m.BYE:
            self._drained.pop(rest[0], None)

    def look_up(self, recorded: Recorded) -> list[m.Message]:
        """The queue died. Return what it would still have said: the ends that it has recorded."""
        found = recorded.look_up([known.entry.place for _, _, known in self._items.values()])
        outcomes: list[m.Message] = []
        for number, (run, payload, known) in self._items.items():
            now_known = found.get(known.entry.place)
            if now_known is None:
                continue
            state, end = now_known
            if state is None:
                self._items[number] = run, payload, Known(known.entry, end)
            else:
                outcomes.append((m.OUTCOMES, run, state, (number,), [end]))
        return outcomes

    def again(self, workers: tuple[int, ...]) -> list[m.Message]:
        """Return what to tell another queue. `workers`: those that may come back to it."""
        messages: list[m.Message] = [(m.RETURNING, workers)]
        messages += [(m.OPEN, run, False) for run in self._runs]  # no source has both delays and a journal
        numbers = sorted(self._items)
        first = 0
        for index, number in enumerate(numbers, 1):
            run = self._items[number][0]
            if index == len(numbers) or (numbers[index], self._items[numbers[index]][0]) != (number + 1, run):
                some = [self._items[one] for one in numbers[first:index]]
                payloads, known = [one[1] for one in some], [one[2] for one in some]
                messages.append((m.SUBMIT, run, numbers[first], payloads, CAUSE_FETCH, known))
                first = index
        messages += [(kind, run) for run, kinds in self._runs.items() for kind in sorted(kinds)]
        messages += [(m.DRAIN, worker) for worker in self._drained]
        return [*messages, *self._unsaved]
