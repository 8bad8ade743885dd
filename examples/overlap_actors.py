"""The pattern itself, with actors: ask for the next item before computing the current one.

A queue actor hands out files, two worker actors compress them. `overlap` keeps the next items on their way
while `process` runs, as many as the measured times demand.
"""

# Type checkers do not see what a class decorator adds.
# mypy: disable-error-code="attr-defined"

import ast
import lzma
from pathlib import Path
from typing import Any

import pullahead as pa


@pa.remote
class WorkQueue:
    def __init__(self, items: list[Path]) -> None:
        self.items = items

    def get_work_item(self) -> Path | None:
        return self.items.pop() if self.items else None


@pa.remote
class Worker:
    def run(self, queue: Any) -> dict[str, int]:
        return {path.name: self.process(path) for path in pa.overlap(queue.get_work_item.remote)}

    def process(self, path: Path) -> int:
        return len(lzma.compress(path.read_bytes()))


queue = WorkQueue.remote(sorted(Path(ast.__file__).parent.glob("*.py"))[:40])
workers = [Worker.remote(), Worker.remote()]
for sizes in pa.get([worker.run.remote(queue) for worker in workers]):
    print(f"one worker: {len(sizes)} files, {sum(sizes.values()):,} bytes")
