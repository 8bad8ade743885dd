"""The public face: these names, no more, and quickly there."""

import subprocess
import sys

import pytest

import pullahead
import pullahead.testing

NAMES = {
    "map", "run", "Pool", "overlap", "Report", "Failure", "RetryLater", "Reject", "PullaheadError",
    "init", "shutdown", "remote", "get", "wait", "put", "kill", "get_actor", "ObjectRef",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(pullahead.__all__) - {"__version__"} == NAMES
    assert len(NAMES) <= 20
    assert all(hasattr(pullahead, name) for name in pullahead.__all__)


def printed(code: str) -> str:
    """Run it in an interpreter of its own; return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_brings_nothing_heavy_nor_does_any_name() -> None:
    heavy = ("numpy", "matplotlib", "rich", "click", "ray", "PIL", "asyncio")
    show = f"import sys; print([name for name in {heavy} if name in sys.modules])"
    assert printed(f"from pullahead import *; {show}") == "[]"


def test_a_name_brings_what_it_needs_and_importing_nothing() -> None:
    show = "import sys; print(sorted(n for n in sys.modules if n.count('.') == 1 and 'pullahead' in n))"
    assert printed(f"import pullahead; {show}") == "['pullahead._version', 'pullahead.errors']"
    assert "'pullahead.farm'" not in printed(f"from pullahead import overlap; {show}")
    assert "'pullahead.farm'" in printed(f"from pullahead import map; {show}")


def test_all_names_are_listed_and_an_unknown_one_is_refused_like_any_other() -> None:
    names = sorted({*NAMES, "__version__", "actors", "errors", "journal", "sources"})
    assert printed("import pullahead; print(dir(pullahead))") == repr(names)
    with pytest.raises(AttributeError, match=r"^module 'pullahead' has no attribute 'mapp'$"):
        _ = pullahead.mapp  # type: ignore[attr-defined]


def test_rooms_can_be_looked_into_without_an_import_of_their_own() -> None:
    for name in ("sources.paths", "errors.ResultError", "journal.Journal", "actors.remote"):
        assert printed(f"import pullahead; print(pullahead.{name}.__name__)") == name.split(".")[1]


def test_what_is_there_for_tests_is_this_and_comes_only_when_it_is_asked_for() -> None:
    assert pullahead.testing.__all__ == ["delay_line", "skewed_clocks"]
    code = "from pullahead import *; import sys; print('pullahead.testing' in sys.modules)"
    assert printed(code) == "False"
