"""Workers that pull their next work while they compute the current one.

    import pullahead as pa

    for result in pa.map(work, items):
        ...

The main job is `map` (`run` drains into a sink, a `Pool` keeps its workers). `overlap` is the pattern as one
line, anywhere. `init`, `remote`, `get` and the rest are actors on this machine, with Ray's names and meaning.
Errors live in `pullahead.errors`, sources and sinks in `pullahead.sources`.

What a name needs is imported when it is first used: whoever wants `overlap` does not wait for the rest, and
the processes of actors do without what only a driver needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pullahead._version import __version__
from pullahead.errors import PullaheadError

if TYPE_CHECKING:
    from pullahead.actors import ObjectRef, get, get_actor, init, kill, put, remote, shutdown, wait
    from pullahead.farm.failure import Failure, Reject, RetryLater
    from pullahead.farm.pool import Pool, map, run
    from pullahead.observe.report import Report
    from pullahead.overlapping import overlap

__all__ = [
    "Failure",
    "ObjectRef",
    "Pool",
    "PullaheadError",
    "Reject",
    "Report",
    "RetryLater",
    "__version__",
    "get",
    "get_actor",
    "init",
    "kill",
    "map",
    "overlap",
    "put",
    "remote",
    "run",
    "shutdown",
    "wait",
]

_ACTORS: Final = ("ObjectRef", "get", "get_actor", "init", "kill", "put", "remote", "shutdown", "wait")
_HOMES: Final = {
    **dict.fromkeys(_ACTORS, "actors"),
    **dict.fromkeys(("Failure", "Reject", "RetryLater"), "farm.failure"),
    **dict.fromkeys(("Pool", "map", "run"), "farm.pool"),
    "Report": "observe.report",
    "overlap": "overlapping",
}
#: Rooms that can be looked into without an import of their own; `errors` is here anyway.
_ROOMS: Final = ("actors", "journal", "sources")

if not TYPE_CHECKING:  # a type checker would believe that there is every name

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"{__name__}.{name}")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "errors", *_ROOMS])
