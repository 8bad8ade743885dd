"""Whatever the answers and whenever the caller leaves: a fetched item is yielded, given back or counted."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.surface.overlapping.desk import Desk, Tray, join_ours

from pullahead.overlapping import overlap


@settings(deadline=None)  # a busy machine is no failure
@given(
    answers=st.lists(st.sampled_from(["item", "item", "item", "error", "end"]), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
    depth=st.integers(0, 5),
    steps=st.integers(0, 12),
    gives_back=st.booleans(),
)
def test_every_fetched_item_is_yielded_given_back_or_warned_about(
    answers: list[str], seed: int, depth: int, steps: int, gives_back: bool
) -> None:
    order = random.Random(seed)  # drawn from directly, so that no example ends in the middle
    values: dict[str, Callable[[int], Any]] = {
        "item": lambda number: number,
        "error": lambda number: KeyError(number),
        "end": lambda number: None,
    }
    desk, tray = Desk(), Tray()
    answered: set[int] = set()
    fetched: list[int] = []

    def answer(number: int) -> None:
        kind = answers[number] if number < len(answers) else "end"
        answered.add(number)
        fetched.extend([number] * (kind == "item"))
        desk.answer(number, values[kind](number))

    yielded: list[int] = []
    answer(0)  # the first request is made inside the first next()
    failed: list[int] = []
    turn, over = 0, False
    items = overlap(desk, lookahead=depth, give_back=tray if gives_back else None)
    for _ in range(steps):
        # Answer some that are open, in any order; and the one whose turn it is, so that next() cannot block.
        open_requests = [n for n in range(len(desk.futures)) if n not in answered]
        for number in order.sample(open_requests, order.randint(0, len(open_requests))):
            answer(number)
        if turn not in answered:
            answer(turn)
        if any(number >= len(answers) or answers[number] == "end" for number in answered):
            for number in [n for n in range(len(desk.futures)) if n not in answered]:
                answer(number)  # the end waits for all of them
        while turn in answered and (turn >= len(answers) or answers[turn] == "end"):
            turn += 1  # a sentinel takes its turn without being yielded
        try:
            item = next(items)
        except StopIteration:
            over = True
            break
        except KeyError as error:
            failed.append(error.args[0])
        else:
            assert item == turn
            yielded.append(item)
        turn += 1

    assert failed == [number for number in failed if answers[number] == "error"]
    assert yielded + failed == sorted(set(yielded)) + sorted(set(failed))
    asked = len(desk.futures)
    fetched = [number for number in fetched if number < asked]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        items.close()
        late = [number for number in range(asked) if number not in answered]
        order.shuffle(late)
        for number in late:
            answer(number)
        missing = len(fetched) - len(yielded)
        given = tray.take(missing) if gives_back else []
        join_ours()
    assert tray.now() == []
    assert len(desk.futures) == asked
    if gives_back or over:
        assert Counter(yielded + given) == Counter(fetched)
        assert caught == []
        return
    words = [str(warning.message).split() for warning in caught]
    lost = sum(int(text[5] if text[0] == "overlap()" else text[0]) for text in words)
    assert len(yielded) + lost == len(fetched)
    assert set(yielded) <= set(fetched)
