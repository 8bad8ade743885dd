"""The engines that tests run on: one Ray for all of them, and the tests that use it come last."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pullahead import actors

#: For `params` of a fixture.
ENGINES = ("local", pytest.param("ray", marks=pytest.mark.ray))


def ray_runs() -> bool:
    """Whether there is a Ray in this process, whose descriptors come and go as it likes."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def start_ray() -> None:
    """Start the Ray of this session, if it does not run yet. It ends with the process."""
    if ray_runs():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported
    import ray

    ray.init(
        address="local",
        num_cpus=64,  # each actor takes one: they are many, and most of them wait
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


@contextmanager
def running(name: str) -> Iterator[str]:
    """Run an engine. Of Ray only what was started inside ends."""
    if name == "ray":
        start_ray()
    actors.init(name)
    yield name
    actors.shutdown()
