"""What a worker holds: items that are here and have not started, each with its lease.

One item's way: here → (loading →) buffered → taken. Without a `load`, an item is buffered as it comes, or, if
its value is still on its way then, when that has come: it is loading until then.

Rules:
1. Of what is buffered, the oldest (the smallest number) is taken first, and of what is not loaded, the oldest
   is loaded first: what was cut from a slice, or came back from another worker, has waited already.
2. What is suspect (a worker died while it loaded it, or ran it beside loads) runs alone: it is not loaded
   beside others, but in its turn, as a part of what runs. It is buffered *bare*; while it is here no load
   begins, and its turn does not come while one is under way.
3. A load cannot be called off. What is given back while it is being loaded is *withdrawn*: it is nobody's
   here, and what the load brings is thrown away, unless the item comes back before.

A lease is kept for longer than an item is held: until the item is reported, or given back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import final


@final
class Holdings:
    """Items and where they are. See the module.

    Attributes:
        lease: of each item that is held, running or storing.
        buffer: what can be taken, the oldest first.
    """

    __slots__ = ("_bare", "_loading", "_loads", "_most", "_unloaded", "_withdrawn", "buffer", "lease")

    def __init__(self, *, loads: bool, load_concurrency: int | None) -> None:
        """Hold nothing. `loads`: whether items are loaded, so many at a time; None: as many as there are."""
        self.lease: dict[int, int] = {}
        self.buffer: deque[int] = deque()
        self._loads = loads
        self._most = load_concurrency or 1 << 30
        self._unloaded: deque[int] = deque()
        self._loading: dict[int, float] = {}  # since when
        self._withdrawn: set[int] = set()
        self._bare: set[int] = set()

    @property
    def size(self) -> int:
        """How many items are held."""
        return len(self._unloaded) + len(self._loading) - len(self._withdrawn) + len(self.buffer)

    @property
    def loading(self) -> tuple[int, ...]:
        """Items whose load is under way, whether they are to run here or not."""
        return tuple(self._loading)

    @property
    def is_loading(self) -> bool:
        """Whether a load is under way."""
        return bool(self._loading)

    @property
    def nothing_loads(self) -> bool:
        """Whether no item is being loaded, and none waits for it."""
        return not self._loading and not self._unloaded

    @property
    def waits_for_load(self) -> bool:
        """Whether there are items, and what they wait for is their load."""
        return self.size > len(self.buffer) or bool(self.buffer and self._loads)

    def in_order(self) -> list[int]:
        """Return what is held in the order in which it is computed; what is not loaded comes last."""
        loading = [item for item in self._loading if item not in self._withdrawn]
        return [*self.buffer, *loading, *self._unloaded]

    def moved(self, items: range, lease: int) -> list[int]:
        """These came. Those that are here already are under this lease now. Returns the others."""
        new: list[int] = []
        for item in items:
            if item in self.lease:
                self.lease[item] = lease
            else:
                new.append(item)
        return new

    def granted(
        self,
        items: Sequence[int],
        lease: int,
        now: float,
        suspects: Sequence[int] = (),
        coming: Collection[int] = (),
    ) -> Sequence[int]:
        """These came. Return what can be taken as it is, and is to be `put`."""
        self.lease.update(dict.fromkeys(items, lease))
        if not self._loads:
            return self._without(coming, items, now) if coming or self._loading else items
        bare = sorted(set(suspects).intersection(items) - self._withdrawn)
        self._bare.update(bare)
        # One may come back while its load for an earlier lease is still under way: that one will do.
        self._unloaded.extend(item for item in items if item not in self._withdrawn and item not in bare)
        self._unloaded = deque(sorted(self._unloaded))
        self._withdrawn.difference_update(items)
        return bare

    def _without(self, coming: Collection[int], items: Sequence[int], now: float) -> Sequence[int]:
        """Return what is not on its way. What was on its way for an earlier lease still is."""
        self._withdrawn.difference_update(items)
        for item in items:
            if item in coming:
                self._loading.setdefault(item, now)
        return [item for item in items if item not in self._loading]

    def refused(self, items: Sequence[int], lease: int) -> None:
        """These came, and are to be given back as they are."""
        self.lease.update(dict.fromkeys(items, lease))
        self._unloaded.extend(items)

    def put(self, items: Sequence[int]) -> None:
        """Put items, ascending, into the buffer."""
        in_order = not (self.buffer and items and items[0] < self.buffer[-1])
        self.buffer.extend(items)
        if not in_order:
            self.buffer = deque(sorted(self.buffer))

    def take(self, count: int) -> tuple[int, ...]:
        """Take the next ones from the buffer."""
        buffer = self.buffer
        return (buffer.popleft(),) if count == 1 else tuple([buffer.popleft() for _ in range(count)])

    @property
    def has_suspects(self) -> bool:
        """Whether something here has to run alone: no load begins before it has."""
        return bool(self._bare)

    def must_wait(self, count: int) -> bool:
        """Whether one of the next so many has to run alone, and loads are under way."""
        if not (self._bare and self._loading):
            return False
        return not self._bare.isdisjoint(islice(self.buffer, count))

    def ran(self, items: Sequence[int]) -> None:
        """Items were processed: if they had to run alone, that is over."""
        if self._bare:
            self._bare.difference_update(items)

    def begin_loads(self, now: float) -> list[int]:
        """Return the items whose load begins."""
        begun: list[int] = []
        while not self._bare and self._unloaded and len(self._loading) < self._most:
            begun.append(self._unloaded.popleft())
            self._loading[begun[-1]] = now
        return begun

    def load_ended(self, item: int) -> float:
        """The load of an item is over. Return since when it was under way."""
        return self._loading.pop(item)

    def was_withdrawn(self, item: int) -> bool:
        """Return whether what was loaded has been given back meanwhile; say so once."""
        if item not in self._withdrawn:
            return False
        self._withdrawn.discard(item)
        return True

    def release(self, item: int) -> int:
        """An item that was taken is reported. Return its lease."""
        return self.lease.pop(item)

    def release_all(self, items: Sequence[int]) -> list[tuple[int, Sequence[int]]]:
        """Items that were taken are reported. Return them by their leases, in stretches of one lease."""
        leases = list(map(self.lease.pop, items))
        if leases.count(leases[0]) == len(leases):  # most of the time
            return [(leases[0], items)]
        both = groupby(zip(leases, items, strict=True), itemgetter(0))
        return [(lease, [item for _, item in some]) for lease, some in both]

    def give_back(self, items: Sequence[int]) -> list[tuple[int, bool]]:
        """These leave. Return what the work should hear of at once, and whether each was loaded: of what is
        being loaded it hears when the load is over."""
        gone = set(items)
        buffered = gone.intersection(self.buffer)
        left: list[tuple[int, bool]] = []
        for item in items:
            if item in self._loading:
                self._withdrawn.add(item)
            else:
                left.append((item, self._loads and item in buffered and item not in self._bare))
        self._unloaded = deque(item for item in self._unloaded if item not in gone)
        self.buffer = deque(item for item in self.buffer if item not in gone)
        self._bare -= gone
        for item in items:
            del self.lease[item]
        return left

    def by_lease(self, items: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
        """Return items in groups of one lease each."""
        groups: dict[int, list[int]] = {}
        for item in items:
            groups.setdefault(self.lease[item], []).append(item)
        return [(lease, tuple(some)) for lease, some in groups.items()]

    def validate(self) -> None:
        """Check each place against the others; for tests."""
        held = self.in_order()
        assert len(held) == len(set(held)) == self.size, "an item is in two places"
        assert self._withdrawn <= set(self._loading)
        assert self._bare <= set(self.lease)
        assert len(self._loading) <= self._most or not self._loads
