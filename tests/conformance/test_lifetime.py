"""Names, deaths, handles that travel, the surroundings of an actor, init and shutdown."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.cast import Caller, Counter, Faulty, Surroundings
from tests.differences import Differences
from tests.engines import said_after_kill

from pullahead import actors
from pullahead.errors import ActorDiedError, PullaheadError


def test_named_actors() -> None:
    counter = Counter.options(name="named").remote(5)
    assert actors.get_actor("named") == counter
    assert actors.get(actors.get_actor("named").add.remote()) == 6
    assert actors.get(Caller.remote().find.remote("named")) == 7
    with pytest.raises(ValueError, match="the name 'named' is taken"):
        Counter.options(name="named").remote()
    again = Counter.options(name="named", get_if_exists=True).remote(100)
    assert (again, actors.get(again.add.remote())) == (counter, 8)
    fresh = Counter.options(name="fresh", get_if_exists=True).remote(100)
    assert actors.get(fresh.add.remote()) == 101


def test_a_name_is_free_after_a_death() -> None:
    first = Counter.options(name="reused").remote()
    actors.kill(first)
    second = Counter.options(name="reused").remote(10)
    assert actors.get(second.add.remote()) == 11
    ending = Faulty.options(name="ending").remote()
    with pytest.raises(ActorDiedError):
        actors.get(ending.os_exit.remote(1))
    with pytest.raises(ValueError, match="there is no actor named 'ending'"):
        actors.get_actor("ending")


@pytest.mark.parametrize("name", ["", None, 3])
def test_get_actor_needs_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match="needs a non-empty name"):
        actors.get_actor(name)


def _die(call: Any) -> ActorDiedError:
    with pytest.raises(ActorDiedError) as caught:
        actors.get(call)
    return caught.value


@pytest.mark.parametrize(
    ("method", "argument", "exitcode", "elsewhere"),
    [
        ("exit", 3, 3, 3),
        ("exit", None, 0, 0),
        ("exit", "a message", 1, 1),
        ("os_exit", 4, 4, None),
        ("signal", signal.SIGKILL, -9, None),
        ("signal", signal.SIGTERM, -15, 1),  # Ray makes an exit of it
    ],
)
def test_a_death_fails_pending_and_later_calls(
    method: str, argument: Any, exitcode: int, elsewhere: int | None, differs: Differences
) -> None:
    """`elsewhere`: what is known of it where an engine knows less."""
    exitcode_known = exitcode if differs.knows_exits else elsewhere
    faulty = Faulty.remote()
    pid = actors.get(faulty.pid.remote())
    dying = getattr(faulty, method).remote(argument)
    behind = faulty.pid.remote()
    for ref in (dying, behind, faulty.pid.remote()):
        error = _die(ref)
        assert (error.actor, error.pid, error.exitcode) == ("Faulty", pid, exitcode_known)
        assert (error.detail == "") == (exitcode_known is not None)


def test_an_interrupt_ends_an_actor_unless_its_engine_keeps_it_away(differs: Differences) -> None:
    faulty = Faulty.remote()
    interrupted = faulty.interrupt.remote()
    if differs.takes_interrupts:
        assert _die(interrupted).exitcode == -signal.SIGINT
    else:
        assert actors.get(interrupted) is None


def test_a_segfault_is_a_death(differs: Differences) -> None:
    faulty = Faulty.remote()
    assert _die(faulty.segfault.remote()).exitcode == (-signal.SIGSEGV if differs.knows_exits else None)


def test_replies_sent_before_a_death_count(differs: Differences) -> None:
    faulty = Faulty.remote()
    refs = [faulty.sleep.remote(0) for _ in range(100)]
    dying = faulty.os_exit.remote(1)
    _die(dying)
    if differs.keeps_last_replies:
        assert actors.get(refs) == ["slept"] * 100
        return
    died = 0
    for ref in refs:
        try:
            assert actors.get(ref) == "slept"
            assert not died  # what is lost are the last ones
        except ActorDiedError:
            died += 1


def test_kill(differs: Differences) -> None:
    faulty = Faulty.options(name="victim").remote()
    pid = actors.get(faulty.pid.remote())
    pending = faulty.sleep.remote(60)
    actors.kill(faulty)
    for error in (_die(pending), said_after_kill(faulty.pid, differs)):
        assert (error.actor, error.pid, error.exitcode) == ("Faulty 'victim'", pid, -9)
        assert str(error) == f"actor Faulty 'victim' (pid {pid}) died: killed by SIGKILL, by kill()"
    actors.kill(faulty)
    with pytest.raises(TypeError, match="needs an actor handle"):
        actors.kill(pid)
    with pytest.raises(ValueError, match="no_restart must be True"):
        actors.kill(faulty, no_restart=False)


def test_an_actor_can_kill_and_see_deaths(differs: Differences) -> None:
    victim, killer = Counter.remote(), Caller.remote()
    actors.get(killer.me.remote(victim))
    assert actors.get(killer.add.remote()) == 1
    actors.get(killer.kill.remote(victim))
    assert re.match(r"actor Counter .* by kill", str(said_after_kill(killer.add, differs)))


def test_a_handle_that_arrives_after_the_death(differs: Differences) -> None:
    victim, late = Counter.remote(), Caller.remote()
    actors.get(late.echo.remote(1))
    actors.kill(victim)
    said_after_kill(victim.add, differs)
    actors.get(late.me.remote(victim))
    with pytest.raises(ActorDiedError, match="Counter"):
        actors.get(late.add.remote())


def _call_until_it_dies(counter: Any) -> None:
    while True:
        actors.get(counter.add.remote())


def test_actors_create_actors_that_outlive_them(differs: Differences) -> None:
    parent = Caller.remote()
    child = actors.get(parent.create.remote(20))
    assert actors.get(child.add.remote()) == 21
    actors.kill(parent)
    said_after_kill(parent.pid, differs)
    if not differs.orphans_live:
        with pytest.raises(ActorDiedError):
            _call_until_it_dies(child)
        return
    assert actors.get(child.add.remote()) == 22
    assert actors.get(Caller.remote(child).add.remote()) == 23


def test_an_actor_may_hold_a_handle_to_itself() -> None:
    caller = Caller.remote()
    actors.get(caller.me.remote(caller))
    assert actors.get(actors.get(caller.later_to_self.remote(5))) == 5


def test_actors_talk_to_each_other_directly() -> None:
    counter = Counter.remote()
    callers = [Caller.remote(counter) for _ in range(4)]
    results = actors.get([caller.add.remote() for caller in callers for _ in range(50)])
    assert sorted(results) == list(range(1, 201))


def test_an_actor_has_the_drivers_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, differs: Differences
) -> None:
    before = str(Path.cwd())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULLAHEAD_TEST", "driver")
    monkeypatch.setattr(sys, "argv", ["prog", "arg"])
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    actor = Surroundings.remote()
    assert actors.get(actor.cwd.remote()) == (str(tmp_path) if differs.surrounds else before)
    assert actors.get(actor.environ.remote("PULLAHEAD_TEST")) == ("driver" if differs.surrounds else None)
    assert actors.get(actor.argv.remote()) == ["prog", "arg"]
    assert set(sys.path) <= set(actors.get(actor.path.remote()))
    if differs.surrounds:
        assert actors.get(actor.path.remote()) == sys.path
    monkeypatch.delenv("PULLAHEAD_TEST")
    assert actors.get(Surroundings.remote().environ.remote("PULLAHEAD_TEST")) is None


def test_environment_variables_are_set_before_the_class_is_imported() -> None:
    chosen = Surroundings.options(runtime_env={"env_vars": {"PULLAHEAD_TEST": "chosen"}}).remote()
    assert actors.get(chosen.environ.remote("PULLAHEAD_TEST")) == "chosen"
    assert "PULLAHEAD_TEST" not in os.environ


def test_init_twice(engine: str) -> None:
    with pytest.raises(RuntimeError, match="runs already"):
        actors.init()
    actors.init(engine, ignore_reinit_error=True)
    with pytest.raises(ValueError, match="unknown engine 'dask'; known: local, ray"):
        actors.init("dask")


def test_an_actor_cannot_start_or_end_the_engine() -> None:
    caller = Caller.remote()
    with pytest.raises(RuntimeError, match="runs already"):
        actors.get(caller.init_again.remote())
    with pytest.raises(RuntimeError, match="for the program that started the engine"):
        actors.get(caller.shut_down.remote())


def test_shutdown_and_init_again(engine: str, differs: Differences) -> None:
    counter = Counter.remote()
    pending = Faulty.remote().sleep.remote(60)
    done = counter.add.remote()
    actors.get(done)
    actors.shutdown()
    actors.shutdown()
    assert actors.get(done) == 1
    if differs.knows_shutdown:
        with pytest.raises(ActorDiedError, match=r"by shutdown\(\)"):
            actors.get(pending)
    with pytest.raises(PullaheadError):
        actors.get(pending)
    with pytest.raises(PullaheadError):
        pending.future().result(timeout=10)
    with pytest.raises(PullaheadError):
        actors.get(counter.add.remote())
    actors.init(engine)
    assert actors.get(Counter.remote(2).add.remote()) == 3
    with pytest.raises(PullaheadError):
        actors.get(counter.add.remote())


def test_first_use_starts_the_local_engine() -> None:
    actors.shutdown()
    assert actors.get(actors.put(1)) == 1
    with pytest.raises(RuntimeError, match="the engine 'local' runs already"):
        actors.init()
