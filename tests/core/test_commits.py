"""What may be said once it is on disk: each rule, and all of them in any order against a naive oracle."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pullahead.core.commits import Commits


def test_what_was_recorded_since_the_last_batch_is_the_next_batch_in_order() -> None:
    commits: Commits[str, str] = Commits()
    commits.record("a")
    commits.record("b")
    assert commits.next_batch() == ["a", "b"]


def test_with_nothing_recorded_there_is_no_batch() -> None:
    commits: Commits[str, str] = Commits()
    commits.say("hello")
    assert commits.next_batch() == []
    assert commits.is_settled


def test_one_batch_is_written_at_a_time() -> None:
    commits: Commits[str, str] = Commits()
    commits.record("a")
    assert commits.next_batch() == ["a"]
    commits.record("b")
    assert commits.next_batch() == []
    commits.record("c")
    commits.written()
    assert commits.next_batch() == ["b", "c"], "all that was recorded meanwhile"
    commits.written()
    assert commits.next_batch() == []


def test_where_everything_is_written_nothing_waits() -> None:
    commits: Commits[str, str] = Commits()
    commits.say("at once")
    assert commits.due() == ["at once"]
    commits.record("a")
    commits.next_batch()
    commits.written()
    commits.say("again")
    assert commits.due() == ["again"]


def test_what_was_said_is_taken_once() -> None:
    commits: Commits[str, str] = Commits()
    commits.say("once")
    assert (commits.due(), commits.due()) == (["once"], [])


def test_a_saying_waits_until_what_was_recorded_before_it_is_written() -> None:
    commits: Commits[str, str] = Commits()
    commits.record("a")
    commits.say("a ended")
    assert commits.due() == []
    commits.next_batch()
    assert commits.due() == [], "being written is not written"
    commits.written()
    assert commits.due() == ["a ended"]


def test_a_saying_does_not_wait_for_what_is_recorded_after_it() -> None:
    commits: Commits[str, str] = Commits()
    commits.record("a")
    commits.say("a ended")
    commits.next_batch()
    commits.record("b")
    commits.say("b ended")
    commits.written()
    assert commits.due() == ["a ended"]
    assert not commits.is_settled
    assert commits.next_batch() == ["b"]
    commits.written()
    assert commits.due() == ["b ended"]


def test_a_saying_may_be_due_in_the_middle_of_what_was_recorded_in_one_batch() -> None:
    commits: Commits[str, str] = Commits()
    for name in "ab":
        commits.record(name)
        commits.say(name)
    commits.next_batch()
    commits.written()
    assert commits.due() == ["a", "b"]


def test_what_is_said_later_waits_behind_what_waits() -> None:
    """Also if it has nothing to do with a record."""
    commits: Commits[str, str] = Commits()
    commits.say("before")
    commits.record("a")
    commits.say("a ended")
    commits.say("something else")
    assert commits.due() == ["before"]
    commits.next_batch()
    commits.written()
    assert commits.due() == ["a ended", "something else"]


def test_it_is_settled_when_everything_that_was_recorded_is_written() -> None:
    commits: Commits[str, str] = Commits()
    settled = [commits.is_settled]
    commits.record("a")
    settled.append(commits.is_settled)
    commits.next_batch()
    settled.append(commits.is_settled)
    commits.written()
    settled.append(commits.is_settled)
    assert settled == [True, False, False, True]


def test_the_news_that_nothing_was_written_changes_nothing() -> None:
    commits: Commits[str, str] = Commits()
    commits.record("a")
    commits.say("a ended")
    commits.written()
    assert (commits.due(), commits.is_settled) == ([], False)
    assert commits.next_batch() == ["a"]


def test_none_can_be_recorded_and_said() -> None:
    commits: Commits[None, None] = Commits()
    commits.record(None)
    commits.say(None)
    assert commits.next_batch() == [None]
    commits.written()
    assert commits.due() == [None]


class CommitsMachine(RuleBasedStateMachine):
    """Records and sayings are numbered in the order in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: Commits[int, int] = Commits()
        self.recorded = 0
        self.on_disk: list[int] = []
        self.batch: list[int] | None = None
        self.behind: list[int] = []  # for each saying: how many records came before it
        self.heard: list[int] = []

    @rule(count=st.integers(1, 3))
    def record(self, count: int) -> None:
        for _ in range(count):
            self.commits.record(self.recorded)
            self.recorded += 1

    @rule(count=st.integers(1, 3))
    def say(self, count: int) -> None:
        for _ in range(count):
            self.commits.say(len(self.behind))
            self.behind.append(self.recorded)

    @rule()
    def take_a_batch(self) -> None:
        batch = self.commits.next_batch()
        if self.batch is not None:
            assert batch == [], "one at a time"
        else:
            assert batch == list(range(len(self.on_disk), self.recorded)), "all, in order, and nothing twice"
            self.batch = batch or None

    @precondition(lambda self: self.batch is not None)
    @rule()
    def write(self) -> None:
        assert self.batch is not None
        self.on_disk += self.batch
        self.batch = None
        self.commits.written()

    @rule()
    def listen(self) -> None:
        due = self.commits.due()
        first = len(self.heard)
        may_be_heard = sum(records <= len(self.on_disk) for records in self.behind)
        assert due == list(range(first, may_be_heard)), "all that may be said, in order, and nothing twice"
        self.heard += due

    @invariant()
    def it_is_settled_when_it_is(self) -> None:
        assert self.commits.is_settled == (len(self.on_disk) == self.recorded)

    def teardown(self) -> None:
        """Whatever happened: once the disk has caught up, everything was written and said, once."""
        while self.batch is not None or len(self.on_disk) < self.recorded:
            if self.batch is None:
                self.take_a_batch()
            self.write()
        self.listen()
        assert self.on_disk == list(range(self.recorded))
        assert self.heard == list(range(len(self.behind)))


CommitsMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestCommits = CommitsMachine.TestCase
