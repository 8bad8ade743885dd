"""Procrastinate on PostgreSQL. A worker is a process; there are two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from benchmarks.queues.systems import (
    KILLS,
    LOAD,
    MIXED,
    NOOP,
    SHORT,
    START,
    Settings,
    for_consumers,
    told,
)
from benchmarks.queues.work import Item, load_and_process

from pullahead.cli.bench.case import WORKERS

DEFAULT: Final = Settings(programs=WORKERS)

#: "Tasks": a coroutine runs on the worker's own loop, without a thread for each job. "Concurrency": jobs at a
#: time in one worker, so that one is fetched and another one ended meanwhile. "Delete finished jobs": the
#: table stays small.
_MANY: Final = Settings(
    {"is_async": True}, ("--concurrency", "10", "--delete-jobs", "successful"), programs=WORKERS
)
_ONE: Final = Settings(
    {"is_async": True}, ("--concurrency", "1", "--delete-jobs", "successful"), programs=WORKERS
)
#: What waits does so in threads, where it blocks nobody.
_THREADS: Final = Settings(arguments=("--concurrency", "10", "--delete-jobs", "successful"), programs=WORKERS)
#: "Retry stalled jobs": a periodic task, here each fifth second, with seconds_since_heartbeat as short as a
#: lease of ours.
_SAFE: Final = Settings({"retry_stalled": 30.0}, ("--delete-jobs", "successful"), programs=WORKERS)
BEST: Final = {NOOP: _MANY, SHORT: _MANY, LOAD: _THREADS, MIXED: _ONE, START: _ONE, KILLS: _SAFE}


async def _as_coroutine(item: Item) -> None:
    load_and_process(*item)


def _as_function(item: Item) -> None:
    load_and_process(*item)


def _made(url: str, settings: Mapping[str, Any]) -> Any:
    """Return an app, and its task for items as its attribute `work`."""
    from procrastinate import App, PsycopgConnector

    made: Any = App(connector=PsycopgConnector(conninfo=url))
    work = _as_coroutine if settings.get("is_async") else _as_function
    made.work = made.task(name="work")(work)
    seconds = settings.get("retry_stalled")
    if seconds is not None:

        async def retry_stalled_jobs(context: Any, timestamp: int) -> None:
            for job in await made.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
                await made.job_manager.retry_job(job)

        task = made.task(retry_stalled_jobs, queueing_lock="retry_stalled_jobs", pass_context=True)
        made.periodic(cron="* * * * * */5")(task)
    return made


#: What `python -m procrastinate --app` finds in a consumer.
app = None if (_told := told()) is None else _made(**_told)


@final
class OnPostgres:
    """Two workers. `url`: the server and a database of its own."""

    def __init__(self, url: str, settings: Settings) -> None:
        base = ["-m", "procrastinate", "--app", f"{__name__}.app", "worker"]
        self.commands = [[*base, *settings.arguments] for _ in range(settings.programs)]
        self.environment = for_consumers(url, settings)
        self._app = _made(url, settings.app)
        self._app.connector.get_sync_connector().open()
        self._app.schema_manager.apply_schema()

    def put_all(self, items: Sequence[Item]) -> None:
        """Put all of them in one statement."""
        self._app.work.batch_defer(*({"item": item} for item in items))

    def put(self, item: Item) -> None:
        """Put one."""
        self._app.work.defer(item=item)

    def waiting(self) -> int:
        """Count the jobs that are to be done, or that somebody has."""
        return self._count("todo") + self._count("doing")

    def failed(self) -> int:
        """Count those."""
        return self._count("failed")

    def _count(self, status: str) -> int:
        return len(list(self._app.job_manager.list_jobs(task="work", status=status)))

    def close(self) -> None:
        """Let go of the connections."""
        self._app.close()
