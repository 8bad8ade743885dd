"""Shared memory without a name, and mappings of it that hold no descriptor, unless they are to be passed on.

A mapping may be private: it shows what is in the memory, and what is written to it nobody else sees. The
system copies a page when it is first written to. To show what is new, such a page is copied again; or, where
there are many of them, given back.

Not `mmap.mmap`: it keeps a copy of the descriptor for as long as the mapping lives (until Python 3.13), and a
thousand arrays in flight would use up what a process may open.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import pickle
import secrets
import sys
from typing import Any, Final, final

from pullahead.actors.local.pages import own_pages

__all__ = ["CAN_LEND", "Memory", "create", "create_unlinked", "make", "seal"]

_NAME: Final = "pullahead"
_FAILED: Final = ctypes.c_void_p(-1).value
_MUCH: Final = 8  # of what is shown, this part

_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _munmap, _madvise = _libc.mmap, _libc.munmap, _libc.madvise
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class _Buffer(ctypes.Structure):
    """What C calls Py_buffer."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("of", ctypes.c_void_p),
        ("length", ctypes.c_ssize_t),
        ("item_size", ctypes.c_ssize_t),
        ("is_readonly", ctypes.c_int),
        ("dimensions", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


# `memmove` is called without the interpreter's lock, and an assignment to a slice with it: whoever waits for
# it in the caller's process would wait for the next switch, which comes after five milliseconds.
_SIMPLE: Final = 0
_get_buffer, _release_buffer = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
_get_buffer.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
_release_buffer.argtypes = [ctypes.c_void_p]
_release_buffer.restype = None

# Where private mappings show what becomes of the memory: POSIX leaves that open.
CAN_LEND: Final = sys.platform == "linux"


def create(size: int) -> int:
    """Return a descriptor of new shared memory."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        fd = create_unlinked()
    try:
        os.ftruncate(fd, size)
    except OSError:
        os.close(fd)
        raise
    return fd


def create_unlinked() -> int:
    """Do it where there is no memfd (macOS): the memory has a name for a moment."""
    import _posixshmem  # type: ignore[import-not-found]  # multiprocessing.shared_memory's own, without stubs

    name = f"/{_NAME}-{secrets.token_hex(6)}"
    fd: int = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    _posixshmem.shm_unlink(name)
    return fd


def seal(fd: int) -> None:
    """Forbid every further change, where the system can."""
    if hasattr(fcntl, "F_ADD_SEALS"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)


@final
class Memory:
    """A mapping of shared memory; unmapped when neither it nor a view of it is left.

    Attributes:
        size: bytes.
        fd: a descriptor of it, closed with it; -1: there is none.
        used: bytes that were ever put in by who has made it, to be passed on: what it costs.
        is_staged: whether this process has made it, to be passed on.
        is_over: whether it must not be used again, because somebody unknown may look at it.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_array",
        "_most",
        "_origin",
        "_own",
        "_writable",
        "fd",
        "is_over",
        "is_staged",
        "size",
        "used",
    )

    def __init__(
        self, fd: int, size: int, writable: bool = True, *, keep: bool = False, private: bool = False
    ) -> None:
        """Map it. `keep`: the descriptor, which is this mapping's from then on. `private`: see the module."""
        self.fd, self.used, self.is_staged, self.is_over = -1, 0, False, False
        self._origin = Memory(fd, size, writable=False) if private else None
        self._most = 0  # bytes that a private mapping has shown
        self._own: list[tuple[int, int]] = []  # which of them were written to, ever
        protection = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
        flags = mmap.MAP_PRIVATE if private else mmap.MAP_SHARED
        address = _mmap(None, size, protection, flags, fd, 0)
        if address == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot map {size} bytes of shared memory: {os.strerror(number)}")
        self._address, self.size, self._writable = address, size, writable
        self._array = ctypes.c_char * size
        self.fd = fd if keep else -1

    @property
    def is_private(self) -> bool:
        """Whether what is written to it stays here."""
        return self._origin is not None

    def was_written_to(self) -> bool:
        """Whether a private mapping shows anything but what is in the memory; also if nobody knows."""
        return self.is_private and own_pages(self._address, self._most) != []

    def show(self, length: int) -> None:
        """So many bytes of a private mapping are looked at from now on: have them show what is there."""
        self._most = max(self._most, length)
        self._copy(self._own)  # and each time again, as long as nobody has looked which they are now

    def restore(self) -> None:
        """Undo what was written to a private mapping, under the eyes of whoever looks at it."""
        found = own_pages(self._address, self._most)
        self._copy([(0, self.size)] if found is None else found)

    def hide(self) -> bool:
        """Nobody looks at a private mapping any more. Return whether much was written to it."""
        found = own_pages(self._address, self._most)
        is_much = found is not None and sum(stop - start for start, stop in found) > self._most // _MUCH
        self._own = [(0, self.size)] if found is None else found
        if (is_much or found is None) and _madvise(self._address, self.size, mmap.MADV_DONTNEED) == 0:
            self._own = []
        return is_much

    def _copy(self, runs: list[tuple[int, int]]) -> None:
        assert self._origin is not None
        for start, stop in runs:
            ctypes.memmove(self._address + start, self._origin._address + start, stop - start)

    def view(self) -> tuple[Any, memoryview]:
        """Return an anchor and a view of everything; the anchor dies with the last view of this view.

        The anchor has the mapping as its attribute `memory`, and is the object of all these views.
        """
        anchor: Any = self._array.from_address(self._address)
        anchor.memory = self
        view = pickle.PickleBuffer(anchor).raw()
        return anchor, view if self._writable else view.toreadonly()

    def begins(self, part: memoryview) -> bool:
        """Whether a writable view begins where this does."""
        return bool(ctypes.addressof(ctypes.c_char.from_buffer(part)) == self._address)

    def copy_in(self, part: memoryview, offset: int) -> None:
        """Copy bytes in. Other threads may run meanwhile."""
        if offset + len(part) > self.size:
            raise ValueError(f"{len(part)} bytes from {offset} on do not fit into {self.size}")
        found = _Buffer()
        _get_buffer(part, ctypes.byref(found), _SIMPLE)
        try:
            ctypes.memmove(self._address + offset, found.address, len(part))
        finally:
            _release_buffer(ctypes.byref(found))

    def __del__(self) -> None:
        if hasattr(self, "_address"):
            _munmap(self._address, self.size)
        if self.fd >= 0:
            os.close(self.fd)


def make(size: int, *, keep: bool = False) -> tuple[int, Memory]:
    """Return a descriptor of new shared memory and a mapping of it. `keep`: as `Memory` has it.

    Raises OSError: it cannot be had, and then nothing of it is left.
    """
    fd = create(size)
    try:
        return fd, Memory(fd, size, keep=keep)
    except OSError:
        os.close(fd)
        raise


def write(fd: int, part: memoryview, offset: int) -> None:
    """Fill fresh memory. The kernel takes the page faults, twice as fast as through a mapping."""
    done = 0
    while done < len(part):
        try:
            done += os.pwrite(fd, part[done:], offset + done)
        except OSError:
            if done:
                raise
            Memory(fd, offset + len(part)).copy_in(part, offset)  # macOS cannot write to shared memory
            return
