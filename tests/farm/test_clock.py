"""Which clock a process has."""

from __future__ import annotations

import pickle
import socket
import time
from pathlib import Path

import pytest

from pullahead.farm import clock
from pullahead.farm.options import Options
from pullahead.testing import skewed_clocks


def boot(folder: Path, number: str = "1234-5678\n", namespace: str | None = "time:[4026531834]") -> str:
    """Return the name of a clock on a machine whose /proc says this."""
    file, link = folder / "boot_id", folder / "time"
    file.write_text(number)
    link.unlink(missing_ok=True)
    if namespace is not None:
        link.symlink_to(namespace)
    return clock._name(file, link)


def test_it_is_that_of_a_boot_and_a_time_namespace(tmp_path: Path) -> None:
    assert boot(tmp_path) == boot(tmp_path) == "1234-5678 time:[4026531834]"
    assert boot(tmp_path, number="9\n") == "9 time:[4026531834]"
    assert boot(tmp_path, namespace="time:[7]") == "1234-5678 time:[7]"
    assert boot(tmp_path, namespace=None) == "1234-5678", "there was one time for all"


def test_one_that_cannot_be_found_out_is_like_no_other(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert clock._name(missing, missing) != clock._name(missing, missing)


def test_the_own_one_is_the_monotonic_one_of_this_host() -> None:
    own = clock.own_clock()
    assert own == clock.of_worker(3)
    assert (own.now, own.host) == (time.monotonic, socket.gethostname())
    assert own.name == clock.own_clock().name != ""


def test_workers_are_told_which_clock_their_caller_has() -> None:
    options = Options().worker()
    assert options.reference == clock.own_clock().name
    assert options.clock(0) == clock.own_clock()


def test_skewed_ones_travel_in_options_and_are_ahead_in_turn() -> None:
    with skewed_clocks(100.0, 5000.0):
        travelled = pickle.loads(pickle.dumps(Options().worker()))
    assert Options().worker().clock is clock.of_worker
    made = [travelled.clock(number) for number in range(4)]
    assert [one.host for one in made] == ["machine-0", "machine-1", "machine-0", "machine-1"]
    assert made[0].name == made[2].name
    assert len({travelled.reference, made[0].name, made[1].name}) == 3
    for one, ahead in zip(made, (100.0, 5000.0, 100.0, 5000.0), strict=True):
        assert one.now() - time.monotonic() == pytest.approx(ahead, abs=0.5)
