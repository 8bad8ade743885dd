"""Devices: counted by the fork server, shown to an actor by CUDA_VISIBLE_DEVICES, given back at its death."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conformance.cast import Surroundings

from pullahead import actors
from pullahead.actors.local.gpus import Grant, NotEnoughDevices, Pool, visible_devices
from pullahead.errors import ActorDiedError


def test_whole_devices() -> None:
    pool = Pool(["0", "1", "2"])
    first = pool.take(2)
    assert first.environment() == {"CUDA_VISIBLE_DEVICES": "0,1"}
    with pytest.raises(NotEnoughDevices, match="num_gpus=2, and 1 of 3 devices are free"):
        pool.take(2)
    pool.give_back(first)
    assert pool.take(3).devices == ("0", "1", "2")


def test_shares_gather_on_one_device() -> None:
    pool = Pool(["a", "b"])
    thirds = [pool.take(1 / 3) for _ in range(3)]
    assert [grant.devices for grant in thirds] == [("a",)] * 3
    assert pool.take(1).devices == ("b",)
    with pytest.raises(NotEnoughDevices):
        pool.take(0.1)
    pool.give_back(thirds[0])
    assert pool.take(0.25).devices == ("a",)
    with pytest.raises(NotEnoughDevices):
        pool.take(0.25)


def test_none_hides_all_of_them() -> None:
    assert Pool(["0"]).take(0) == Grant((), 0)
    assert Pool(["0"]).take(0).environment() == {"CUDA_VISIBLE_DEVICES": ""}


def test_the_environment_says_which_devices_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, devices in [("0,2", ["0", "2"]), ("", []), ("-1", []), ("GPU-1f, 3", ["GPU-1f", "3"])]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
        assert visible_devices() == devices


@pytest.fixture
def _two_devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    actors.shutdown()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    actors.init()
    yield
    actors.shutdown()
    actors.init()


@pytest.mark.usefixtures("_two_devices")
def test_actors_see_their_devices_and_no_others() -> None:
    def seen(num_gpus: float | None) -> object:
        actor = Surroundings.options(num_gpus=num_gpus).remote()
        held.append(actor)
        return actors.get(actor.environ.remote("CUDA_VISIBLE_DEVICES"))

    held: list[actors.ActorHandle] = []
    assert [seen(1), seen(0.5), seen(0.5), seen(0), seen(None)] == ["4", "7", "7", "", "4,7"]
    with pytest.raises(ActorDiedError, match="could not be started: num_gpus=1, and 0 of 2 devices are free"):
        seen(1)
    actors.kill(held[0])
    with pytest.raises(ActorDiedError):
        actors.get(held[0].cwd.remote())
    assert seen(1) == "4"
    chosen = Surroundings.options(
        num_gpus=0, runtime_env={"env_vars": {"CUDA_VISIBLE_DEVICES": "9"}}
    ).remote()
    assert actors.get(chosen.environ.remote("CUDA_VISIBLE_DEVICES")) == ""
