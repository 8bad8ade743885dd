"""Whatever is heard, and whenever: never outside of the bounds, and nobody comes and goes for a moment."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pullahead.core.scaling import LASTING, PATIENCE, Effect, Facts, Grow, Scaling

EPSILON = 1e-3
SECONDS = st.floats(0.0, 40.0)


class Places(RuleBasedStateMachine):
    """A farm that does what it is told, late or soon, with workers that die; and its own account of it."""

    @initialize(least=st.integers(1, 4), more=st.integers(0, 6), unit=st.integers(1, 3))
    def begin(self, least: int, more: int, unit: int) -> None:
        self.least, self.most = least, least + more
        self.scaling = Scaling(least, self.most, 0.0, unit)
        self.now = 0.0
        self.coming = set(range(least))
        self.there: dict[int, float] = {}
        self.leaving: set[int] = set()
        self.wanting: Facts | None = None  # what was heard last
        self.shrunk_at = self.grew_at = float("-inf")
        self.is_known = False

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert effect.before == len(self.coming) + len(self.there)
            if isinstance(effect, Grow):
                heard = self.wanting or Facts()
                assert True not in {heard.is_held_back, heard.is_over, heard.is_failing}
                assert self.shrunk_at + LASTING <= self.now + EPSILON, "not a moment after somebody went"
                assert self.grew_at + LASTING <= self.now + EPSILON, "not a moment after the last ones"
                assert self.is_known, "somebody had told what starting takes"
                assert len(effect.places) <= effect.before
                assert not (set(effect.places) & (self.coming | self.there.keys() | self.leaving))
                self.grew_at = self.now
                self.coming |= set(effect.places)
            else:
                self.shrunk_at = self.now
                assert self.coming >= set(effect.waiting)
                self.coming -= set(effect.waiting)
                assert not effect.idle or len(self.there) - len(effect.idle) >= self.least
                for place in effect.idle:
                    is_over = self.wanting is not None and self.wanting.is_over
                    assert is_over or self.now - self.there[place] >= PATIENCE - EPSILON, "it has just come"
                    del self.there[place]
                    self.leaving.add(place)

    @rule(facts=st.builds(
        Facts,
        unstarted=st.integers(0, 50),
        unread=st.integers(0, 50),
        pace=st.sampled_from([0.0, 0.001, 0.1, 3.0]),
        lasted=st.sampled_from([0.0, 0.1, 1.0, 10.0]),
        is_over=st.booleans(),
        is_held_back=st.booleans(),
        is_failing=st.booleans(),
    ), data=st.data())  # fmt: skip
    def hear(self, facts: Facts, data: st.DataObject) -> None:
        idle = data.draw(st.dictionaries(st.integers(0, self.most - 1), SECONDS, max_size=4))
        self.wanting = facts._replace(idle=idle)
        self.perform(self.scaling.heard(self.wanting, self.now))

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(60):
            deadline = self.scaling.deadline
            if deadline is None or deadline > until:
                break
            assert deadline > self.now
            self.now = deadline
            self.perform(self.scaling.tick(self.now))
        else:
            raise AssertionError("the deadline does not move on")
        self.now = until
        self.perform(self.scaling.tick(self.now))

    @precondition(lambda self: self.coming)
    @rule(data=st.data(), seconds=st.floats(0.0, 3.0))
    def join(self, data: st.DataObject, seconds: float) -> None:
        place = data.draw(st.sampled_from(sorted(self.coming)))
        self.scaling.placed(place, self.now)
        self.pass_time(seconds)
        self.coming.remove(place)
        self.there[place] = self.now
        self.is_known = True
        self.perform(self.scaling.joined(place, self.now))

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.there)))
        del self.there[place]
        self.coming.add(place)
        self.perform(self.scaling.replaced(place, self.now))

    @precondition(lambda self: self.leaving)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.leaving)))
        self.leaving.remove(place)
        self.perform(self.scaling.left(place, self.now))

    @invariant()
    def is_within_its_bounds(self) -> None:
        self.scaling.validate()
        assert self.scaling.live == len(self.coming) + len(self.there)
        assert self.least <= self.scaling.live <= self.most
        assert self.scaling.live + len(self.leaving) <= self.most


Places.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestPlaces = pytest.mark.timeout(400)(Places.TestCase)  # a failure is shrunk for up to 300 s
