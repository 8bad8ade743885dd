"""What this process has open and mapped, once the garbage is collected; and a way for large buffers in it."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pullahead.actors.local import kinds, slabs
from pullahead.actors.local.payload import Payload, dumps, loads
from pullahead.actors.local.stage import LEAST, Stage

SIZE = LEAST + 4096  # of what is staged


def mappings() -> int:
    gc.collect()
    return sum("memfd:pullahead" in line for line in Path("/proc/self/maps").read_text().splitlines())


def descriptors() -> int:
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def staged(place: Stage, byte: bytes, size: int = SIZE) -> memoryview:
    made = place.copy(byte * size)
    assert made is not None
    return made


class Way:
    """A channel from one process to another without a channel: what one end says the other hears at once."""

    def __init__(self, budget: slabs.Budget | None = None) -> None:
        self.said: list[tuple[str, int]] = []
        loop = SimpleNamespace(call=lambda job: job())
        self.start = slabs.Slabs(self._end(self._to_finish, loop), slabs.Budget())
        self.budget = budget or slabs.Budget()
        self.finish = slabs.Slabs(self._end(self._to_start, loop), self.budget)

    @staticmethod
    def _end(send: Any, loop: Any) -> Any:
        return SimpleNamespace(send=send, loop=loop)

    def _to_finish(self, kind: int, number: int, _: int = 0) -> None:
        assert kind == kinds.SLAB_DROP
        self.said.append(("drop", number))
        self.finish.on_drop(number)

    def _to_start(self, kind: int, number: int, is_over: int = 0) -> None:
        assert kind == kinds.SLAB_FREE
        self.said.append(("over" if is_over else "free", number))
        self.start.on_free(number, bool(is_over))

    def carry(self, *buffers: Any) -> list[memoryview]:
        """Send buffers across. Returns what arrives."""
        return self.deliver(self.pack(*buffers))

    def pack(self, *buffers: Any) -> tuple[slabs.Head, bytes, tuple[int, ...]]:
        head, rest, fds = self.start.pack(dumps(list(buffers)))
        return head, bytes(rest), fds

    def deliver(self, packed: tuple[slabs.Head, bytes, tuple[int, ...]]) -> list[memoryview]:
        head, rest, fds = packed
        payload: Payload = self.finish.unpack(head, rest, list(fds))
        return [memoryview(one) for one in loads(payload)]
