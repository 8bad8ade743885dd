"""Cores are counted as this process may use them, and shared out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pullahead.farm import machine


@pytest.mark.parametrize(
    ("content", "cores"),
    [("150000 100000\n", 2), ("100000 100000\n", 1), ("max 100000\n", 1 << 20), ("", 1 << 20)],
)
def test_the_quota_of_a_control_group(tmp_path: Path, content: str, cores: int) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(content)
    assert machine._quota(path) == cores


def test_no_control_group_is_no_quota(tmp_path: Path) -> None:
    assert machine._quota(tmp_path / "nothing") == 1 << 20


def test_usable_cores_follow_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_quota", lambda: 1 << 20)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
    assert machine.usable_cores() == 3
    monkeypatch.setattr(machine, "_quota", lambda: 2)
    assert machine.usable_cores() == 2


def test_threads_are_shared_out_but_for_what_the_user_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "12")
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    share = machine.thread_share(3)
    assert share == {name: "2" for name in machine.THREAD_VARIABLES if name != "OMP_NUM_THREADS"}
    assert set(machine.thread_share(64).values()) == {"1"}
