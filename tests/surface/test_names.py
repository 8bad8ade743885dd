"""The public face: these names, no more, and quickly there."""

import subprocess
import sys

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


def test_importing_brings_nothing_heavy() -> None:
    heavy = ("numpy", "matplotlib", "rich", "click", "ray", "PIL")
    code = f"import pullahead, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_there_for_tests_is_this_and_comes_only_when_it_is_asked_for() -> None:
    assert pullahead.testing.__all__ == ["delay_line", "skewed_clocks"]
    code = "import pullahead, sys; print('pullahead.testing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
