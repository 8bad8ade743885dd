"""Frames over a socket pair: in pieces, in heaps, with descriptors, under pressure."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pullahead.actors.local.descriptors import socket_pair
from pullahead.actors.local.io import Loop
from pullahead.actors.local.wire import FIXED, HIGH, WHOLE, Channel, Frame


class End:
    """One end: a loop with its thread, a channel, and what arrived."""

    def __init__(self, sock: socket.socket) -> None:
        self.loop = Loop()
        self.frames: list[Frame] = []
        self.ended = threading.Event()
        self.arrived = threading.Condition()
        handlers = [self._on_frame] * 3
        self.channel = Channel(sock, 1, self.loop, handlers, lambda channel: self.ended.set())
        self.loop.start()

    def _on_frame(self, channel: Channel, frame: Frame) -> None:
        with self.arrived:
            self.frames.append(frame)
            self.arrived.notify_all()

    def wait(self, count: int) -> list[Frame]:
        """Wait until so many frames have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.frames) >= count, timeout=10)
            return self.frames

    def close(self) -> None:
        """Close the channel and the loop."""
        with self.loop.lock:
            self.channel.close()
        self.loop.close()


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    left, right = socket_pair()
    pair = End(left), End(right)
    yield pair
    for end in pair:
        end.close()


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, End]]:
    left, right = socket_pair()
    end = End(right)
    yield left, end
    end.close()
    left.close()


def test_a_frame_arrives_as_it_was_sent(ends: tuple[End, End]) -> None:
    left, right = ends
    left.channel.send(1, 7, 3, ("head", None, (1, 2)), b"payload")
    left.channel.send(2, 1 << 63)
    assert right.wait(2) == [(7, 3, ("head", None, (1, 2)), b"payload", []), (1 << 63, 0, (), b"", [])]


@pytest.mark.parametrize("size", [0, 1, WHOLE - 100, WHOLE, WHOLE + 1, 70_000, 1 << 20, 5_000_000])
def test_payloads_of_every_size_arrive_in_order(ends: tuple[End, End], size: int) -> None:
    left, right = ends
    for number in range(5):
        left.channel.send(0, number, payload=bytes([number]) * size)
    assert right.wait(5) == [(n, 0, (), bytes([n]) * size, []) for n in range(5)]


@pytest.mark.parametrize("step", [1, 7, FIXED.size, 1000])
def test_frames_in_pieces(raw: tuple[socket.socket, End], step: int) -> None:
    sock, end = raw
    stream = b"".join(FIXED.pack(n * 10, n, 0, 0, 0, 0) + bytes([n]) * n * 10 for n in range(30))
    for start in range(0, len(stream), step):
        sock.sendall(stream[start : start + step])
    assert end.wait(30) == [(n, 0, (), bytes([n]) * n * 10, []) for n in range(30)]


def test_many_frames_in_one_read(raw: tuple[socket.socket, End]) -> None:
    sock, end = raw
    sock.sendall(b"".join(FIXED.pack(1, n, 0, 0, 0, 0) + b"x" for n in range(5000)))
    assert [frame[0] for frame in end.wait(5000)] == list(range(5000))


def test_descriptors_arrive_with_their_frame(ends: tuple[End, End]) -> None:
    left, right = ends
    for number in range(100):
        read, write = os.pipe()
        os.write(write, str(number).encode())
        os.close(write)
        left.channel.send(0, number, fds=(read,))
        left.channel.send(1, number)
        left.channel.send(0, number, payload=b"x" * 50_000, fds=(os.dup(0), os.dup(0)))
    frames = right.wait(300)
    for number, (single, none, double) in enumerate(zip(*[iter(frames)] * 3, strict=True)):
        assert (len(single[4]), none[4], len(double[4])) == (1, [], 2)
        assert os.read(single[4][0], 10) == str(number).encode()
        assert not os.get_inheritable(single[4][0])
        for fd in single[4] + double[4]:
            os.close(fd)


def test_sent_descriptors_are_closed_here(ends: tuple[End, End]) -> None:
    left, right = ends
    read, write = os.pipe()
    before = len(list(Path("/proc/self/fd").iterdir()))
    left.channel.send(0, fds=(read,))
    (received,) = right.wait(1)[0][4]
    assert len(list(Path("/proc/self/fd").iterdir())) == before  # one closed, one received
    os.close(received)
    os.close(write)


def test_a_sender_waits_above_the_mark_and_goes_on_below(raw: tuple[socket.socket, End]) -> None:
    sock, end = raw
    sent: list[int] = []

    def send() -> None:
        for number in range(3 * HIGH // 100_000):
            end.channel.send(0, number, payload=b"x" * 100_000)
            sent.append(number)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    assert HIGH - 300_000 < end.channel.unsent_bytes < HIGH + 200_000  # the kernel holds some of it
    total = 0
    sock.settimeout(10)
    while total < (3 * HIGH // 100_000) * (100_000 + FIXED.size):
        total += len(sock.recv(1 << 20))
    thread.join(10)
    assert not thread.is_alive()
    assert len(sent) == 3 * HIGH // 100_000


def test_a_waiting_sender_is_let_go_when_the_peer_is_gone(raw: tuple[socket.socket, End]) -> None:
    sock, end = raw

    def send() -> None:
        for _ in range(200):
            end.channel.send(0, payload=b"x" * 100_000)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    sock.close()
    thread.join(10)
    assert not thread.is_alive()
    assert end.ended.wait(10)


def test_what_was_sent_before_the_end_arrives(raw: tuple[socket.socket, End]) -> None:
    sock, end = raw
    sock.sendall(FIXED.pack(1, 9, 0, 0, 0, 0) + b"x")
    sock.close()
    assert end.ended.wait(10)
    assert end.frames == [(9, 0, (), b"x", [])]


def test_sending_to_a_closed_peer_is_quiet_and_closes_descriptors(raw: tuple[socket.socket, End]) -> None:
    sock, end = raw
    sock.close()
    assert end.ended.wait(10)
    read, write = os.pipe()
    for _ in range(3):
        end.channel.send(0, payload=b"x")
    end.channel.send(0, fds=(read, write))
    for fd in (read, write):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_many_threads_send_whole_frames(ends: tuple[End, End]) -> None:
    left, right = ends

    def send(thread: int) -> None:
        for number in range(200):
            left.channel.send(0, number, thread, payload=bytes([thread]) * (37 * number % 40_000))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    frames = right.wait(1200)
    for thread in threads:
        thread.join()
    for n in range(6):
        mine = [frame for frame in frames if frame[1] == n]
        assert [frame[0] for frame in mine] == list(range(200))
        assert all(frame[3] == bytes([n]) * (37 * frame[0] % 40_000) for frame in mine)


def test_jobs_and_callbacks_run_on_the_loop(
    ends: tuple[End, End], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("a callback that fails")

    loop = ends[0].loop
    found: list[Any] = []
    done = threading.Event()
    loop.call(lambda: found.append(threading.get_ident() == loop.ident))
    loop.after(fail)
    loop.after(lambda: found.append(loop.must_not_block()))
    loop.after(done.set)
    assert done.wait(10)
    assert found == [True, True]
    assert "RuntimeError: a callback that fails" in capsys.readouterr().err
