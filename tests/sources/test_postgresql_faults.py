"""What goes wrong with PostgreSQL: nothing is lost or recorded twice; what stays wrong is said in a line."""

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
from tests.sources.postgresql import PostgresServer

import pullahead as pa
from pullahead.errors import SourceError
from pullahead.sources import open_source
from pullahead.sources.postgresql import PostgresQueue, PostgresSource, server
from pullahead.sources.reach import Away

WAIT = 30.0

#: Each result is written once.
ONCE = Counter(dict.fromkeys(range(300), 1))


def test_a_server_that_is_restarted_in_the_middle(own_postgres: PostgresServer) -> None:
    own_postgres.put("jobs", range(300))
    own_postgres.log_results()

    def restart() -> None:
        own_postgres.stop()
        time.sleep(0.5)  # so long it is away; who takes from it notices
        own_postgres.start()

    sink = Meanwhile(100, restart)
    report = pa.run(nap, own_postgres.address("jobs", drain=1), sink, workers=2)
    assert set(sink.seen) == set(range(300))
    assert report.done == sink.seen.total()
    assert own_postgres.written() == ONCE
    assert own_postgres.rows("jobs", "item, state, result") == [(x, "done", x) for x in range(300)]


def test_connections_that_are_cut_again_and_again(own_postgres: PostgresServer) -> None:
    own_postgres.put("jobs", range(300))
    own_postgres.log_results()
    over = threading.Event()
    seen: Counter[int] = Counter()

    def cut() -> None:
        before = 0
        while not over.wait(0.05):
            if seen.total() > before:  # on a crowded machine a connection takes longer than that
                before = seen.total()
                own_postgres.cut()

    helper = threading.Thread(target=cut)
    helper.start()
    try:
        address = own_postgres.address("jobs", drain=1)
        report = pa.run(nap, address, lambda result, item: seen.update([item]), workers=2)
    finally:
        over.set()
        helper.join()
    assert report.done >= 300
    assert own_postgres.written() == ONCE
    assert own_postgres.rows("jobs", "item, state, result") == [(x, "done", x) for x in range(300)]


@pytest.mark.parametrize("wait", [0.0, 5.0])
def test_a_batch_whose_answer_was_lost_is_not_lost(postgres: PostgresServer, wait: float) -> None:
    name = postgres.new_queue()
    postgres.put(name, range(5))
    source = PostgresSource(postgres.address(name))
    ask = source._server.ask

    def lose_the_answer(statements: Any) -> Any:
        ask(statements)
        source._server.ask = ask  # type: ignore[method-assign]
        raise Away("server closed the connection unexpectedly")

    with closing(source):
        (first,) = source.take(1)
        source._server.ask = lose_the_answer  # type: ignore[method-assign]
        assert source.take(10, wait) == []
        assert len([one for one in postgres.rows(name, "state") if one == ("out",)]) == 5
        found = source.take(10, WAIT)
        assert sorted((one.item, one.attempt) for one in found) == [(1, 1), (2, 1), (3, 1), (4, 1)]
        source.done(first.token)
        source.give_back([one.token for one in found])
    assert postgres.rows(name, "state, attempts") == [("done", 1)] + [("waiting", 0)] * 4


def test_ends_whose_answer_was_lost_are_told_again_and_count_once(postgres: PostgresServer) -> None:
    name = postgres.new_queue()
    postgres.put(name, range(3))
    source = PostgresSource(postgres.address(name, retries=1, retry_delay=1000))
    ask = source._server.ask

    def lose_the_answer(statements: Any) -> Any:
        ask(statements)
        source._server.ask = ask  # type: ignore[method-assign]
        raise Away("server closed the connection unexpectedly")

    with closing(source):
        done, failed, returned = source.take(3)
        source.keep_result(done.token, "result")
        source.done(done.token)
        source.failed(failed.token, "no", 1)
        source.give_back([returned.token], 1000.0)
        source._server.ask = lose_the_answer  # type: ignore[method-assign]
        source.extend([], 30.0)
    rows = postgres.rows(name, "state, attempts, result, reason")
    assert rows == [("done", 1, "result", None), ("waiting", 1, None, "no"), ("waiting", 0, None, None)]


def test_what_was_noted_while_a_server_was_away_is_told(own_postgres: PostgresServer) -> None:
    own_postgres.put("jobs", range(3))
    source = open_source(own_postgres.address("jobs"))
    done, failed, returned = source.take(3)
    own_postgres.stop()
    source.done(done.token)
    source.failed(failed.token, "no", 1)
    source.give_back([returned.token])
    assert source.take(1, 0.01) == []  # that is how it finds out
    own_postgres.start()
    source.close()
    assert own_postgres.rows("jobs", "state, attempts") == [("done", 1), ("dead", 1), ("waiting", 0)]


