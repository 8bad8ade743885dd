"""A stream of Redis as those see it who do not take from it: put, counted, listed, tried again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.sources.cluster import RedisCluster
from tests.sources.servers import RedisServer
from tests.sources.test_redis_faults import late

from pullahead.errors import ResultError, SourceError
from pullahead.sources import open_source
from pullahead.sources.queue import Stats
from pullahead.sources.reach import Away
from pullahead.sources.redis import RedisQueue, RedisSource, queue
from pullahead.sources.redis.server import Server
from pullahead.sources.redis.server import script as text


@pytest.fixture
def stream(redis_server: RedisServer) -> str:
    return redis_server.new_stream()


@pytest.fixture
def jobs(redis_server: RedisServer, stream: str) -> Iterator[RedisQueue]:
    with RedisQueue(redis_server.address(stream)) as opened:
        yield opened


def items(server: RedisServer, stream: str) -> list[str]:
    return [fields["item"] for _, fields in server.client.xrange(stream)]


def test_how_a_stream_stands(redis_server: RedisServer, stream: str, jobs: RedisQueue) -> None:
    assert jobs.stats() == Stats(0, 0, 0, None, 0, 0, 0, None)
    assert len(jobs.put(range(10))) == 10
    with (
        closing(RedisSource(redis_server.address(stream))) as source,
        closing(RedisSource(redis_server.address(stream))) as other,
    ):
        done, failed, returned, late_one, kept = source.take(5)
        (others,) = other.take(1)
        source.done(done.token)
        source.failed(failed.token, "no")
        source.give_back([returned.token], 60.0)
        source.extend([kept.token], 100.0)
        found = jobs.stats()
        assert (found.ready, found.out, found.waiting, found.done, found.dead) == (4, 3, 1, None, 1)
        assert (found.due, found.consumers) == (0, 2)
        assert found.oldest is not None
        assert 0.0 <= found.oldest < 60.0
        late(redis_server, stream, {other._consumer.name})
        assert jobs.stats().due == 1
        for one in (late_one, kept):
            source.done(one.token)
        other.done(others.token)


def test_what_is_ready_is_counted_where_redis_has_lost_count(
    redis_server: RedisServer, stream: str, jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_BATCH", 2)
    ids = jobs.put(range(9))
    with closing(open_source(redis_server.address(stream))) as source:
        source.give_back([one.token for one in source.take(2)])
    redis_server.client.xdel(stream, ids[5])
    (group,) = redis_server.client.xinfo_groups(stream)
    assert group["lag"] is None
    found = jobs.stats()
    assert (found.ready, found.waiting, found.due) == (6, 2, 2)


def test_what_is_ready_is_counted_where_entries_were_trimmed_that_nobody_had(
    redis_server: RedisServer, stream: str, jobs: RedisQueue
) -> None:
    jobs.put(range(1000))
    with closing(open_source(redis_server.address(stream))) as source:
        for one in source.take(100):
            source.done(one.token)
        redis_server.client.xtrim(stream, maxlen=500, approximate=False)
        assert jobs.stats().ready == 500
        for one in source.take(200):
            source.done(one.token)
        assert jobs.stats().ready == 300
        for one in source.take(300):
            source.done(one.token)
    (group,) = redis_server.client.xinfo_groups(stream)
    assert group["lag"] == 400  # Redis counts those that were trimmed
    found = jobs.stats()
    assert (found.ready, found.oldest) == (0, None)


@pytest.mark.parametrize("steps", [1, 20])
def test_what_is_ready_is_counted_in_few_steps_where_redis_knows(
    redis_server: RedisServer, stream: str, jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(queue, "_BATCH", 2)
    ids = [one for _ in range(20) for one in jobs.put([1])]
    with closing(open_source(redis_server.address(stream))) as source:
        for one in source.take(4):
            source.done(one.token)
        if steps > 1:
            redis_server.client.xdel(stream, ids[0], ids[10])
        asked = asked_of(jobs, monkeypatch, "count")
        assert jobs.stats().ready == (16 if steps == 1 else 15)
        assert len(asked) == (1 if steps == 1 else 10)  # one of them for what is dead


def asked_of(jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch, script: str) -> list[Any]:
    """Return the list of what that script will have answered."""
    answers: list[Any] = []
    ask = Server.ask

    def listen(server: Server, commands: Any) -> Any:
        found = ask(server, commands)
        answers.extend(
            answer for command, answer in zip(commands, found, strict=True) if command[1] == text(script)
        )
        return found

    monkeypatch.setattr(Server, "ask", listen)
    return answers


def test_a_group_that_is_not_there_yet_has_all_that_is_in_the_stream(
    redis_server: RedisServer, stream: str, jobs: RedisQueue
) -> None:
    redis_server.put(stream, range(3))
    assert jobs.stats().ready == 3


def test_a_batch_is_put_as_a_whole_and_what_was_put_before_is_said(
    redis_server: RedisServer, stream: str, jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_BATCH", 3)
    with pytest.raises(ResultError) as caught:
        jobs.put([1, 2, 3, 4, {5}, 6])
    assert caught.value.__notes__ == ["3 items before were put"]
    assert items(redis_server, stream) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("batches", "said"),
    [(0, "perhaps 3 items were put"), (1, "3 items before were put, and perhaps the next 3")],
)
def test_a_batch_whose_answer_was_lost_may_be_there(
    jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch, batches: int, said: str
) -> None:
    monkeypatch.setattr(queue, "_BATCH", 3)
    ask = Server.ask
    answers = iter([True] * batches)

    def lose_the_last_answer(server: Server, commands: Any) -> Any:
        found = ask(server, commands)
        if next(answers, False):
            return found
        raise Away("Connection reset by peer")

    with monkeypatch.context() as patched:
        patched.setattr(Server, "ask", lose_the_last_answer)
        with pytest.raises(SourceError, match=r"cannot reach .*reset by peer") as caught:
            jobs.put(range(10))
    assert caught.value.__notes__ == [said]


def test_what_a_server_has_refused_was_not_put(
    redis_server: RedisServer, stream: str, jobs: RedisQueue
) -> None:
    redis_server.client.set(stream, "x")
    with pytest.raises(SourceError, match="WRONGTYPE") as caught:
        jobs.put([1])
    assert not hasattr(caught.value, "__notes__")


def test_a_dead_letter_goes_back_as_the_entry_that_it_was(
    redis_server: RedisServer, stream: str, jobs: RedisQueue
) -> None:
    entry = {b"a": b"\xff", b"pullahead-reason": b"mine", b"b": "ü".encode()}
    redis_server.client.xadd(stream, entry)
    with closing(open_source(redis_server.address(stream))) as source:
        (one,) = source.take(1)
        source.failed(one.token, "no\nno", 3)
    (found,) = jobs.dead()
    assert (found.reason, found.attempts) == ("no\nno", 3)
    assert found.item == '{"a": "b\'\\\\xff\'", "pullahead-reason": "mine", "b": "ü"}'
    assert jobs.retry([found.id]) == 1
    raw = redis_server.client.execute_command("XRANGE", stream, "-", "+", NEVER_DECODE=True)
    assert [fields for _, fields in raw] == [entry, entry]
    assert jobs.dead() == []


def test_what_is_no_json_is_listed_as_it_is(redis_server: RedisServer, stream: str, jobs: RedisQueue) -> None:
    redis_server.client.xadd(stream, {"item": "no json"})
    with closing(open_source(redis_server.address(stream))) as source:
        assert source.take(1) == []
    (found,) = jobs.dead()
    assert found.item == '"no json"'
    assert found.reason.startswith("expected JSON in the field 'item'")


def test_what_is_no_json_is_told_from_the_name_of_its_field(
    redis_server: RedisServer, stream: str, jobs: RedisQueue
) -> None:
    redis_server.client.xadd(stream, {"kind": "item", "item": "no json"})
    with closing(open_source(redis_server.address(stream))) as source:
        assert source.take(1) == []
    assert [found.item for found in jobs.dead()] == ['"no json"']


@pytest.mark.parametrize(
    "wrong",
    ["1", "18446744073709551616-0", "1-18446744073709551616", "99999999999999999999-1", "٣-1", "-1-1"],
)
def test_what_no_id_can_be_is_refused(jobs: RedisQueue, wrong: str) -> None:
    assert jobs.retry(["18446744073709551615-18446744073709551615"]) == 0
    with pytest.raises(
        ValueError, match="expected ids of dead letters, such as 1700000000000-0, got '"
    ) as caught:
        jobs.retry([wrong])
    assert "\n" not in str(caught.value)


def fail(server: RedisServer, address: str, count: int) -> None:
    """Take so many items, which fail."""
    with closing(open_source(address)) as source:
        for one in source.take(count):
            source.failed(one.token, "no")


def test_dead_letters_that_are_large_are_looked_at_a_few_at_a_time(
    redis_server: RedisServer, stream: str, jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.put(["x" * 400_000] * 12)
    fail(redis_server, redis_server.address(stream), 12)
    asked = {script: asked_of(jobs, monkeypatch, script) for script in ("letters", "count", "retry")}
    assert len(jobs.dead(2)) == 2
    assert sum(len(letters) for letters, _ in asked["letters"]) == 2  # and no page of a hundred
    assert jobs.stats().dead == 12
    assert max(count for count, _ in asked["count"]) == 3  # a megabyte, and a bit
    assert len(jobs.dead()) == 12
    assert max(len(letters) for letters, _ in asked["letters"]) == 3
    assert jobs.retry() == 12
    assert max(moved for moved, _ in asked["retry"]) == 3


def test_dead_letters_of_others_stay(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_IDS", 2)  # several pages
    monkeypatch.setattr(queue, "_BATCH", 2)
    one, other, dead = (redis_server.new_stream() for _ in range(3))
    for _ in range(3):
        for stream in (one, other):
            redis_server.put(stream, [stream.removeprefix("jobs-")])
            fail(redis_server, redis_server.address(stream, dead=dead), 1)
    redis_server.client.xadd(dead, {"by": "hand"})
    with RedisQueue(redis_server.address(one, dead=dead)) as mine:
        assert mine.stats().dead == 3
        assert [found.item for found in mine.dead()] == [one.removeprefix("jobs-")] * 3
        assert len(mine.dead(2)) == 2
        assert mine.retry() == 3
        assert mine.stats().dead == 0
    with RedisQueue(redis_server.address(other, dead=dead)) as theirs:
        assert theirs.stats().dead == 3
    assert len(items(redis_server, one)) == 6
    assert len(items(redis_server, other)) == 3


def test_what_fails_again_meanwhile_is_not_tried_for_ever(
    redis_server: RedisServer, stream: str, jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_IDS", 2)
    jobs.put(range(5))
    fail(redis_server, redis_server.address(stream), 5)
    retried = jobs._retried

    def fail_again(*arguments: Any) -> Any:
        fail(redis_server, redis_server.address(stream), 5)
        return retried(*arguments)

    monkeypatch.setattr(RedisQueue, "_retried", lambda self, *arguments: fail_again(*arguments))
    assert jobs.retry() == 5


def test_what_was_trimmed_has_nothing_left_to_try(
    redis_server: RedisServer, stream: str, jobs: RedisQueue
) -> None:
    jobs.put([1])
    with closing(RedisSource(redis_server.address(stream))) as dead:
        dead.take(1)
        late(redis_server, stream)
        redis_server.client.xtrim(stream, maxlen=0)
        with closing(open_source(redis_server.address(stream))) as source:
            assert source.take(1) == []
    (found,) = jobs.dead()
    assert found.reason == "trimmed from the stream before it had ended"
    assert jobs.retry() == 0
    assert jobs.dead() == [found]


def test_two_who_retry_the_same_move_each_item_once(
    redis_server: RedisServer, stream: str, jobs: RedisQueue
) -> None:
    jobs.put(range(500))
    fail(redis_server, redis_server.address(stream), 500)
    moved: list[int] = []

    def retry() -> None:
        with RedisQueue(redis_server.address(stream)) as one:
            moved.append(one.retry())

    threads = [threading.Thread(target=retry) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(moved) == 500
    assert Counter(map(int, items(redis_server, stream))) == Counter(dict.fromkeys(range(500), 2))
    assert jobs.dead() == []


def test_an_answer_that_was_lost_doubles_nothing(
    redis_server: RedisServer, stream: str, jobs: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.put(range(3))
    fail(redis_server, redis_server.address(stream), 3)
    ask = Server.ask

    def lose_the_answer(server: Server, commands: Any) -> Any:
        ask(server, commands)
        raise SourceError("Connection reset by peer")

    ids = [one.id for one in jobs.dead()]
    with monkeypatch.context() as patched:
        patched.setattr(Server, "ask", lose_the_answer)
        with pytest.raises(SourceError, match="reset by peer"):
            jobs.retry(ids)
    assert jobs.retry(ids) == 0
    assert Counter(items(redis_server, stream)) == Counter(["0", "1", "2"] * 2)


def test_a_server_that_has_gone_is_said_in_a_line() -> None:
    with closing(RedisServer()) as server, RedisQueue(server.address("jobs")) as jobs:
        server.stop()
        for verb in (lambda: jobs.put([1]), jobs.stats, jobs.dead, jobs.retry):
            with pytest.raises(SourceError, match="cannot reach unix://") as caught:
                verb()
            assert "\n" not in str(caught.value)


def test_in_a_cluster() -> None:
    with closing(RedisCluster()) as cluster:
        for node in range(3):
            address = cluster.address(cluster.stream_on(node), group="g")
            with RedisQueue(address) as jobs:
                jobs.put(range(5))
                with closing(open_source(address)) as source:
                    for one in source.take(2):
                        source.failed(one.token, "no")
                found = jobs.stats()
                assert (found.ready, found.dead) == (3, 2)
                assert sorted(one.item for one in jobs.dead()) == ["0", "1"]
                assert jobs.retry() == 2
                assert jobs.stats().ready == 5
