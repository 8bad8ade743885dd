"""The pattern itself, with actors: ask for the next item before computing the current one.

A queue actor hands out files, two worker actors compress them. `overlap` keeps the next items on their way
while `process` runs, as many as the measured times demand.
"""

import ast
import lzma
from pathlib import Path
from typing import Any

import pullahead as pa

# Type checkers do not see what a class decorator adds.
# mypy: disable-error-code="attr-defined"


@pa.remote
class WorkQueue:
    def __init__(self, items: list[Path]) -> None:
        self.items = items

    def get_work_item(self) -> Path | None:
        return self.items.pop() if self.items else None

    def put_back(self, item: Path) -> None:
        self.items.append(item)


@pa.remote
class Worker:
    def __init__(self, work_queue: Any) -> None:
        self.work_queue = work_queue

    def run(self) -> dict[str, int]:
        fetch, put_back = self.work_queue.get_work_item.remote, self.work_queue.put_back.remote
        return {path.name: self.process(path) for path in pa.overlap(fetch, give_back=put_back)}

    def process(self, path: Path) -> int:
        return len(lzma.compress(path.read_bytes()))


queue = WorkQueue.remote(sorted(Path(ast.__file__).parent.glob("*.py"))[:40])
for sizes in pa.get([worker.run.remote() for worker in [Worker.remote(queue), Worker.remote(queue)]]):
    print(f"one worker: {len(sizes)} files, {sum(sizes.values()):,} bytes")
