"""Which item is which: digests that say the same in every process, and keys as text."""

from __future__ import annotations

import os
import pickle
import random
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.journal.things import ITEMS, Scan, python

from pullahead.errors import SourceError
from pullahead.journal.identity import digest, key_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


def fresh(text: str) -> str:
    """Return the same text as another object."""
    made = "".join(list(text))
    assert made is not text
    return made


def turned(value: Any) -> Any:
    """Return a value with the keys of all its dicts in another order."""
    if isinstance(value, list):
        return [turned(part) for part in value]
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return value


# The same


def test_a_digest_has_16_bytes() -> None:
    assert [len(digest(item)) for item in ITEMS] == [16] * len(ITEMS)


@settings(deadline=None)
@given(plain)
def test_the_order_of_keys_does_not_count_in_json(item: Any) -> None:
    assert digest(turned(item)) == digest(item)


@settings(deadline=None)
@given(values)
def test_an_item_that_was_pickled_and_read_again_is_the_same(item: Any) -> None:
    assert digest(pickle.loads(pickle.dumps(item))) == digest(item)
    scan = Scan(item, [item])
    assert digest(pickle.loads(pickle.dumps(scan))) == digest(scan)


@pytest.mark.parametrize(
    ("item", "other"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}),
        (Path("a/b"), "a/b"),
        (PurePath("a/b"), Path("a/b")),
        ([{"file": Path("a")}], [{"file": "a"}]),
        ((1, (2, 3)), [1, [2, 3]]),
        (Point(1, 2), [1, 2]),
        (Text("a"), "a"),
        (Path(os.fsdecode(b"caf\xe9")), os.fsdecode(b"caf\xe9")),
        ({"a", "b"}, frozenset({"b", "a"})),
    ],
)
def test_what_says_the_same_is_the_same(item: Any, other: Any) -> None:
    assert digest(item) == digest(other)


def test_parts_that_are_one_object_or_equal_ones_say_the_same() -> None:
    text = fresh("a longer text")
    data = bytes(range(100))
    for shared, apart in [
        (Scan(text, text), Scan(text, fresh(text))),
        ((text, text, b""), (text, fresh(text), b"")),
        ([data, data], [data, bytes(bytearray(data))]),
        (Scan([text], [text]), Scan([fresh(text)], [fresh(text)])),
        ({"a": (part := Scan(text)), "b": part}, {"a": Scan(text), "b": Scan(fresh(text))}),
        ({frozenset([text]), text}, {frozenset([fresh(text)]), fresh(text)}),
    ]:
        assert pickle.dumps(shared) != pickle.dumps(apart), "the plain pickler tells them apart"
        assert digest(shared) == digest(apart)


def test_the_order_in_which_a_set_was_filled_does_not_count() -> None:
    names = [f"name {number}" for number in range(200)]
    others = random.Random(1).sample(names, len(names))
    assert digest(set(names)) == digest(set(others))
    assert digest(Scan({8, 0})) == digest(Scan({0, 8})), "these two collide"


@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_arrays_that_are_equal_are_the_same(size: int) -> None:
    array = np.arange(size)
    assert digest(array) == digest(array.copy())
    assert digest({"a": array, "b": array}) == digest({"a": array.copy(), "b": array.copy()})


_PRINT = """
from pullahead.journal.identity import digest
from tests.journal.things import ITEMS
print(list(ITEMS[0]))
for item in ITEMS:
    print(digest(item).hex())
"""


