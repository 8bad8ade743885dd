"""Redis Streams: what an address means, what entries are as items, where results and failures go."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest
from tests.sources.servers import RedisServer

import pullahead as pa
from pullahead.core.leases import LEAST, MOST
from pullahead.errors import SourceError
from pullahead.sources import as_source, open_sink, open_source
from pullahead.sources.redis import RedisQueue

pytest.importorskip("redis")


def double(x: Any) -> Any:
    return x * 2


def letters(server: RedisServer, stream: str) -> list[dict[str, str]]:
    return [fields for _, fields in server.client.xrange(stream)]


# Addresses


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("redis://host/0?group=g", "expected stream=NAME in the query of redis://host/0?group=g, got none"),
        (
            "redis://host/0?stream=s",
            "expected group=NAME in the query of redis://host/0?stream=s, which shares",
        ),
        (
            "redis://host/0?stream=&group=g",
            "expected a name for stream in redis://host/0?stream=&group=g, got nothing",
        ),
        ("redis://host/0?stream=s&group=g&dran=1", "or an option of redis-py, in .*, got 'dran'"),
        ("redis://host/0?stream=s&group=g&stream=t", "expected stream once in .*, got it twice"),
        ("redis://host/0?stream=s&group=g&drain=yes", "expected 0 or 1 for drain in .*, got 'yes'"),
        (
            "redis://host/0?stream=s&group=g&deliveries=0",
            "a whole number from 1 for deliveries in .*, got '0'",
        ),
        ("redis://host/0?stream=s&group=g&patience=long", "seconds from 0 for patience in .*, got 'long'"),
        ("redis://host/0?stream=s&group=g&maxlen=5", "expected one of .*, got 'maxlen'"),  # it is of a sink
        ("redis://host/0?stream=s&group=g&protocol=3", "expected one of .*, got 'protocol'"),  # it is ours
        ("redis://host/0?stream=s&group=g&socket_timeout=x", "redis-py understands, got .*socket_timeout"),
        ("redis://host:port/0?stream=s&group=g", "expected a port from 0 to 65535"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_in_a_line(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")) as caught:
        as_source(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["redis://host/0?group=g&stream=s", "redis://host/0?stream=s&drain=1"])
def test_what_is_only_of_sources_is_refused_for_a_sink(address: str) -> None:
    with pytest.raises(ValueError, match="expected one of stream, dead, patience, cluster, maxlen"):
        open_sink(address)


def test_no_message_has_a_password() -> None:
    for address in ("redis://me:secret@host/0?group=g", "redis://:secret@host/0?group=g&password=secret"):
        with pytest.raises(ValueError, match="expected stream=NAME") as caught:
            as_source(address)
        assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said_in_a_line() -> None:
    with pytest.raises(SourceError, match="cannot reach unix:///nowhere/at/all") as caught:
        open_source("unix:///nowhere/at/all?stream=s&group=g")
    assert "\n" not in str(caught.value)


def test_a_wrong_password_is_said_in_a_line() -> None:
    with closing(RedisServer("--requirepass", "right")) as server:
        bare = server.address("s")
        for address in (bare, bare + "&password=wrong"):
            with pytest.raises(SourceError, match="refuses us: ") as caught:
                open_source(address)
            assert "\n" not in str(caught.value)
            assert "wrong&" not in str(caught.value)
        with closing(open_source(bare + "&password=right")) as source:
            assert source.take(1) == []


@pytest.mark.parametrize("group", ["g", ""])
def test_a_key_that_is_no_stream_is_said_in_a_line(redis_server: RedisServer, group: str) -> None:
    redis_server.client.set("number", 1)
    with pytest.raises(SourceError, match="expected 'number' to be a stream, got a string"):
        (open_source if group else open_sink)(redis_server.address("number", group))


@pytest.mark.parametrize("group", ["g", ""])
def test_a_key_for_dead_letters_that_is_no_stream_is_said_in_a_line(
    redis_server: RedisServer, group: str
) -> None:
    redis_server.client.set("word", "x")
    with pytest.raises(SourceError, match="expected 'word' to be a stream, got a string"):
        (open_source if group else open_sink)(redis_server.address("new", group, dead="word"))
    assert not redis_server.client.exists("new")


def test_who_may_not_ask_what_a_key_is_can_take(redis_server: RedisServer) -> None:
    redis_server.client.execute_command("ACL SETUSER narrow on >secret ~* &* +@all -type -info")
    stream = redis_server.new_stream()
    redis_server.put(stream, [1])
    address = redis_server.address(stream, username="narrow", password="secret")
    with closing(open_source(address)) as source:
        (one,) = source.take(1)
        source.done(one.token)


def test_without_redis_py_the_error_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "import pullahead\n"
        "pullahead.run(print, 'redis://host/0?stream=s&group=g')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = "ImportError: an address of Redis needs redis-py: pip install 'pullahead[redis]'"
    assert ended.stderr.splitlines()[-1] == expected


def test_redis_py_is_imported_when_it_is_needed() -> None:
    code = "import pullahead, sys; print('redis' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


# Items


def test_an_entry_is_the_json_of_its_field_or_a_dict_of_all(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    client = redis_server.client
    client.xadd(stream, {"item": json.dumps({"a": [1, None]}), "other": "x"})
    client.xadd(stream, {"path": "a/ü.txt", "raw": b"\xff\x00"})
    client.xadd(stream, {"job": "3"})
    with closing(open_source(redis_server.address(stream))) as source:
        items = [one.item for one in source.take(3)]
        assert items == [{"a": [1, None]}, {"path": "a/ü.txt", "raw": b"\xff\x00"}, {"job": "3"}]
        source.give_back([])
    with closing(open_source(redis_server.address(stream, group="other", field="job"))) as source:
        assert source.take(3)[2].item == 3


def test_an_entry_that_is_no_item_is_a_dead_letter_and_no_end(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    bad = redis_server.client.xadd(stream, {"item": "{nope"})
    redis_server.put(stream, [1])
    assert list(pa.map(double, redis_server.address(stream, drain=1), workers=1)) == [2]
    (letter,) = letters(redis_server, f"{stream}:dead")
    assert letter["item"] == "{nope"
    assert (letter["pullahead-id"], letter["pullahead-stream"]) == (bad, stream)
    assert letter["pullahead-reason"].startswith("expected JSON in the field 'item', got '{nope'")
    assert redis_server.pending(stream) == []


def test_an_item_that_ends_its_consumers_is_dead_after_some_deliveries(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    (poison,) = redis_server.put(stream, [1])
    sources = [open_source(redis_server.address(stream, deliveries=2, dead="coffin")) for _ in range(3)]
    counts = []
    for source in sources:
        counts.append([one.attempt for one in source.take(1)])
        for token, consumer, _ in redis_server.pending(stream):  # it dies, and its lease passes
            idle = int(MOST * 1000)
            redis_server.client.xclaim(stream, "g", consumer, 0, [token], idle=idle, justid=True)
    assert counts == [[1], [2], []]
    for source in sources:
        source.close()
    (letter,) = letters(redis_server, "coffin")
    assert letter["pullahead-reason"] == "delivered 2 times, and never ended"
    assert (letter["pullahead-id"], letter["pullahead-attempts"]) == (poison, "2")


def test_leases_begin_when_an_item_is_taken_even_if_it_was_waited_for(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    with closing(open_source(redis_server.address(stream))) as source:
        assert source.take(1, 0.01) == []
        redis_server.put(stream, [1])
        (one,) = source.take(1, 5.0)
        (pending,) = redis_server.client.xpending_range(stream, "g", "-", "+", 10)
        assert pending["time_since_delivered"] == pytest.approx((MOST - LEAST) * 1000, abs=5000)
        source.done(one.token)


def test_consumers_leave_no_name_behind(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    redis_server.put(stream, range(5))
    assert len(list(pa.map(double, redis_server.address(stream, drain=1), workers=1))) == 5
    assert redis_server.client.xinfo_consumers(stream, "g") == []


def test_an_item_whose_dead_letter_cannot_be_written_is_not_lost(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    redis_server.put(stream, [1])
    source = open_source(redis_server.address(stream))
    (one,) = source.take(1)
    redis_server.client.set(f"{stream}:dead", "x")
    source.failed(one.token, "no")
    with pytest.raises(SourceError, match="WRONGTYPE"):
        source.close()
    assert [token for token, _, _ in redis_server.pending(stream)] == [one.token]


@pytest.mark.parametrize("fields", [3500, 3999, 20_000])
def test_an_entry_that_is_too_wide_for_a_script_is_a_dead_letter_too(
    redis_server: RedisServer, fields: int
) -> None:
    stream = redis_server.new_stream()
    token = redis_server.client.xadd(stream, {str(number): number for number in range(fields)})
    address = redis_server.address(stream)
    with closing(open_source(address)) as source:
        (one,) = source.take(1)
        assert len(one.item) == fields
        source.failed(one.token, "no")
    assert redis_server.pending(stream) == []
    (letter,) = letters(redis_server, f"{stream}:dead")
    assert letter["pullahead-id"] == token
    if fields == 3500:
        assert (letter["pullahead-reason"], len(letter)) == ("no", fields + 4)
    else:
        why = f"no; its {fields} fields are too many for a dead letter, and left in the stream"
        assert (letter["pullahead-reason"], len(letter)) == (why, 4)
    with RedisQueue(address) as queue:
        assert queue.retry() == (1 if fields == 3500 else 0)


def test_a_wide_entry_whose_stream_was_deleted_meanwhile_is_kept_too(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    redis_server.client.xadd(stream, {str(number): number for number in range(3999)})
    with closing(open_source(redis_server.address(stream))) as source:
        (one,) = source.take(1)
        source.failed(one.token, "no")
        redis_server.client.delete(stream)
    (letter,) = letters(redis_server, f"{stream}:dead")
    assert (letter["pullahead-reason"], len(letter)) == ("no", 3999 + 4)


def test_a_wide_entry_that_was_trimmed_is_kept_in_its_dead_letter(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    redis_server.client.xadd(stream, {str(number): number for number in range(3999)})
    address = redis_server.address(stream)
    with closing(open_source(address)) as source:
        (one,) = source.take(1)
        redis_server.client.xtrim(stream, maxlen=0)
        source.extend([one.token], 30.0)
        source.failed(one.token, "no")
    (letter,) = letters(redis_server, f"{stream}:dead")
    assert len(letter) == 3999 + 4
    with RedisQueue(address) as queue:
        assert queue.retry() == 0  # and no error of Lua's
    assert len(letters(redis_server, f"{stream}:dead")) == 1


# Results


def test_a_run_from_stream_to_stream(redis_server: RedisServer) -> None:
    def work(x: int) -> dict[str, int]:
        if x == 3:
            raise ValueError("not three")
        return {"twice": 2 * x}

    stream = redis_server.new_stream()
    ids = redis_server.put(stream, range(200))
    results = redis_server.address(f"{stream}:results", "")
    report = pa.run(work, redis_server.address(stream, drain=1), results, workers=2, retries=1)
    assert (report.done, report.failed) == (199, 1)
    entries = letters(redis_server, f"{stream}:results")
    done = {int(one["item"]): json.loads(one["result"]) for one in entries if "result" in one}
    assert done == {x: {"twice": 2 * x} for x in range(200) if x != 3}
    assert [one for one in entries if "error" in one] == [
        {"item": "3", "error": '{"type": "ValueError", "message": "not three"}', "attempts": "2"}
    ]
    assert letters(redis_server, f"{stream}:dead") == [
        {
            "item": "3",
            "pullahead-stream": stream,
            "pullahead-id": ids[3],
            "pullahead-reason": "ValueError: not three",
            "pullahead-attempts": "2",
        }
    ]
    assert redis_server.pending(stream) == []


def test_a_sink_may_have_another_stream_for_failures_and_a_length(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()

    def work(x: int) -> int:
        if x == 1:
            raise ValueError("one")
        return x

    pa.run(work, range(3), redis_server.address(stream, "", dead=f"{stream}:bad", maxlen=100), workers=1)
    assert letters(redis_server, stream) == [{"item": "0", "result": "0"}, {"item": "2", "result": "2"}]
    assert [one["item"] for one in letters(redis_server, f"{stream}:bad")] == ["1"]


def test_a_result_that_json_cannot_hold_is_the_failure_of_its_item(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    redis_server.put(stream, range(4))
    results = redis_server.address(f"{stream}:results", "")
    report = pa.run(lambda x: {x} if x == 1 else x, redis_server.address(stream, drain=1), results, workers=1)
    assert (report.done, report.failed, report.left) == (3, 1, 0)
    assert redis_server.pending(stream) == []
    (dead,) = letters(redis_server, f"{stream}:dead")
    expected = "item 1: expected result to be a value that JSON can hold, got set"
    assert (dead["item"], expected in dead["pullahead-reason"]) == ("1", True)
    found = {one["item"]: one for one in letters(redis_server, f"{stream}:results")}
    assert {item: one.get("result") for item, one in found.items()} == {
        "0": "0",
        "1": None,
        "2": "2",
        "3": "3",
    }
    assert expected in found["1"]["error"]


def test_an_item_that_no_sink_can_write_is_dead_and_ends_nothing(redis_server: RedisServer) -> None:
    stream = redis_server.new_stream()
    redis_server.client.xadd(stream, {"raw": b"\xff"})
    redis_server.put(stream, [1])
    results = redis_server.address(f"{stream}:results", "")
    report = pa.run(lambda x: x, redis_server.address(stream, drain=1), results, workers=1)
    assert (report.done, report.failed, report.left) == (1, 1, 0)
    assert redis_server.pending(stream) == []
    assert redis_server.client.xlen(f"{stream}:dead") == 1
    assert [one["result"] for one in letters(redis_server, f"{stream}:results")] == ["1"]


def test_a_resumed_run_with_a_journal_may_write_into_a_stream(
    redis_server: RedisServer, tmp_path: Any
) -> None:
    stream = redis_server.new_stream()
    for _ in range(2):
        pa.run(double, range(5), redis_server.address(stream, ""), workers=1, journal=tmp_path / "run.db")
    assert [one["result"] for one in letters(redis_server, stream)] == ["0", "2", "4", "6", "8"]
