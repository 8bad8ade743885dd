"""Who is in a run: the tables of the fork server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

from pullahead.actors.local.gpus import Grant
from pullahead.actors.local.wire import Channel
from pullahead.actors.notes import Notepad

__all__ = ["Member", "Tables"]


@final
@dataclass(slots=True, eq=False)
class Member:
    """A living process of this run."""

    process: int
    serial_number: int
    label: str
    pid: int
    channel: Channel
    notepad: Notepad | None = None
    name: str | None = None
    handle: bytes = b""
    devices: Grant | None = None
    detail: str = ""
    time_limit: float | None = None  # seconds that its timers may run
    overdue: tuple[int, int] | None = None  # which timer ran for longer, and what it stood for


@final
@dataclass(slots=True)
class Tables:
    """What the fork server knows."""

    members: dict[int, Member] = field(default_factory=dict)  # by process number
    pids: dict[int, Member] = field(default_factory=dict)
    names: dict[str, Member] = field(default_factory=dict)
    dead: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    expected: dict[int, list[tuple[Member, int]]] = field(default_factory=dict)  # callers of the unborn
    serials: set[int] = field(default_factory=set)  # serial numbers of the living

    def add(self, member: Member) -> list[tuple[Member, int]]:
        """Enter a living process; return those who called it before it was born, with their descriptors."""
        self.members[member.process] = self.pids[member.pid] = member
        self.serials.add(member.serial_number)
        if member.name is not None:
            self.names[member.name] = member
        return self.expected.pop(member.process, [])

    def remove(self, member: Member) -> None:
        """Strike out a process that died."""
        del self.members[member.process]
        self.serials.discard(member.serial_number)
        self.release_name(member)

    def release_name(self, member: Member) -> None:
        """Free a process's name, if it still has it."""
        if member.name is not None and self.names.get(member.name) is member:
            del self.names[member.name]
