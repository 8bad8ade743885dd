"""What joins one queue to another under virtual time: calls go there, answers come back, both late."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from pullahead.core import messages as m
from pullahead.core.exchange import Caller
from pullahead.sim.wire import Wire

if TYPE_CHECKING:
    from pullahead.sim.queue import Queue
    from pullahead.sim.world import World


@final
class Link:
    """A queue's end, as the caller of the other one. Nothing is said before there is something to say.

    Args:
        world: where they stand.
        here: whose end it is.
        there: the other queue.
    """

    def __init__(self, world: World, here: Queue, there: Queue) -> None:
        self._clock = world.clock
        self._caller = Caller()
        self._outbox: list[m.Message] = []
        peer, number = m.as_peer(here.number), there.number
        self.up = Wire(world.clock, world.costs.wire, lambda messages: there.exchange(peer, messages))
        self.down = Wire(world.clock, world.costs.wire, lambda messages: here.answered(number, messages))

    def say(self, message: m.Message) -> None:
        """Tell the other queue, now or as soon as a call is free."""
        self._outbox.append(message)
        if self._caller.may_send:
            self._send()

    def answered(self) -> None:
        """A call was answered."""
        self._caller.answered()
        if self._outbox or self._caller.must_send:
            self._send()

    def _send(self) -> None:
        messages, self._outbox = self._outbox, []
        self._caller.called(self._clock.now)
        self.up.send(messages)
