"""What the decorator and `.options()` accept, and how they refuse the rest."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.cast import Counter
from tests.differences import Differences

from pullahead import actors


def test_a_function_is_pointed_to_map() -> None:
    def work(x: int) -> int:
        return x

    with pytest.raises(TypeError, match=r"work is a function: pullahead.map\(work, items\)"):
        actors.remote(work)  # type: ignore[call-overload]  # that is the mistake
    with pytest.raises(TypeError, match="remote is for classes, got 3"):
        actors.remote(3)  # type: ignore[call-overload]  # that is the mistake
    with pytest.raises(TypeError, match="is an actor class already"):
        actors.remote(Counter)  # type: ignore[call-overload]  # that is the mistake
    with pytest.raises(TypeError, match="keywords only"):
        actors.remote(int, int)  # type: ignore[call-overload]  # that is the mistake


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"max_concurency": 2},
            TypeError,
            "unknown option 'max_concurency'; did you mean 'max_concurrency'?",
        ),
        ({"cluster": {}}, TypeError, "known: accelerator_type, concurrency_groups, get_if_exists"),
        ({"env_vars": {}}, TypeError, "unknown option 'env_vars'"),
        ({"max_restarts": 1}, ValueError, "max_restarts must be 0"),
        ({"max_task_retries": -1}, ValueError, "max_task_retries must be 0"),
        ({"lifetime": "detached"}, ValueError, "lifetime must be None"),
        ({"max_concurrency": 0}, ValueError, "max_concurrency must be a whole number of at least 1, got 0"),
        ({"max_concurrency": True}, ValueError, "max_concurrency must be"),
        ({"parked": 0}, ValueError, "parked must be a whole number of at least 1, got 0"),
        ({"parked": 2, "max_concurrency": 2}, ValueError, "max_concurrency and groups do not go with it"),
        ({"parked": 2, "concurrency_groups": {"a": 1}}, ValueError, "max_concurrency and groups do not"),
        ({"concurrency_groups": {"a": 0}}, ValueError, r"concurrency_groups\['a'\] must be"),
        ({"num_cpus": -1}, ValueError, "num_cpus must be"),
        ({"num_gpus": 1.5}, ValueError, "num_gpus above 1 must be whole"),
        ({"name": ""}, ValueError, "name must be a non-empty string"),
        ({"get_if_exists": True}, ValueError, "get_if_exists=True needs a name"),
        ({"runtime_env": {"env_vars": {"A": 1}}}, TypeError, "env_vars must be strings"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Counter.options(**options)
    with pytest.raises(error, match=message):
        actors.remote(**options)


@pytest.mark.parametrize(
    "options", [{"scheduling_strategy": "SPREAD"}, {"resources": {}}, {"runtime_env": {"config": {}}}]
)
def test_what_only_a_cluster_can_honour(options: dict[str, Any], differs: Differences) -> None:
    configured = Counter.options(**options)
    if differs.has_cluster:
        assert actors.get(configured.remote().add.remote()) == 1
        return
    with pytest.raises(ValueError, match=rf"^{next(iter(options))}: one machine cannot honour this"):
        configured.remote()


def test_options_that_change_nothing_are_accepted() -> None:
    harmless = Counter.options(
        max_restarts=0, max_task_retries=0, lifetime=None, num_cpus=2, runtime_env=None, max_concurrency=1
    )
    assert actors.get(harmless.remote().add.remote()) == 1


def test_options_are_laid_over_those_of_the_decorator() -> None:
    class Plain:
        def ping(self) -> str:
            return "pong"

    named = actors.remote(name="decorated")(Plain)
    first = named.remote()
    assert actors.get_actor("decorated") == first
    second = named.options(name="chosen").remote()
    assert (actors.get_actor("chosen"), actors.get(second.ping.remote())) == (second, "pong")


def test_method_knows_its_options_only() -> None:
    with pytest.raises(TypeError):
        actors.method(num_returns=2)  # type: ignore[call-arg]  # that is the mistake


def test_init_knows_its_options_only() -> None:
    actors.shutdown()
    with pytest.raises(TypeError, match="unknown option of the local engine 'address'"):
        actors.init(address="auto")
    actors.init()
