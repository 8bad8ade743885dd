"""Nothing in the core can wait, read a clock, draw a random number, do input or output, or log."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pullahead.core

CORE = Path(str(pullahead.core.__file__)).parent

#: What the core may import besides itself and the errors: modules that only compute. Everything else is
#: forbidden by not being here; time, random, threading, asyncio, socket, select, queue, logging, datetime,
#: os, sys, io and subprocess are why this test exists.
PURE = {
    "__future__",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "typing",
}
#: Builtins that would get past the imports, and ones that do input or output themselves.
FORBIDDEN_CALLS = {
    "open",
    "print",
    "input",
    "exec",
    "eval",
    "compile",
    "__import__",
    "breakpoint",
    "id",
    "hash",
}


def impurities(source: str) -> list[str]:
    """Say each thing that a module of the core must not do, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            # `from pullahead import farm` names a module by what it imports.
            names = [f"{origin}.{alias.name}" for alias in node.names] if origin == "pullahead" else [origin]
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS
        ):
            found.append(f"line {line}: calls {node.func.id}()")
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            found.append(f"line {line}: is async")
        for name in names:
            ours = name == "pullahead.errors" or (name + ".").startswith("pullahead.core.")
            if not ours and name not in PURE:
                found.append(f"line {line}: imports {name}")
    return found


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: path.stem)
def test_the_core_is_pure(path: Path) -> None:
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "def f():\n    import random",
        "import os.path",
        "from threading import Lock",
        "import math, socket",
        "from pullahead import farm",
        "import pullahead.actors",
        "from pullahead.farm.queue import Queue",
        "from . import pipeline",
        "from ..farm import queue",
        "open('x')",
        "async def f(): pass",
    ],
)
def test_the_check_finds(source: str) -> None:
    assert len(impurities(source)) == 1


@pytest.mark.parametrize(
    "source", ["from pullahead.core import trace", "import pullahead.errors", "from pullahead import errors"]
)
def test_the_check_allows(source: str) -> None:
    assert impurities(source) == []
