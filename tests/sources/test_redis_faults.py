"""What goes wrong with a server: nothing is lost, and if it stays wrong, one line says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.sources.meanwhile import Meanwhile, nap
from tests.sources.servers import RedisServer

import pullahead as pa
from pullahead.core.leases import MOST
from pullahead.errors import SourceError
from pullahead.sources import open_sink, open_source
from pullahead.sources.reach import Away
from pullahead.sources.redis import RedisSource
from pullahead.sources.source import Source

WAIT = 20.0


def results_of(server: RedisServer, stream: str) -> Counter[int]:
    return Counter(int(fields["item"]) for _, fields in server.client.xrange(stream))


def test_a_server_that_is_restarted_in_the_middle(own_server: RedisServer) -> None:
    own_server.put("jobs", range(300))

    def restart() -> None:
        own_server.stop(signal.SIGKILL)
        time.sleep(0.5)  # so long it is away; who takes from it notices
        own_server.start()

    sink = Meanwhile(100, restart)
    report = pa.run(nap, own_server.address("jobs", drain=1), sink, workers=2)
    assert set(sink.seen) == set(range(300))
    assert report.done == sink.seen.total()
    assert own_server.pending("jobs") == []


def test_connections_that_are_cut_again_and_again(own_server: RedisServer) -> None:
    own_server.put("jobs", range(300))
    over = threading.Event()

    def cut() -> None:
        while not over.wait(0.02):
            own_server.cut()

    helper = threading.Thread(target=cut)
    helper.start()
    seen: Counter[int] = Counter()
    try:
        pa.run(nap, own_server.address("jobs", drain=1), lambda r, x: seen.update([x]), workers=2)
    finally:
        over.set()
        helper.join()
    assert set(seen) == set(range(300))
    assert own_server.pending("jobs") == []


@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_a_batch_whose_answer_was_lost_is_not_lost(own_server: RedisServer, wait: float) -> None:
    source = RedisSource(own_server.address("jobs"))
    ask = source._server.ask

    def lose_the_answer(commands: Any) -> Any:
        if wait and commands[0][0] != "XREADGROUP":
            return ask(commands)
        if wait:
            own_server.put("jobs", range(1, 5))
        ask(commands)
        source._server.ask = ask  # type: ignore[method-assign]
        raise Away("Connection reset by peer")

    own_server.put("jobs", range(1 if wait else 5))
    with closing(source):
        (first,) = source.take(1)
        source._server.ask = lose_the_answer  # type: ignore[method-assign]
        assert source.take(10, wait) == []
        found = source.take(10, WAIT)
        assert sorted((one.item, one.attempt) for one in found) == [(1, 1), (2, 1), (3, 1), (4, 1)]
        source.done(first.token)
        source.give_back([one.token for one in found])
    assert [count for _, _, count in own_server.pending("jobs")] == [0] * 4


def test_what_vanishes_while_its_end_is_noted_is_not_lost(own_server: RedisServer) -> None:
    own_server.put("jobs", range(2))
    source = RedisSource(own_server.address("jobs"))
    tell = source._consumer.tell

    def end_meanwhile(*arguments: Any) -> Any:
        heard = tell(*arguments)
        source._consumer.tell = tell  # type: ignore[method-assign]
        source.failed(failed.token, "no")
        source.give_back([returned.token])
        return heard

    with closing(source):
        failed, returned = source.take(2)
        own_server.client.xtrim("jobs", maxlen=0)
        source._consumer.tell = end_meanwhile  # type: ignore[method-assign,assignment]
        source.extend([failed.token, returned.token], 30.0)
    assert [fields["item"] for _, fields in own_server.client.xrange("jobs")] == ["1"]
    assert [fields["item"] for _, fields in own_server.client.xrange("jobs:dead")] == ["0"]


def test_what_was_noted_while_a_server_was_away_is_told(own_server: RedisServer) -> None:
    ids = own_server.put("jobs", range(3))
    source = open_source(own_server.address("jobs"))
    done, failed, returned = source.take(3)
    own_server.stop()
    source.done(done.token)
    source.failed(failed.token, "no", 1)
    source.give_back([returned.token])
    assert source.take(1, 0.01) == []  # that is how it finds out
    own_server.start()
    source.close()
    assert [(token, count) for token, _, count in own_server.pending("jobs")] == [(ids[2], 0)]
    assert own_server.client.xlen("jobs:dead") == 1


def test_an_extension_waits_for_its_server(own_server: RedisServer) -> None:
    own_server.put("jobs", range(2))
    with closing(open_source(own_server.address("jobs"))) as source:
        (one, _) = source.take(2)
        own_server.stop()
        helper = threading.Thread(target=source.extend, args=([one.token], 100.0))
        helper.start()
        time.sleep(0.3)  # so long it is away
        own_server.start()
        helper.join()
        idle = [
            entry["time_since_delivered"]
            for entry in own_server.client.xpending_range("jobs", "g", "-", "+", 9)
        ]
        assert idle == pytest.approx([(MOST - 100) * 1000, (MOST - 30) * 1000], abs=5000)


def test_a_server_that_stays_away_ends_the_run_in_a_line(own_server: RedisServer) -> None:
    own_server.put("jobs", range(100))
    sink = Meanwhile(20, own_server.stop)
    with pytest.raises(SourceError, match="went away and did not come back") as caught:
        pa.run(nap, own_server.address("jobs", drain=1, patience=0.5), sink, workers=2)
    assert "\n" not in str(caught.value)
    own_server.start()
    rest = pa.map(nap, own_server.address("jobs", drain=1), workers=2)
    late(own_server, "jobs")  # nobody waits for the leases of the first run
    assert set(rest) | set(sink.seen) == set(range(100))


def late(server: RedisServer, stream: str, consumers: set[str] | None = None) -> None:
    """Let the leases of these consumers have passed; None: of all."""
    for token, consumer, _ in server.pending(stream):
        if consumers is not None and consumer not in consumers:
            continue
        server.client.xclaim(stream, "g", consumer, 0, [token], idle=int(MOST * 1000), justid=True)


def test_a_sink_waits_for_its_server(own_server: RedisServer) -> None:
    with closing(open_sink(own_server.address("results", ""))) as sink:
        sink(1, 1)
        own_server.stop()
        helper = threading.Thread(target=sink, args=(2, 2))
        helper.start()
        time.sleep(0.3)  # so long it is away
        own_server.start()
        helper.join()
    assert results_of(own_server, "results") == Counter([1, 2])


def test_a_sink_whose_server_stays_away_ends_the_run_in_a_line(own_server: RedisServer) -> None:
    with closing(open_sink(own_server.address("results", "", patience=0.3))) as sink:
        own_server.stop()
        with pytest.raises(SourceError, match="went away and did not come back"):
            sink(1, 1)


def take_for_ever(source: Source) -> None:
    while True:
        source.take(1, 0.1)


def test_a_run_whose_user_is_deleted_does_not_wait(own_server: RedisServer) -> None:
    own_server.client.execute_command("ACL SETUSER passing on >secret ~* &* +@all")
    source = open_source(own_server.address("jobs", username="passing", password="secret"))
    own_server.client.execute_command("ACL DELUSER passing")
    begin = time.monotonic()
    with pytest.raises(SourceError, match="refuses us: "):
        take_for_ever(source)
    with pytest.raises(SourceError, match="refuses us: "):
        source.close()
    assert time.monotonic() - begin < 30.0  # and not the minute that a server may be away


def test_a_stream_that_is_trimmed_under_a_run(own_server: RedisServer) -> None:
    own_server.put("jobs", range(4))
    ids = [one for one, _ in own_server.client.xrange("jobs")]
    with closing(open_source(own_server.address("jobs"))) as source:
        dead, back, done, kept = source.take(4)
        own_server.client.xtrim("jobs", maxlen=0)
        source.extend([one.token for one in (dead, back, kept)], 30.0)  # the server forgets whose they are
        source.failed(dead.token, "no", 1)
        source.give_back([back.token])
        source.done(done.token)
        (again,) = source.take(5)
        assert again.item == 1  # added again, from memory
        source.done(again.token)
        source.give_back([kept.token])
    assert [fields["item"] for _, fields in own_server.client.xrange("jobs")] == ["1", "3"]
    assert [fields["pullahead-id"] for _, fields in own_server.client.xrange("jobs:dead")] == [ids[0]]


def test_what_is_trimmed_and_given_back_at_the_end_is_added_again(own_server: RedisServer) -> None:
    """Nobody says anything more to the source then."""
    own_server.put("jobs", range(3))
    source = RedisSource(own_server.address("jobs"))
    taken = source.take(3)
    own_server.client.xtrim("jobs", maxlen=0)
    source.give_back([one.token for one in taken])
    source.close()
    assert sorted(fields["item"] for _, fields in own_server.client.xrange("jobs")) == ["0", "1", "2"]


@pytest.mark.parametrize("verb", ["extend", "give_back", "failed"])
def test_what_is_trimmed_is_kept_although_an_answer_is_lost(own_server: RedisServer, verb: str) -> None:
    """The server has forgotten whose it was, and the answer that said so did not come."""
    own_server.put("jobs", range(2))
    source = RedisSource(own_server.address("jobs", patience=30))
    ask = source._server.ask
    (first, second) = source.take(2)
    own_server.client.xtrim("jobs", maxlen=0)

    def lose_the_answer(commands: Any) -> Any:
        ask(commands)
        source._server.ask = ask  # type: ignore[method-assign]
        raise Away("Connection reset by peer")

    source._server.ask = lose_the_answer  # type: ignore[method-assign]
    if verb == "extend":
        source.extend([first.token, second.token], 10.0)
        source.give_back([first.token])
        source.failed(second.token, "no good")
    elif verb == "give_back":
        source.give_back([first.token, second.token])
    else:
        source.failed(first.token, "no good")
        source.failed(second.token, "no good")
    source.close()
    found = [own_server.client.xlen(stream) for stream in ("jobs", "jobs:dead")]
    assert found == {"extend": [1, 1], "give_back": [2, 0], "failed": [0, 2]}[verb]


def test_an_idle_run_goes_on_when_its_group_is_destroyed(own_server: RedisServer) -> None:
    """What is in the stream is new to the group that takes its place."""
    own_server.put("jobs", range(2))
    seen: list[int] = []

    def note(result: int, item: int) -> None:
        seen.append(item)
        if len(seen) == 2:
            threading.Timer(0.3, destroy).start()
        elif len(seen) == 4:
            pool.drain()

    def destroy() -> None:
        own_server.client.xgroup_destroy("jobs", "g")

    with pa.Pool(nap, workers=1) as pool:
        report = pool.run(own_server.address("jobs"), note)
    assert (sorted(seen), report.done) == ([0, 0, 1, 1], 4)


def test_a_short_limit_for_answers_is_no_outage_of_an_idle_queue(own_server: RedisServer) -> None:
    with closing(RedisSource(own_server.address("jobs", socket_timeout=2, patience=1))) as source:
        assert source.take(1, 3.0) == []
        assert not source._server.was_away
    with closing(RedisSource(own_server.address("jobs", socket_timeout=0.4, patience=30))) as source:
        assert source.take(1, 0.1) == []  # it asks, and does not wait at the server
        own_server.put("jobs", [1])
        assert [one.item for one in source.take(1, WAIT)] == [1]


def test_a_group_that_is_destroyed_before_the_end_ends_nothing(own_server: RedisServer) -> None:
    source = RedisSource(own_server.address("jobs"))
    own_server.client.xgroup_destroy("jobs", "g")
    source.close()
    assert source.closed


def test_an_entry_that_comes_anew_is_not_one_that_has_vanished(own_server: RedisServer) -> None:
    """Its group was destroyed, and the next one has all of the stream again."""
    own_server.put("jobs", [1])
    with closing(RedisSource(own_server.address("jobs"))) as source:
        source.take(1)
        own_server.client.xgroup_destroy("jobs", "g")
        (again,) = source.take(1)
        source.give_back([again.token])
    assert own_server.client.xlen("jobs") == 1
    assert [count for _, _, count in own_server.pending("jobs")] == [0]


def test_what_is_trimmed_while_its_consumer_is_dead_is_at_least_said(own_server: RedisServer) -> None:
    (token,) = own_server.put("jobs", [1])
    with closing(open_source(own_server.address("jobs"))) as dead:
        dead.take(1)
        late(own_server, "jobs")
        own_server.client.xtrim("jobs", maxlen=0)
        with closing(open_source(own_server.address("jobs", drain=1))) as other:
            assert other.take(1) == []
            assert not other.closed  # there is something to say yet
            assert other.take(1) == []
            assert other.closed
    (letter,) = [fields for _, fields in own_server.client.xrange("jobs:dead")]
    assert letter["pullahead-id"] == token
    assert letter["pullahead-reason"] == "trimmed from the stream before it had ended"


def test_a_stream_that_is_deleted_is_made_again(own_server: RedisServer) -> None:
    own_server.put("jobs", range(4))
    with closing(open_source(own_server.address("jobs"))) as source:
        done, failed, returned, kept = source.take(4)
        own_server.client.delete("jobs")
        source.done(done.token)
        source.failed(failed.token, "no")
        source.give_back([returned.token])
        assert [one.item for one in source.take(1)] == [2]  # added again, from memory
        own_server.put("jobs", [4])
        assert [one.item for one in source.take(1, WAIT)] == [4]
        source.give_back([kept.token])
        assert [one.item for one in source.take(2, WAIT) + source.take(2, WAIT)] == [3]
    assert [fields["item"] for _, fields in own_server.client.xrange("jobs:dead")] == ["1"]


SCRIPT = """
import sys, time
import pullahead as pa

