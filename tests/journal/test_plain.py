"""Which values are JSON: those that come back as what they were, and no others."""

from __future__ import annotations

import json
import math
import re
from collections import OrderedDict
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullahead.journal.plain import exact_json

characters = st.characters(exclude_categories=())  # lone surrogates are in there, too
texts = st.text(characters)
atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def is_same(one: Any, other: Any) -> bool:
    """Equal, of the same types throughout, in the same order, and with the same sign."""
    if type(one) is not type(other):
        return False
    if type(one) is list:
        return len(one) == len(other) and all(map(is_same, one, other))
    if type(one) is dict:
        return list(one) == list(other) and all(map(is_same, one.values(), other.values()))
    if type(one) is float:
        return bool(one == other and math.copysign(1.0, one) == math.copysign(1.0, other))
    return bool(one == other)


def has_a_pair(value: Any) -> bool:
    """Whether two lone surrogates in it, next to each other, would be one character in JSON."""
    if type(value) is str:
        return re.search("[\ud800-\udbff][\udc00-\udfff]", value) is not None
    if type(value) is list:
        return any(map(has_a_pair, value))
    if type(value) is dict:
        return any(map(has_a_pair, [*value, *value.values()]))
    return False


@settings(deadline=None, max_examples=400)
@given(values)
def test_what_is_json_comes_back_as_what_it_was(value: Any) -> None:
    text = exact_json(value)
    if has_a_pair(value):
        assert text is None
    else:
        assert text is not None
        assert is_same(json.loads(text), value)
        assert json.loads(text.encode()) == value, "it can be stored"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
        (2**64, "18446744073709551616"),
        ("", '""'),
        ("é", '"é"'),
        ("a\0b", r'"a\u0000b"'),
        ("\U0001f600", '"\U0001f600"'),
        ("caf\udce9", r'"caf\udce9"'),
        ("é\udce9", r'"\u00e9\udce9"'),
        ("\ude00\ud83d", r'"\ude00\ud83d"'),
        ([], "[]"),
        ({}, "{}"),
        ({"b": [1, {"a": None}], "a": 2}, '{"b":[1,{"a":null}],"a":2}'),
        ({"caf\udce9": 1}, r'{"caf\udce9":1}'),
    ],
)
def test_json_is_short_and_keeps_the_order(value: Any, text: str) -> None:
    assert exact_json(value) == text
    assert is_same(json.loads(text), value)


def test_the_greatest_number_that_python_reads_is_json_and_the_next_one_is_not() -> None:
    greatest = 10**4300 - 1
    text = exact_json(greatest)
    assert text is not None
    assert json.loads(text) == greatest
    assert exact_json(greatest + 1) is None
    assert exact_json(-greatest - 1) is None


def test_two_lone_surrogates_that_make_a_pair_would_come_back_as_one_character() -> None:
    assert json.loads(r'"\ud83d\ude00"') == "\U0001f600"
    assert exact_json("\ud83d\ude00") is None
    assert exact_json([{"\ud83d\ude00": 1}]) is None


def test_a_list_that_is_in_a_value_twice_is_json() -> None:
    part = [1]
    assert exact_json([part, part]) == "[[1],[1]]"


class Number(IntEnum):
    ONE = 1


class Name(StrEnum):
    ONE = "one"


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Row(list[int]):
    pass


LOOP: list[Any] = []
LOOP.append(LOOP)
RING: dict[str, Any] = {}
RING["self"] = [RING]
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]

STRANGE: dict[str, Any] = {
    "tuple": (1, 2),
    "no tuple": (),
    "named tuple": Point(1, 2),
    "integer key": {1: "one"},
    "boolean key": {True: "one"},
    "key of a subclass": {Text("one"): 1},
    "none as a key": {None: 1},
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "set": {1},
    "frozen set": frozenset("a"),
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "path": Path("a"),
    "integer enum": Number.ONE,
    "text enum": Name.ONE,
    "subclass of str": Text("a"),
    "subclass of int": Whole(1),
    "subclass of float": Real(1.0),
    "subclass of list": Row([1]),
    "subclass of dict": OrderedDict(a=1),
    "float of numpy": np.float64(1.0),
    "integer of numpy": np.int64(1),
    "boolean of numpy": np.True_,
    "text of numpy": np.str_("a"),
    "array": np.arange(3),
    "complex": 1j,
    "object": object(),
    "type": int,
    "list in itself": LOOP,
    "dict in itself": RING,
    "too deep": DEEP,
    "too many digits": 10**5000,
}


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
def test_what_json_would_change_or_cannot_hold_is_none(value: Any) -> None:
    assert exact_json(value) is None


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
def test_it_is_found_wherever_it_is(value: Any) -> None:
    assert exact_json([1, {"a": ["b", value]}]) is None
