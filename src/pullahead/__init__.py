"""Workers that pull their next work while they compute the current one.

    import pullahead as pa

    for result in pa.map(work, items):
        ...

The main job is `map` (`run` drains into a sink, a `Pool` keeps its workers). `overlap` is the pattern as one
line, anywhere. `init`, `remote`, `get` and the rest are actors on this machine, with Ray's names and meaning.
Errors live in `pullahead.errors`, sources and sinks in `pullahead.sources`.
"""

from pullahead._version import __version__
from pullahead.actors import ObjectRef, get, get_actor, init, kill, put, remote, shutdown, wait
from pullahead.errors import PullaheadError
from pullahead.farm.failure import Failure, Reject, RetryLater
from pullahead.farm.pool import Pool, map, run
from pullahead.observe.report import Report
from pullahead.overlap import overlap

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
