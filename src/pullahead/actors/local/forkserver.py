"""The fork server: one small process that starts, watches, names and ends all others.

Rules
-----
1. It has one thread and imports nothing heavy, so that forking is safe and cheap.
2. It is the one authority on processes: it forks them, reaps them, says that they died, and holds names and
   devices. It never opens what users send.
3. When the driver is gone, everything goes: its children at once, then what they left behind.

How it works
------------
The driver starts it in a session of its own, so that the terminal's Ctrl-C does not reach it. It watches
the driver by pidfd and by the end of its channel. Its children ask the kernel to be killed when it dies;
that request is tied to the *thread* that forks, which is its only one. It is a child subreaper, so
processes that actors started and left end up as its children, and it can find them.

Refused
-------
multiprocessing's fork server: it needs a socket file, hands out no peers, and its children outlive a killed
driver until they next look at a pipe. End of file as the only sign that the driver died: a fork made by
user code keeps the pipe open.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import math
import os
import signal
import socket
import sys
import time
import types
from typing import Any, Never, final

from pullahead.actors.local import child, gpus, kinds, system
from pullahead.actors.local.descriptors import socket_pair
from pullahead.actors.local.io import Loop
from pullahead.actors.local.members import Member, Tables
from pullahead.actors.local.wire import Channel, Frame, Handler
from pullahead.actors.notes import Notepad

__all__ = ["main"]

# Seconds between two looks at timers, at most: the kernel's own end somewhere.
_LONGEST_WAIT = 24 * 3600.0
# What children would otherwise import, each for itself: to unpickle a class of `__main__`, and because most
# of them are workers and queues.
_PRELOADED = ("cloudpickle", "pullahead.farm.queue", "pullahead.farm.worker")


@final
class Hub:
    """The fork server's state and what each frame does to it."""

    def __init__(self, sock: socket.socket, driver_pid: int, driver: int) -> None:
        self.loop = Loop()
        self._tables = Tables()
        self._births = 0
        self._session = kinds.session_of(driver)
        self._devices = gpus.Pool(gpus.visible_devices())
        self._handlers: list[Handler] = [
            self._on_spawn, self._on_connect, self._on_kill, self._on_lookup, self._on_shutdown
        ]  # fmt: skip
        self._driver = self._join(Member(driver, 0, "the driver", driver_pid, self._channel(sock, driver)))
        self._watch_driver(driver_pid)
        self._watch_children()

    def _channel(self, sock: socket.socket, process: int) -> Channel:
        return Channel(sock, process, self.loop, self._handlers, self._on_end)

    def _join(self, member: Member) -> Member:
        """Let a process in, and hand over the channels that others opened before it was born."""
        for caller, fd in self._tables.add(member):
            member.channel.send(kinds.ACCEPT, caller.process, fds=(fd,))
        return member

    # watching

    def _watch_driver(self, pid: int) -> None:
        # macOS has no pidfd: there the end of the channel must do.
        with contextlib.suppress(AttributeError, ProcessLookupError):
            self._pidfd = os.pidfd_open(pid)
            self.loop.watch(self._pidfd, lambda _events: self._end())
        if os.getppid() != pid:  # it ended before we watched
            self._end()

    def _watch_children(self) -> None:
        self._signals, writer = socket_pair()
        writer.setblocking(False)
        self._signals.setblocking(False)
        self._signal_writer = writer
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGALRM):
            signal.signal(number, lambda _number, _frame: None)
        self.loop.watch(self._signals.fileno(), self._on_signals)

    def _on_signals(self, _events: int) -> None:
        try:
            while self._signals.recv(4096):
                pass
        except BlockingIOError:
            pass
        self._reap()
        self._look_at_timers()  # of those that live

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            member = self._tables.pids.get(pid)
            if member is not None:
                self._bury(member, os.waitstatus_to_exitcode(status))

    def _look_at_timers(self) -> None:
        """End who has been at something for longer than its limit, and come back when the next one may be.

        A timer that is off now, or moves on, cannot be overdue before a whole limit has passed: so one look
        per limit is exact.
        """
        now, next_look = time.monotonic(), math.inf
        for member in self._tables.members.values():
            limit = member.time_limit
            if limit is None or member.overdue is not None or member.notepad is None:
                continue
            for which, (since, number) in enumerate(member.notepad.timers()):
                due = (since or now) + limit
                if due <= now:
                    member.overdue = which, number
                    member.detail = f"by its time limit of {limit:g} s"
                    self._kill(member)
                    break
                next_look = min(next_look, due)
        wait = 0.0 if next_look == math.inf else min(_LONGEST_WAIT, max(1e-3, next_look - now))
        signal.setitimer(signal.ITIMER_REAL, wait)

    def _on_end(self, channel: Channel) -> None:
        member = self._tables.members.get(channel.peer)
        if member is self._driver:
            self._end()
        elif member is not None:
            self._kill(member)  # a process that cannot hear us is of no use

    # frames

    def _on_spawn(self, channel: Channel, frame: Frame) -> None:
        number, _, head, data, fds = frame
        process, label, name, get_if_exists, num_gpus, time_limit = head
        holder = self._tables.names.get(name) if name is not None else None
        if holder is not None:
            os.close(fds[0])
            answer = kinds.FOUND if get_if_exists else kinds.TAKEN
            channel.send(kinds.ANSWER, number, answer, payload=holder.handle)
            return
        try:
            member = self._fork(process, label, fds[0], channel.peer, num_gpus)
        except (OSError, gpus.NotEnoughDevices) as error:
            self._die(process, (label, None, None, f"it could not be started: {error}"))
        else:
            member.name, member.handle, member.time_limit = name, data, time_limit
            self._join(member)
            if time_limit is not None:
                self._look_at_timers()
        finally:
            os.close(fds[0])
        if name is not None:
            channel.send(kinds.ANSWER, number, kinds.STARTED)

    def _fork(self, process: int, label: str, fd: int, creator: int, num_gpus: float | None) -> Member:
        devices = None if num_gpus is None else self._devices.take(num_gpus)
        ours, theirs = socket_pair()
        self._births += 1
        notepad = Notepad()
        birth = child.Birth(process, self._births, creator, theirs.fileno(), fd, os.getpid(), notepad)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            notepad.close()
            if devices is not None:
                self._devices.give_back(devices)
            raise
        if pid == 0:
            self._become_child(birth, devices)
        theirs.close()
        channel = self._channel(ours, process)
        return Member(process, self._births, label, pid, channel, notepad, devices=devices)

    def _become_child(self, birth: child.Birth, devices: gpus.Grant | None) -> Never:
        try:
            signal.set_wakeup_fd(-1)
            self.loop.abandon()
            for member in self._tables.members.values():
                member.channel.abandon()
                if member.notepad is not None:
                    member.notepad.close()
            child.run(birth, {} if devices is None else devices.environment())
        finally:
            os._exit(1)

    def _on_connect(self, channel: Channel, frame: Frame) -> None:
        number, _, _, _, fds = frame
        tables = self._tables
        caller, target = tables.members[channel.peer], tables.members.get(number)
        if target is not None:
            target.channel.send(kinds.ACCEPT, caller.process, fds=fds)
        elif number in tables.dead:
            os.close(fds[0])
            channel.send(kinds.DIED, number, head=(*tables.dead[number], None))
        elif kinds.session_of(number) == self._session and kinds.creator_of(number) in tables.serials:
            # Its creator is alive and its birth is on the way, over another channel than this.
            tables.expected.setdefault(number, []).append((caller, fds[0]))
        else:
            os.close(fds[0])
            channel.send(kinds.DIED, number, head=(f"{number:x}", None, None, "it is not of this run", None))

    def _on_kill(self, _channel: Channel, frame: Frame) -> None:
        member = self._tables.members.get(frame[0])
        if member is None or member is self._driver:
            return
        member.detail = frame[2][0] if frame[2] else "by kill()"
        self._tables.release_name(member)  # at once: a new actor may take it
        self._kill(member)

    def _on_lookup(self, channel: Channel, frame: Frame) -> None:
        number, _, head, _, _ = frame
        holder = self._tables.names.get(head[0])
        if holder is None:
            channel.send(kinds.ANSWER, number, kinds.UNKNOWN)
        else:
            channel.send(kinds.ANSWER, number, kinds.FOUND, payload=holder.handle)

    def _on_shutdown(self, channel: Channel, _frame: Frame) -> None:
        if channel is self._driver.channel:
            self._end()

    # deaths

    def _bury(self, member: Member, exitcode: int) -> None:
        tables = self._tables
        del tables.pids[member.pid]  # first: its pid may be another's from now on
        member.channel.pump()  # what it asked for before it died
        tables.remove(member)
        if member.devices is not None:
            self._devices.give_back(member.devices)
        member.channel.close()
        note = None
        if member.notepad is not None:
            note = (*member.notepad.read(), member.overdue)
            member.notepad.close()
        self._die(member.process, (member.label, member.pid, exitcode, member.detail), note)
        for number in [n for n in tables.expected if kinds.creator_of(n) == member.serial_number]:
            self._die(number, ("an actor", None, None, "its creator died before it was started"))

    def _kill(self, member: Member) -> None:
        if self._tables.pids.get(member.pid) is member:
            system.kill(member.pid)

    def _die(self, process: int, notice: tuple[Any, ...], note: tuple[Any, ...] | None = None) -> None:
        """Tell everybody. What it left in its notepad is told once, to those who live now."""
        self._tables.dead[process] = notice
        for member in self._tables.members.values():
            member.channel.send(kinds.DIED, process, head=(*notice, note))
        for _, fd in self._tables.expected.pop(process, ()):
            os.close(fd)

    def _end(self) -> Never:
        for pid in list(self._tables.pids):
            if pid != self._driver.pid:
                system.kill(pid)
        system.kill_descendants(time.monotonic() + 3.0)
        os._exit(0)


def main(fd: int, driver_pid: int, driver: int, *more: str) -> None:
    """Be the fork server. Called by the code that `launch.py` gives to a new interpreter.

    Args:
        fd: the socket to the driver.
        driver_pid: its process.
        driver: its number.
        more: modules that children are likely to need as well.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to all at once, it is the driver's to answer
    system.become_subreaper()
    for name in (*_PRELOADED, *more):
        importlib.import_module(name)
    hub = Hub(socket.socket(fileno=fd), driver_pid, driver)
    sys.modules["__main__"] = types.ModuleType("__main__")  # an actor's `__main__` is empty
    gc.collect()
    gc.freeze()  # children share these pages as long as nobody writes to them
    hub.loop.serve()
