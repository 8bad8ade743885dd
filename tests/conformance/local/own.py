"""What this process has open and mapped, once the garbage is collected."""

from __future__ import annotations

import gc
from pathlib import Path


def mappings() -> int:
    gc.collect()
    return sum("memfd:pullahead" in line for line in Path("/proc/self/maps").read_text().splitlines())


def descriptors() -> int:
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
