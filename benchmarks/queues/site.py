"""One contender at work: its consumers are up, items are put, and the log says what became of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from benchmarks.queues.programs import Program, wait_until
from benchmarks.queues.systems import System
from benchmarks.queues.work import SLEEP, Item, Log, Run, item

from pullahead.cli.bench.case import WORKERS

#: Seconds until consumers are up, and in which a round has to be over.
_START: Final = 60.0
_ROUND: Final = 120.0
#: Seconds in which the server has heard of all that has ended.
_PARTING: Final = 2.0
#: More than that often nobody kills a program.
_STARTS: Final = 10
#: Items that are put at first until every worker has had one, and then ever more; and seconds that each
#: takes.
_NAPS: Final = 4 * WORKERS
_NAP: Final = 0.02


@final
class Site:
    """See the module. A context manager, which ends all that it has started.

    Args:
        system: connects to the server, and knows the commands.
    """

    def __init__(self, system: Callable[[], System]) -> None:
        self._stack = ExitStack()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pullahead-queues-")))
            self.errors = folder / "errors"
            self.log = Log(folder / "log")
            self.system = stack.enter_context(closing(system()))
            environment = {**self.system.environment, **self.log.environment}
            self.programs = [Program(one, environment, self.errors) for one in self.system.commands]
            for program in self.programs:
                stack.callback(program.close)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def warm(self) -> None:
        """Wait until every worker has worked.

        Raises:
            RuntimeError: they do not come up.
        """
        deadline, naps = time.monotonic() + _START, _NAPS
        while len({run.pid for run in self.log.runs()}) < WORKERS:
            if time.monotonic() > deadline:
                raise self._error("its workers did not come up")
            self.run([item(number, _NAP, kind=SLEEP) for number in range(naps)])
            naps *= 2  # whoever fetches many leaves few to others

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Work for a while. Who waits for a turn is stopped: some look for items many times a second."""
        for program in self.programs:
            program.resume()
        yield
        wait_until(lambda: not self.system.waiting(), _PARTING)  # what has ended may not be acknowledged yet
        self.rest()

    def rest(self) -> None:
        """Wait for a turn."""
        for program in self.programs:
            program.pause()

    def run(self, items: Sequence[Item]) -> list[Run]:
        """Put items all at once; return how they were run, once all have ended."""
        self.log.clear()
        self.system.put_all(items)
        return self.ended(len(items))

    def run_on_time(self, items: Sequence[Item], arrivals: Sequence[float]) -> tuple[list[float], list[Run]]:
        """Put items at their times; return when that was, and how they were run, once all have ended."""
        self.log.clear()
        begin, puts = time.monotonic(), []
        for one, arrival in zip(items, arrivals, strict=True):
            time.sleep(max(0.0, begin + arrival - time.monotonic()))
            puts.append(time.monotonic())
            self.system.put(one)
        return puts, self.ended(len(items))

    def ended(self, items: int) -> list[Run]:
        """Wait until each of so many items has ended."""
        if not wait_until(lambda: self._is_over(items), _ROUND):
            raise self._error(f"after {_ROUND:g} s, {self.log.records // 2} of {items} items had ended")
        return self.log.runs()

    def _is_over(self, items: int) -> bool:
        """Look at the size of the log, and only then into it: an item may have been run twice."""
        if self.log.records < 2 * items:
            if max(program.starts for program in self.programs) > _STARTS:
                raise self._error("a consumer ends whenever it is started")
            return False
        return len({run.number for run in self.log.runs() if run.ended is not None}) == items

    def _error(self, what: str) -> RuntimeError:
        said = self.errors.read_text(errors="replace")[-2000:]
        return RuntimeError(f"{what}; its consumers said: {said or 'nothing'}")
