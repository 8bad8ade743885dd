"""Shared memory without a name, and mappings of it that hold no descriptor, unless they are to be passed on.

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
from typing import Any, Final, final

__all__ = ["Memory", "create", "create_unlinked", "make", "seal"]

_NAME: Final = "pullahead"
_STEP: Final = 1 << 20  # bytes copied between two chances for other threads: 0.15 ms
_FAILED: Final = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _munmap = _libc.mmap, _libc.munmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


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
        is_staged: whether this process has made it, to be passed on.
        is_over: whether it must not be used again, because somebody unknown may look at it.
    """

    __slots__ = ("__weakref__", "_address", "_array", "_writable", "fd", "is_over", "is_staged", "size")

    def __init__(self, fd: int, size: int, writable: bool = True, *, keep: bool = False) -> None:
        """Map it. `keep`: the descriptor, which is this mapping's from then on."""
        self.fd, self.is_staged, self.is_over = -1, False, False
        protection = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
        address = _mmap(None, size, protection, mmap.MAP_SHARED, fd, 0)
        if address == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot map {size} bytes of shared memory: {os.strerror(number)}")
        self._address, self.size, self._writable = address, size, writable
        self._array = ctypes.c_char * size
        self.fd = fd if keep else -1

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
        """Copy bytes in, in steps between which other threads may run."""
        view = self.view()[1]
        for start in range(0, len(part), _STEP):
            piece = part[start : start + _STEP]
            view[offset + start : offset + start + len(piece)] = piece

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
