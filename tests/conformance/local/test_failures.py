"""Exceptions on their way: with their own type, or as text, always with where they were raised."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from pullahead.actors.failures import dumps_error, loads_error
from pullahead.errors import RemoteError, RemoteTraceback


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_error_keeps_its_type_and_shows_where_it_was_raised() -> None:
    error = loads_error(dumps_error(raised(KeyError("k"))))
    assert type(error) is KeyError
    assert error.args == ("k",)
    assert isinstance(error.__cause__, RemoteTraceback)
    assert "in raised" in error.__cause__.text


def test_what_is_passed_on_shows_where_it_was_raised_first() -> None:
    once = loads_error(dumps_error(raised(KeyError("k"))))
    twice = loads_error(dumps_error(once))
    assert isinstance(twice.__cause__, RemoteTraceback)
    assert "in raised" in twice.__cause__.text


def test_an_error_with_a_large_array_keeps_its_type() -> None:
    error = loads_error(dumps_error(raised(ValueError(np.arange(100_000)))))
    assert type(error) is ValueError
    assert error.args[0].sum() == sum(range(100_000))


class Awkward(Exception):  # noqa: N818
    """Pickles, and does not unpickle by itself."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


class Locked(Exception):  # noqa: N818
    """Keeps what cannot travel."""

    def __init__(self, first: str) -> None:
        super().__init__(first)
        self.lock = threading.Lock()


class Unpicklable(Exception):  # noqa: N818
    def __reduce__(self) -> Any:
        raise TypeError("never")


class Changeling(Exception):  # noqa: N818
    """Comes back as something else."""

    def __reduce__(self) -> Any:
        return str, ("a",)


def test_an_error_is_rebuilt_without_its_constructor_if_need_be() -> None:
    original = Awkward("a", "b")
    error = loads_error(dumps_error(raised(original)))
    assert type(error) is Awkward
    assert (error.args, error.second) == (("a",), "b")


@pytest.mark.parametrize("error", [Locked("a"), Unpicklable("a"), Changeling("a")])
def test_an_error_that_does_not_survive_a_pickle_arrives_as_text(error: Exception) -> None:
    arrived = loads_error(dumps_error(raised(error)))
    assert type(arrived) is RemoteError
    assert str(arrived).endswith(f"{type(error).__qualname__}: a")
    assert isinstance(arrived.__cause__, RemoteTraceback)
    assert "in raised" in arrived.__cause__.text