def test_another_process_makes_the_same_digests() -> None:
    (order, *one), (other_order, *other) = (python(_PRINT, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert order != other_order, "sets have another order there"
    assert one == other == [digest(item).hex() for item in ITEMS]


# Not the same

_ARRAY = np.arange(6)
DIFFERENT: list[Any] = [
    *ITEMS,
    None,
    True,
    False,
    0,
    1,
    1.0,
    "",
    "1",
    "true",
    "null",
    b"",
    b"1",
    bytearray(b"1"),
    [],
    {},
    [[]],
    ["1"],
    [1, 2],
    [2, 1],
    ["ab", "c"],
    ["a", "bc"],
    {"a": 1},
    {"a": 2},
    {"b": 1},
    {"a": "b", "c": "d"},
    {"a": "d", "c": "b"},
    set(),
    {"a"},
    {"b"},
    {"a", "b"},
    {1},
    {frozenset({"a"}), "b"},
    Scan("a"),
    Scan("b"),
    Scan("a", data=b"other"),
    Scan({"a", "b"}),
    Scan(["a", "b"]),
    Fraction(1, 2),
    Fraction(1, 3),
    2 + 0j,
    Scan,
    Point,
    float("nan"),
    float("inf"),
    float("-inf"),
    "caf\udce9",
    r"caf\udce9",
    10**5000,
    10**5000 + 1,
    _ARRAY,
    _ARRAY + 1,
    _ARRAY.astype(float),
    _ARRAY.reshape(2, 3),
    _ARRAY.reshape(3, 2),
    [_ARRAY],
]


def test_items_that_differ_have_digests_that_differ() -> None:
    by_digest: dict[bytes, list[Any]] = {}
    for item in DIFFERENT:
        by_digest.setdefault(digest(item), []).append(item)
    assert [items for items in by_digest.values() if len(items) > 1] == []


# Items that are hard to hold


class Node:
    def __init__(self) -> None:
        self.me = self


def _in_itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    ring: dict[str, Any] = {"data": b"x"}
    ring["ring"] = ring
    inside: tuple[list[Any]] = ([],)
    inside[0].append(inside)
    node = Node()
    in_a_set = Node()
    in_a_set.me = {in_a_set}  # type: ignore[assignment]
    return [loop, ring, inside, node, in_a_set, Scan(loop)]


def test_an_item_may_contain_itself() -> None:
    assert len({digest(item) for item in _in_itself()}) == 6
    assert [digest(item) for item in _in_itself()] == [digest(item) for item in _in_itself()]


def test_a_part_that_is_deep_but_not_in_itself_is_held() -> None:
    deep: Any = b""
    for _ in range(200):
        deep = [deep, Scan(deep if isinstance(deep, bytes) else None)]
    assert digest(deep) == digest(pickle.loads(pickle.dumps(deep)))
    assert digest(deep) != digest([deep])


@dataclass
class Stubborn:
    error: Exception

    def __reduce__(self) -> str:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("no"), TypeError("no"), RuntimeError("no"), KeyError("no")])
def test_what_pickling_raises_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        digest(Stubborn(error))
    assert caught.value is error


def test_what_cannot_be_pickled_has_no_digest() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        digest([lambda: 0])
    with Path("/dev/null").open() as stream, pytest.raises(TypeError, match="cannot pickle"):
        digest(stream)


def test_what_is_too_deep_to_be_pickled_has_no_digest() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        digest(deep)


# Keys


def itself(item: Any) -> Any:
    return item


@pytest.mark.parametrize(
    ("found", "key"),
    [
        ("a", "a"),
        ("", ""),
        ("é", "é"),
        ("a\0b", "a\0b"),
        ('"quoted"', '"quoted"'),
        (7, "7"),
        (-(2**70), "-1180591620717411303424"),
        (1.5, "1.5"),
        (True, "true"),
        (["a", 1, None], '["a",1,null]'),
        ({"a": [1]}, '{"a":[1]}'),
        ("caf\udce9", r'"caf\udce9"'),  # a name that is not text: no database would take it
    ],
)
def test_a_key_is_its_text_or_its_json(found: Any, key: str) -> None:
    assert key_of(itself, found) == key
    assert key.encode().decode() == key, "it can be stored"


def test_the_key_is_made_from_the_item() -> None:
    assert key_of(lambda item: item["id"], {"id": 3, "data": b"x"}) == "3"


class Opaque:
    def __repr__(self) -> str:
        return "an opaque thing"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "None"),
        (Opaque(), "an opaque thing"),
        (("a", 1), "('a', 1)"),
        (b"a", "b'a'"),
        (float("nan"), "nan"),
        (Path("a"), "PosixPath('a')"),
        (np.int64(3), "np.int64(3)"),
        ([{1: 2}], "[{1: 2}]"),
    ],
)
def test_a_key_that_is_nothing_of_the_kind_is_refused(found: Any, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        key_of(itself, found)
    assert str(caught.value) == f"expected the key of an item to be text or a number, got {said}"


def test_what_the_function_raises_is_its_own() -> None:
    with pytest.raises(KeyError, match=r"^'id'$"):
        key_of(lambda item: item["id"], {})