def test_who_waits_hears_of_new_items_after_a_restart(own_postgres: PostgresServer) -> None:
    with closing(open_source(own_postgres.address("jobs"))) as source:
        assert source.take(1, 0.01) == []
        own_postgres.stop()
        own_postgres.start()
        for _ in range(20):  # the first of these find out that it was away
            assert source.take(1, 0.05) == []
        threading.Timer(0.2, lambda: own_postgres.put("jobs", [7])).start()
        before = time.monotonic()
        assert [one.item for one in source.take(1, WAIT)] == [7]
        assert time.monotonic() - before < 5.0  # not only when it looks by itself, after ten seconds


def test_a_server_that_stays_away_ends_the_run_in_a_line(own_postgres: PostgresServer) -> None:
    own_postgres.put("jobs", range(300))
    sink = Meanwhile(20, own_postgres.stop)
    with pytest.raises(SourceError, match="went away and did not come back") as caught:
        pa.run(nap, own_postgres.address("jobs", drain=1, patience=0.5), sink, workers=2)
    assert "\n" not in str(caught.value)
    own_postgres.start()
    own_postgres.late("jobs")  # nobody waits for the leases of the first run
    pa.run(nap, own_postgres.address("jobs", drain=1), workers=2)
    assert own_postgres.rows("jobs", "item, state, result") == [(x, "done", x) for x in range(300)]


def test_a_table_that_is_locked_is_waited_for(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOCK_MS", 100)
    own_postgres.put("jobs", range(300))
    own_postgres.log_results()

    def lock() -> None:
        own_postgres.execute("BEGIN")
        own_postgres.execute("LOCK TABLE pullahead.items IN ACCESS EXCLUSIVE MODE")
        threading.Timer(1.0, lambda: own_postgres.execute("COMMIT")).start()

    pa.run(nap, own_postgres.address("jobs", drain=1), Meanwhile(50, lock), workers=2)
    assert own_postgres.written() == ONCE


def test_a_table_that_stays_locked_ends_the_run_in_a_line(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOCK_MS", 100)
    own_postgres.put("jobs", range(300))

    def lock() -> None:
        own_postgres.execute("BEGIN")
        own_postgres.execute("LOCK TABLE pullahead.items IN ACCESS EXCLUSIVE MODE")

    with pytest.raises(SourceError, match="did not come back: canceling statement due to lock") as caught:
        pa.run(nap, own_postgres.address("jobs", patience=0.3), Meanwhile(50, lock), workers=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ALTER ROLE postgres PASSWORD 'other'", 'refuses us: password authentication failed for user "po'),
        ("DROP SCHEMA pullahead CASCADE", "expected the tables of a queue, got none that fit .relation"),
    ],
)
def test_what_no_waiting_mends_ends_the_run_at_once_in_a_line(
    own_postgres: PostgresServer, text: str, said: str
) -> None:
    own_postgres.put("jobs", range(300))

    def change() -> None:
        own_postgres.execute(text)
        own_postgres.cut()

    with pytest.raises(SourceError, match=said) as caught:
        pa.run(nap, own_postgres.address("jobs"), Meanwhile(50, change), workers=2)
    assert "\n" not in str(caught.value)


SCRIPT = """
import sys, time
import pullahead as pa

def work(x):
    time.sleep(0.02)
    return x

pa.run(work, sys.argv[1], workers=2)
"""


def start_run(address: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, address], stderr=subprocess.DEVNULL)


def wait_until_done(own_postgres: PostgresServer, count: int) -> None:
    deadline = time.monotonic() + WAIT
    while sum(one == ("done",) for one in own_postgres.rows("jobs", "state")) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)  # the other process takes its time


@pytest.mark.timeout(120)  # of which it needs fifteen seconds; each of five processes takes a second to begin
def test_whatever_happens_to_processes_and_server_results_are_there_once(
    own_postgres: PostgresServer,
) -> None:
    own_postgres.put("jobs", range(600))
    own_postgres.log_results()
    address = own_postgres.address("jobs")
    runs = [start_run(address) for _ in range(2)]
    killed: list[int] = []

    def kill() -> None:
        runs[0].kill()
        runs[0].wait(WAIT)
        killed.append(runs[0].pid)
        runs[0] = start_run(address)

    def interrupt() -> None:
        runs[1].send_signal(signal.SIGINT)
        runs[1].wait(WAIT)
        runs[1] = start_run(address)

    def stop_for_longer_than_a_lease() -> None:
        runs[0].send_signal(signal.SIGSTOP)
        own_postgres.late("jobs", of=f"-{runs[0].pid}-")
        time.sleep(0.5)  # so that others take what it had
        runs[0].send_signal(signal.SIGCONT)

    def restart() -> None:
        own_postgres.stop()
        own_postgres.start()

    try:
        wait_until_done(own_postgres, 20)
        for what in (
            kill,
            own_postgres.cut,
            interrupt,
            restart,
            stop_for_longer_than_a_lease,
            own_postgres.cut,
        ):
            what()
            for pid in killed:
                own_postgres.late("jobs", of=f"-{pid}-")
            time.sleep(0.4)  # some work is done in between
    finally:
        for run in runs:
            run.kill()
            run.wait(WAIT)
    own_postgres.late("jobs")
    pa.run(nap, own_postgres.address("jobs", drain=1), workers=2)
    assert own_postgres.written() == Counter(range(600))
    assert own_postgres.rows("jobs", "item, state, result") == [(x, "done", x) for x in range(600)]


