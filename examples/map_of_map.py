"""A map that feeds a map: two steps, each with workers of its own, running at the same time.

Results of the first go into the second as they come. Nothing piles up in between: when the second step is
the slower one, the first waits, and its report says so.
"""

import ast
from pathlib import Path

import pullahead as pa


def functions(path: Path) -> list[str]:
    tree = ast.parse(path.read_bytes())
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def longest(sources: list[str]) -> int:
    return max((source.count("\n") + 1 for source in sources), default=0)


files = sorted(Path(ast.__file__).parent.glob("[a-d]*.py"))
parsed = pa.map(functions, files, workers=2)
lengths = list(pa.map(longest, parsed, workers=1))
for length, path in sorted(zip(lengths, files, strict=True), reverse=True)[:3]:
    print(f"{path.name}: a function of {length} lines")