def work(x):
    time.sleep(0.02)
    return x

pa.run(work, sys.argv[1], sys.argv[2], workers=2)
"""


def test_a_run_that_is_killed_loses_nothing(own_server: RedisServer, tmp_path: Path) -> None:
    own_server.put("jobs", range(200))
    addresses = own_server.address("jobs"), own_server.address("results", "")
    run = subprocess.Popen([sys.executable, "-c", SCRIPT, *addresses])
    try:
        deadline = time.monotonic() + WAIT
        while own_server.client.xlen("results") < 20:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the other process takes its time
    finally:
        run.kill()
        run.wait(WAIT)
    held = own_server.pending("jobs")
    assert 0 < len(held) <= 40  # not the whole queue, of which it could start a few
    late(own_server, "jobs")
    pa.run(nap, own_server.address("jobs", drain=1), own_server.address("results", ""), workers=2)
    seen = results_of(own_server, "results")
    assert set(seen) == set(range(200))
    assert seen.total() <= 200 + len(held)  # only what it had may be there twice
    assert own_server.pending("jobs") == []


@pytest.mark.timeout(120)  # of which it needs ten; each of five processes takes a second to begin
def test_whatever_happens_to_processes_and_server_nothing_is_lost(own_server: RedisServer) -> None:
    count = 600
    own_server.put("jobs", range(count))
    addresses = own_server.address("jobs"), own_server.address("results", "")
    runs = [start_run(*addresses) for _ in range(2)]
    dead: set[str] = set()

    def killed() -> None:
        runs[0].kill()
        runs[0].wait(WAIT)
        dead.update(consumers_of(own_server, runs[0]))
        runs[0] = start_run(*addresses)

    def interrupted() -> None:
        runs[1].send_signal(signal.SIGINT)
        runs[1].wait(WAIT)
        runs[1] = start_run(*addresses)

    def stopped_for_longer_than_a_lease() -> None:
        runs[0].send_signal(signal.SIGSTOP)
        late(own_server, "jobs", consumers_of(own_server, runs[0]))
        time.sleep(0.5)  # so that others take what it had
        runs[0].send_signal(signal.SIGCONT)

    def restarted() -> None:
        own_server.stop(signal.SIGKILL)
        own_server.start()

    try:
        wait_for_results(own_server, 10)
        for what in (
            killed,
            own_server.cut,
            interrupted,
            restarted,
            stopped_for_longer_than_a_lease,
            own_server.cut,
        ):
            time.sleep(0.4)  # some work is done in between
            what()
            late(own_server, "jobs", dead)
    finally:
        for run in runs:
            run.kill()
            run.wait(WAIT)
    late(own_server, "jobs")
    pa.run(nap, own_server.address("jobs", drain=1), own_server.address("results", ""), workers=2)
    assert set(results_of(own_server, "results")) == set(range(count))
    assert own_server.pending("jobs") == []


def start_run(*addresses: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *addresses], stderr=subprocess.DEVNULL)


def wait_for_results(server: RedisServer, count: int) -> None:
    deadline = time.monotonic() + WAIT
    while server.client.xlen("results") < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # other processes take their time


def consumers_of(server: RedisServer, run: subprocess.Popen[bytes]) -> set[str]:
    return {consumer for _, consumer, _ in server.pending("jobs") if f"-{run.pid}-" in consumer}


def test_an_interrupted_command_gives_back_what_has_not_begun(
    own_server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "job.py").write_text("import time\ndef work(x):\n    time.sleep(0.05)\n    return x\n")
    own_server.put("jobs", range(200))
    where = ["--from", own_server.address("jobs"), "--to", own_server.address("results", "")]
    command = [sys.executable, "-m", "pullahead", "run", "job.py:work", *where, "-w", "2"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for_results(own_server, 10)
    os.kill(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=WAIT)
    assert run.returncode == 130, said
    assert "interrupted: " in said
    done = own_server.client.xlen("results")
    pending = own_server.pending("jobs")
    assert {(consumer, count) for _, consumer, count in pending} <= {("pullahead-nobody", 0)}
    left = open_source(own_server.address("jobs"))
    with closing(left):
        taken = left.take(1000)
        assert len(taken) + done == 200
        assert {one.attempt for one in taken} == {1}


def test_the_command_refuses_what_a_live_queue_cannot_do(own_server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("def work(x):\n    return x\n")
    where = ["--from", own_server.address("jobs"), "--to", own_server.address("results", "")]
    for option in (["--ordered"], ["--journal", "run.db"]):
        command = [sys.executable, "-m", "pullahead", "run", "job.py:work", *where, *option]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert f"{option[0][2:]}: expected" in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert own_server.client.xinfo_consumers("jobs", "g") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "redis://host/0?group=g"], "--from: expected stream=NAME in the query"),
        (["--from", "unix:///nowhere?stream=s&group=g"], "cannot reach unix:///nowhere"),
        (["--to", "redis://host/0?stream=s&grp=g", "a"], "--to: expected one of stream"),
        (["--to", "redis://host/0?stream=s", "--append", "a"], "which is always added to"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("def work(x):\n    return x\n")
    command = [sys.executable, "-m", "pullahead", "run", "job.py:work", *arguments]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