def test_a_killed_run_had_little_and_an_interrupted_one_gives_it_back(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "job.py").write_text("import time\ndef work(x):\n    time.sleep(0.05)\n    return x\n")
    own_postgres.put("jobs", range(200))
    words = ["run", "job.py:work", "--from", own_postgres.address("jobs"), "--to", "out.jsonl", "-w", "2"]
    command = [sys.executable, "-m", "pullahead", *words]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_until_done(own_postgres, 10)
    assert sum(one == ("out",) for one in own_postgres.rows("jobs", "state")) <= 20
    os.kill(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=WAIT)
    assert run.returncode == 130, said
    assert "interrupted: " in said
    states = Counter(own_postgres.rows("jobs", "state, attempts"))
    assert set(states) <= {("done", 1), ("waiting", 0), ("ready", 0)}
    assert states.total() == 200
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == states["done", 1]


def test_what_is_extended_does_not_wait_for_an_end_that_must_wait(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOCK_MS", 100)
    own_postgres.execute("CREATE TABLE films (id int PRIMARY KEY, words text)")
    own_postgres.execute("INSERT INTO films VALUES (1), (2)")
    with PostgresQueue(own_postgres.address("jobs")) as queue:
        queue.adopt("films", result="words")
    with closing(PostgresSource(own_postgres.address("jobs"))) as source:
        ended, kept = source.take(2)
        own_postgres.execute("BEGIN")
        own_postgres.execute("SELECT FROM films WHERE id = 1 FOR UPDATE")
        source.keep_result(ended.token, "a")
        source.done(ended.token)
        source._lease = 500.0
        source._notes.extended[kept.token] = None
        with pytest.raises(Away, match="lock timeout"):
            source._exchange()
        own_postgres.execute("COMMIT")
        rows = own_postgres.rows("jobs", "state, due > now() + interval '400 s'")
        assert rows == [("out", False), ("out", True)]
    assert own_postgres.rows("jobs", "state") == [("done",), ("out",)]


def test_listening_ends_no_outage(postgres: PostgresServer) -> None:
    with closing(PostgresSource(postgres.address(postgres.new_queue()))) as source:
        source._server.reach(lambda: (_ for _ in ()).throw(Away("locked")))
        assert source._server.was_away
        assert source.wanted() == 0
        assert source._server._outage.retry_at is not None


def test_a_connection_that_cannot_be_set_up_is_let_go(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.address(postgres.new_queue())
    with closing(PostgresSource(address)) as source:
        source._server.close()
        set_up = source._server._set_up

        def refuse(made: Any) -> None:
            made.execute("SELECT 1 / 0")

        monkeypatch.setattr(source._server, "_set_up", refuse)
        with pytest.raises(SourceError, match="division by zero"):
            source.take(1)
        assert source._server._connection is None
        monkeypatch.setattr(source._server, "_set_up", set_up)
        assert source.take(1) == []


def test_a_server_that_has_stopped_in_its_tracks_is_away(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_ANSWER", 0.5)
    own_postgres.put("jobs", range(2))
    with closing(PostgresSource(own_postgres.address("jobs"))) as source:
        (one,) = source.take(1)
        (pid,) = own_postgres.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'pullahead'"
        )[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            before = time.monotonic()
            assert source.take(1) == []
            assert time.monotonic() - before < 10.0
            assert source._server.was_away
        finally:
            os.kill(pid, signal.SIGCONT)
        assert [again.item for again in source.take(1, WAIT)] == [1]
        source.done(one.token)


def test_a_server_where_nobody_can_listen_is_refused_in_a_line(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, made: Any) -> None:
        made.execute("SET TRANSACTION READ ONLY; SELECT 1 / 0")

    monkeypatch.setattr(server.Server, "_set_up", refuse)
    with pytest.raises(SourceError, match="division by zero") as caught:
        open_source(postgres.address("jobs"))
    assert "\n" not in str(caught.value)
