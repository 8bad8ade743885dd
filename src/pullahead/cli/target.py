"""Find the work that a command line names: `module:name`, `package.module:Class.method`,
`path/to/file.py:name`.

The current folder is searched first, as `python -m` does. A file is imported under its own name from its own
folder, because the workers must find it under that name, too; so a file whose name another module has already
taken is refused, with the way out. Whatever goes wrong is one line that names file and line.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pullahead.cli.ending import Refused, one_line, tell

_EXPECTED: Final = "a function or a class with a method process"


def load_work(target: str) -> Any:
    """Import the work.

    Raises:
        Refused: it cannot be found, cannot be imported or cannot be called. What the module's own code raised
            is the cause.
    """
    where, _, name = target.rpartition(":")
    if not where or not name:
        raise Refused(f"expected WORK as module:name or path/to/file.py:name, got {target!r}")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _load_file(Path(where)) if where.endswith(".py") else _import(where, where)
    return _check(_find(module, name), target)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise Refused(f"expected a Python file, found nothing at {str(path)!r}")
    path, name = path.resolve(), path.stem
    if "." in name:
        raise Refused(f"expected a file that can be imported, got {path.name!r}; rename it without the dot")
    sys.path.insert(0, str(path.parent))
    module = _import(name, str(path))
    if Path(getattr(module, "__file__", None) or "").resolve() != path:
        other = getattr(module, "__file__", None) or "the interpreter"
        raise Refused(f"the name {name!r} of {str(path)!r} is taken by {other}; rename the file")
    return module


def _import(name: str, shown: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            looked = f"looked in {Path.cwd()} and the installed packages"
            raise Refused(f"no module named {error.name!r} ({looked})") from error
        raise Refused(_broken(error, shown)) from error
    except (Exception, SystemExit) as error:  # a module's own code may raise anything
        raise Refused(_broken(error, shown)) from error


def _broken(error: BaseException, shown: str) -> str:
    """Say where in the user's code an import failed: the innermost frame that is not the import system."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or shown}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if f.filename != __file__ and "importlib" not in f.filename]
    place = f"{theirs[-1].filename}, line {theirs[-1].lineno}" if theirs else shown
    return f"{place}: {one_line(tell(error))}"


def _find(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Refused(_missing(found, part, module)) from None
    return found


def _missing(owner: Any, part: str, module: ModuleType) -> str:
    kind = "module" if owner is module else "class" if isinstance(owner, type) else "object"
    title = getattr(owner, "__name__", repr(owner))
    where = f" ({module.__file__})" if getattr(module, "__file__", None) else ""
    close = difflib.get_close_matches(part, [n for n in dir(owner) if not n.startswith("_")], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{kind} {title!r}{where} has no {part!r}{hint}"


def _check(work: Any, target: str) -> Any:
    if isinstance(work, type):
        if not callable(getattr(work, "process", None)):
            raise Refused(f"expected {target!r} to be {_EXPECTED}, got a class without one")
    elif not callable(work) and not hasattr(work, "process"):
        got = f"{type(work).__name__} {one_line(repr(work))[:60]}"
        raise Refused(f"expected {target!r} to be {_EXPECTED}, got {got}")
    return work
