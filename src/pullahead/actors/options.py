"""The options of an actor: what is known, what each engine can honour, and how to say no.

An option that is accepted is honoured. Those that only a cluster can honour (resources, placement, a runtime
environment that installs things) are kept apart, and an engine that has none refuses them; those that no
engine here honours (restarts, detached lifetime) raise at once. An option that is quietly ignored is found
out in production.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, final

__all__ = ["Options", "unknown_option"]


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What `@remote(...)` and `.options(...)` accept.

    Args:
        name: register the actor under this name; `get_actor(name)` finds it.
        get_if_exists: with `name`: return the registered actor, if there is one.
        max_concurrency: how many calls may run at once: threads, or coroutines of an async actor.
            None is 1 for threads and 1000 for coroutines.
        parked: how many deferred calls wait for their answers at most, if that is known and no others run
            at once. An engine may then keep each on a thread of its own; with more, it would stand still.
        concurrency_groups: groups of methods with threads of their own: {"control": 1}.
        num_cpus: advisory on one machine.
        num_gpus: devices to give to the process, through CUDA_VISIBLE_DEVICES. A fraction shares one
            device; 0 hides them all; None leaves the environment alone.
        here: start it on the machine of whoever starts it, on a cluster.
        time_limit: seconds that a timer of the actor's notepad may run before the actor is killed.
        env_vars: environment variables, set before the user's class is imported (`runtime_env`).
        cluster: what only a cluster can honour, as Ray's actors take it: resources, memory,
            accelerator_type, label_selector, scheduling_strategy, and what else `runtime_env` has.
    """

    name: str | None = None
    get_if_exists: bool = False
    max_concurrency: int | None = None
    parked: int | None = None
    concurrency_groups: dict[str, int] = field(default_factory=dict)
    num_cpus: float | None = None
    num_gpus: float | None = None
    here: bool = False
    time_limit: float | None = None
    env_vars: dict[str, str] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)

    def merged(self, given: dict[str, Any]) -> Options:
        """Return these options with what a user wrote laid over them."""
        known = {f.name for f in fields(self)} - {"env_vars", "cluster"}
        known |= {"runtime_env", "max_restarts", "max_task_retries", "lifetime"} | _OF_A_CLUSTER
        for name in given.keys() - known:
            raise unknown_option(name, sorted(known))
        changes = dict(given)
        for name in ("max_restarts", "max_task_retries"):
            if changes.pop(name, 0) != 0:
                raise ValueError(f"{name} must be 0: an actor that died stays dead; start another one")
        if changes.pop("lifetime", None) is not None:
            raise ValueError("lifetime must be None: actors end with the program that started them")
        cluster = {name: changes.pop(name) for name in _OF_A_CLUSTER & changes.keys()}
        if "runtime_env" in changes:
            rest = dict(changes.pop("runtime_env") or {})
            changes["env_vars"] = _env_vars(rest.pop("env_vars", {}))
            if rest:
                cluster["runtime_env"] = rest
        changes["cluster"] = self.cluster | {k: v for k, v in cluster.items() if v is not None}
        options = replace(self, **changes)
        options._validate()
        return options

    def _validate(self) -> None:
        if self.name is not None and (not isinstance(self.name, str) or not self.name):
            raise ValueError(f"name must be a non-empty string, got {self.name!r}")
        if self.get_if_exists and self.name is None:
            raise ValueError("get_if_exists=True needs a name")
        for name in ("max_concurrency", "parked"):
            if getattr(self, name) is not None:
                _positive(name, getattr(self, name))
        if self.parked is not None and (self.concurrency_groups or self.max_concurrency not in {None, 1}):
            raise ValueError(
                "parked: calls run one at a time, so max_concurrency and groups do not go with it"
            )
        for group, size in self.concurrency_groups.items():
            _positive(f"concurrency_groups[{group!r}]", size)
        for name in ("num_cpus", "num_gpus", "time_limit"):
            _amount(name, getattr(self, name))
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise ValueError(f"time_limit must be a finite number above 0, got {self.time_limit!r}")


#: Ray's names of what needs a cluster.
_OF_A_CLUSTER: Final = frozenset(
    {"accelerator_type", "label_selector", "memory", "resources", "scheduling_strategy"}
)


def unknown_option(name: str, known: list[str], what: str = "option") -> TypeError:
    """Build the error that names what would have been accepted."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? Known" if close else "known"
    return TypeError(f"unknown {what} {name!r}; {hint}: {', '.join(known)}")


def _positive(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def _amount(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} must be a number of at least 0, got {value!r}")
    if name == "num_gpus" and value > 1 and value != int(value):
        raise ValueError(f"num_gpus above 1 must be whole, got {value!r}")


def _env_vars(given: Any) -> dict[str, str]:
    env_vars = dict(given)
    for key, value in env_vars.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"runtime_env env_vars must be strings, got {key!r}: {value!r}")
    return env_vars
