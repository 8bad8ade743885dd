"""Arrows go one way.

cli → pullahead → farm, overlapping, sim → actors, sources, observe, journal → core → errors
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pullahead

ROOT = Path(str(pullahead.__file__)).parent

#: From the top down. A room imports from itself and from what is below it, never beside or above: the rooms
#: of one row do not know each other. "" is the package itself, with the public names.
ROWS: tuple[tuple[str, ...], ...] = (
    ("cli",),
    ("",),
    ("farm", "overlapping", "sim"),
    ("actors", "sources", "observe", "journal"),
    ("core",),
    ("errors", "_version"),
)
LEVEL = {room: level for level, row in enumerate(ROWS) for room in row}
#: What may be imported beyond the rows, and why.
EXCEPTIONS = {
    ("testing", "*"),  # helpers for the tests of others: they reach everywhere, and nothing reaches them
    ("observe", "sim"),  # `Report.replay`, when it is called: the simulator itself stands on reports
    ("__main__", "cli"),  # `python -m pullahead`
}


def room_of(module: str) -> str:
    """Return the room of a dotted name inside the package: "farm" for "pullahead.farm.queue"."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of everything of ours that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parts = module.split(".")
                base = parts[: len(parts) - node.level + (1 if is_package else 0)]
                origin = ".".join([*base, *filter(None, [node.module])])
            # `from pullahead import actors` imports a room; `from pullahead import map` the package itself.
            for alias in node.names:
                name = f"{origin}.{alias.name}"
                yield node.lineno, name if origin == "pullahead" and room_of(name) in LEVEL else origin


def violations(root: Path) -> list[str]:
    """Say each import that goes against the arrows."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        here = room_of(module)
        for line, name in sorted(set(imports(path, module, is_package))):
            if name.split(".")[0] != root.name:
                continue
            there = room_of(name)
            if here == there or {(here, there), (here, "*")} & EXCEPTIONS:
                continue
            where = f"{path.relative_to(root.parent)}:{line}"
            if here not in LEVEL or there not in LEVEL:
                found.append(
                    f"{where}: {here if here not in LEVEL else there} is in no row; give it a place in ROWS"
                )
            elif LEVEL[there] <= LEVEL[here]:
                found.append(f"{where}: {here or root.name} must not import {name}")
    return found


def test_imports_go_one_way() -> None:
    assert ROOT.joinpath("core").is_dir()
    found = violations(ROOT)
    assert not found, "imports against the arrows of docs/design.md:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "source", "said"),
    [
        ("core/a.py", "import pullahead.farm", "core must not import pullahead.farm"),
        (
            "core/a.py",
            "def f():\n    from pullahead.farm import queue",
            "core must not import pullahead.farm",
        ),
        ("core/a.py", "from pullahead import actors", "core must not import pullahead.actors"),
        ("core/a.py", "from ..farm import queue", "core must not import pullahead.farm"),
        ("core/__init__.py", "from ..farm import queue", "core must not import pullahead.farm"),
        ("core/deep/a.py", "from ...sim import x", "core must not import pullahead.sim"),
        ("errors.py", "from pullahead.core import trace", "errors must not import pullahead.core"),
        ("actors/a.py", "from pullahead.sources import b", "actors must not import pullahead.sources"),
        ("farm/a.py", "from pullahead import map", "farm must not import pullahead"),
        ("farm/a.py", "from .. import overlapping", "farm must not import pullahead.overlapping"),
        ("__init__.py", "from pullahead.cli import main", "pullahead must not import pullahead.cli"),
        ("farm/a.py", "import pullahead.testing", "testing is in no row; give it a place in ROWS"),
        ("attic/a.py", "from pullahead.core import b", "attic is in no row; give it a place in ROWS"),
    ],
)
def test_the_check_finds(tmp_path: Path, file: str, source: str, said: str) -> None:
    path = tmp_path / "pullahead" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    line = source.count("\n") + 1
    assert violations(tmp_path / "pullahead") == [f"pullahead/{file}:{line}: {said}"]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "cli/a.py",
            "import pullahead as pa\nfrom pullahead import farm, map\nfrom pullahead.core import trace",
        ),
        ("__init__.py", "from pullahead.farm.run import map\nfrom .errors import PullaheadError"),
        ("farm/a.py", "from pullahead import actors\nfrom pullahead.core import messages\nimport os"),
        ("sim/a.py", "from pullahead.core.ledger import Ledger"),
        (
            "core/a.py",
            "from pullahead.errors import ProtocolError\nfrom .b import c\nfrom pullahead import errors",
        ),
        ("testing.py", "import pullahead\nfrom pullahead.farm import queue"),
        ("__main__.py", "from pullahead.cli import main"),
    ],
)
def test_the_check_allows(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / "pullahead" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert violations(tmp_path / "pullahead") == []
