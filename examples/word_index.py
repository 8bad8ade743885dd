"""A class as work: built once in each worker, it loads, processes and stores.

`load` runs ahead and `store` behind, several at a time, both while `process` computes. What `store` returns
is the result. An item that fails is a value here, with its error, and the others go on.
"""

import ast
import json
import re
import tempfile
from collections import Counter
from pathlib import Path

import pullahead as pa


class Index:
    def __init__(self) -> None:  # the place for whatever is slow to build: a model, a connection
        self.word = re.compile(r"[a-z]{4,}")
        self.folder = Path(tempfile.gettempdir())

    def load(self, path: Path) -> str:
        return path.read_text()

    def process(self, text: str) -> Counter[str]:
        return Counter(self.word.findall(text))

    def store(self, counts: Counter[str], path: Path) -> tuple[str, int]:
        with tempfile.TemporaryFile("w", dir=self.folder) as out:
            json.dump(counts, out)
        return path.name, counts.total()


files = sorted(Path(ast.__file__).parent.glob("c*.py"))
for result in pa.map(Index, [*files, Path("no such file")], on_error="collect"):
    print(result.error if isinstance(result, pa.Failure) else f"{result[0]}: {result[1]:,} words")
