"""Ten thousand random schedules of deaths, lags and repetitions: nothing is lost, nothing is there twice."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.sim.storm import Storm, StormyQueue, Weather

from pullahead.core.ledger import State

SCHEDULES = 10_000
AT_ONCE = 500


def play_all(seeds: range) -> None:
    for seed in seeds:
        Storm(seed).play()


@pytest.mark.parametrize("first", range(0, SCHEDULES, AT_ONCE))
def test_every_item_ends_once_and_is_recorded_so(first: int) -> None:
    play_all(range(first, first + AT_ONCE))


def test_the_same_seed_tells_the_same_story() -> None:
    for seed in range(20):
        one, other = Storm(seed), Storm(seed)
        one.play()
        other.play()
        assert one.story() == other.story()


def test_the_schedules_have_all_kinds_of_weather() -> None:
    """A check that never meets what it is about would pass, too."""
    blows: Counter[str] = Counter()
    ends: Counter[State] = Counter()
    repeated = again = 0
    for seed in range(300):
        blows.update(what for _, what in Weather.of(seed).blows)
        storm = Storm(seed)
        storm.play()
        ends.update(storm.seen.heard.values())
        repeated += sum(who == "wire" for _, who, _, _ in storm.log)
        again += sum(what.startswith("comes back") for _, _, what, _ in storm.log)
    assert min(blows[what] for what in ("queue", "worker", "deaf", "wires", "cancel")) > 20
    assert min(ends[state] for state in (State.DONE, State.DEAD, State.LEFT)) > 20
    assert repeated > 20
    assert again > 100


def test_an_error_carries_its_seed_and_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that tells the caller before the disk has it."""
    monkeypatch.setattr(StormyQueue, "write", _tell_at_once)
    with pytest.raises(AssertionError) as caught:
        play_all(range(100))
    (story,) = caught.value.__notes__
    assert story.startswith("seed ")
    assert "what happened:" in story
    assert "caller  hears Ended" in story


def _tell_at_once(queue: StormyQueue) -> None:
    while queue.commits._waiting:
        peer, what = queue.commits._waiting.popleft()[1]
        if peer is None:
            queue.storm.hears(what)
