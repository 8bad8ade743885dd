"""The engines that tests run on: one Ray for all of a process, and the tests that use it come last."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.differences import DIFFERENCES, Differences
from tests.nursery import workers_are_forked

from pullahead import actors
from pullahead.errors import ActorDiedError

# Read when a Ray starts, also by what the tests start. By itself Ray lets its workers give way to whatever
# else wants a core: where something does, tests would wait for them.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")

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
    import ray

    with workers_are_forked():
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


@pytest.fixture(scope="module", params=ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests on each engine."""
    with running(request.param) as name:
        yield name


@pytest.fixture(scope="module", autouse=True)
def local_engine() -> Iterator[str]:
    """Run a module's tests on the local engine alone."""
    with running("local") as name:
        yield name


@pytest.fixture
def differs(engine: str) -> Differences:
    """What is particular about this engine."""
    return DIFFERENCES[engine]


def said_after_kill(method: Any, differs: Differences) -> ActorDiedError:
    """Return what a call of a method says whose actor was killed."""
    while not differs.kills_at_once:
        try:
            actors.get(method.remote())
        except ActorDiedError as error:
            return error
    with pytest.raises(ActorDiedError) as caught:
        actors.get(method.remote())
    return caught.value
