"""What this machine or this cluster grants us: cores, and a fair share of them for each worker."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path
from typing import Final

from pullahead import actors

#: What BLAS and OpenMP libraries read when they are imported. Each would start a thread per core in each
#: worker, and cores × workers threads get in each other's way.
THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def usable_cores() -> int:
    """Return how many cores workers may use: the cluster's, or this process's by its affinity and quota."""
    known = actors.cores()
    if known is not None:
        return known
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the CPU quota of a version 2 control group in cores, rounded up; huge when there is none."""
    try:
        quota, period = path.read_text().split()
        return ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 20


def thread_share(workers: int) -> dict[str, str]:
    """Return the environment that shares the cores out among workers, less what the user has set.

    On a cluster the engine does that, by `num_cpus`. What the user has set is said there: nobody inherits it.
    """
    if actors.cores() is not None:
        return {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    share = str(max(1, usable_cores() // workers))
    return {name: share for name in THREAD_VARIABLES if name not in os.environ}
