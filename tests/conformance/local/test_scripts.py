"""Programs as people write them: without a guard, on a prompt, in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[3] / "src"

BODY = """
from pullahead import actors as pa
from dataclasses import dataclass

@dataclass
class Point:
    x: int

class Refused(Exception):
    pass

def twice(n):
    return 2 * n

@pa.remote
class Worker:
    def __init__(self, base):
        self.base = base
    def work(self, point):
        return Point(twice(point.x) + self.base)
    def refuse(self):
        raise Refused("no")

worker = Worker.remote(Point(100).x)
result = pa.get(worker.work.remote(Point(3)))
print(isinstance(result, Point), result.x)
try:
    pa.get(worker.refuse.remote())
except Refused as error:
    print("refused", error)
print(pa.get(pa.put(Point(5))).x)
"""
EXPECTED = "True 106\nrefused no\n5\n"


def run(
    arguments: list[str], stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with every warning an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=50,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SRC)},
        check=False,
    )


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(BODY)
    done = run([str(script)])
    assert (done.stdout, done.stderr, done.returncode) == (EXPECTED, "", 0)


def test_python_c() -> None:
    done = run(["-c", BODY])
    assert (done.stdout, done.stderr, done.returncode) == (EXPECTED, "", 0)


def test_a_script_on_standard_input() -> None:
    done = run(["-"], stdin=BODY)
    assert (done.stdout, done.stderr, done.returncode) == (EXPECTED, "", 0)


def test_a_prompt(tmp_path: Path) -> None:
    lines: list[str] = []
    for line in BODY.splitlines():
        # A block ends with an empty line on a prompt.
        if lines and lines[-1].startswith((" ", "    ")) and line and not line.startswith((" ", "except")):
            lines.append("")
        if line:
            lines.append(line)
    done = run(["-q", "-i"], stdin="\n".join(lines) + "\n", cwd=tmp_path)
    assert (done.stdout, done.returncode) == (EXPECTED, 0)
    assert "Traceback" not in done.stderr


def test_redefined_on_a_prompt() -> None:
    source = """
from pullahead import actors as pa
@pa.remote
class A:
    def f(self):
        return helper()

def helper():
    return 1

first = A.remote()
print(pa.get(first.f.remote()))
def helper():
    return 2

print(pa.get(A.remote().f.remote()), pa.get(first.f.remote()))
"""
    done = run(["-q", "-i"], stdin=source)
    assert done.stdout == "1\n2 1\n"


def test_a_module_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from pullahead import actors as pa\n"
        "BUILT = []\n"
        "@pa.remote\n"
        "class Mine:\n"
        "    def __init__(self):\n"
        "        BUILT.append(self)\n"
        "    def built(self):\n"
        "        import mine\n"
        "        return len(mine.BUILT), type(self) is mine.Mine.wrapped\n"
    )
    script = tmp_path / "script.py"
    script.write_text(
        "import mine\nfrom pullahead import actors\nprint(actors.get(mine.Mine.remote().built.remote()))\n"
    )
    done = run([str(script)], cwd=Path("/"))
    assert (done.stdout, done.stderr, done.returncode) == ("(1, True)\n", "", 0)


def test_a_path_that_the_program_changed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("VALUE = 41\n")
    source = f"""
import sys
from pullahead import actors as pa
@pa.remote
class A:
    def f(self):
        import elsewhere
        return elsewhere.VALUE
pa.init()
sys.path.append({str(tmp_path)!r})
print(pa.get(A.remote().f.remote()))
"""
    done = run(["-c", source])
    assert (done.stdout, done.stderr, done.returncode) == ("41\n", "", 0)


def test_what_actors_print_is_seen() -> None:
    source = """
import sys
from pullahead import actors as pa
@pa.remote
class A:
    def speak(self):
        print("out")
        print("err", file=sys.stderr)
a = A.remote()
pa.get(a.speak.remote())
"""
    done = run(["-c", source])
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 0)


def test_actors_do_not_read_the_standard_input() -> None:
    source = """
import sys
from pullahead import actors as pa
@pa.remote
class A:
    def read(self):
        return sys.stdin.read()
print(repr(pa.get(A.remote().read.remote())), repr(sys.stdin.read()))
"""
    done = run(["-c", source], stdin="mine")
    assert (done.stdout, done.stderr, done.returncode) == ("'' 'mine'\n", "", 0)


@pytest.mark.parametrize("flags", [["-I"], ["-O"], ["-X", "dev"], ["-E", "-s"]])
def test_interpreter_flags_reach_the_actors(flags: list[str]) -> None:
    source = f"""
import sys
sys.path.insert(0, {str(SRC)!r})
from pullahead import actors as pa
@pa.remote
class A:
    def flags(self):
        return tuple(sys.flags), sys.warnoptions
print(pa.get(A.remote().flags.remote()) == (tuple(sys.flags), sys.warnoptions))
"""
    done = run([*flags, "-c", source])
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


@pytest.mark.parametrize("of_the_driver", ["", "asyncio"])
def test_the_fork_server_and_actors_import_little(of_the_driver: str) -> None:
    """Whose driver has an event loop may have actors that want one: those share what it takes."""
    source = f"""
import {of_the_driver or "sys"}
from pullahead import actors as pa
import sys
@pa.remote
class A:
    def modules(self):
        return set(sys.modules)
heavy = {{"numpy", "rich", "click", "matplotlib", "sqlite3", "asyncio"}}
print(*sorted(heavy & pa.get(A.remote().modules.remote())))
"""
    done = run(["-c", source])
    assert (done.stdout, done.stderr, done.returncode) == (f"{of_the_driver}\n", "", 0)


def test_the_ray_engine_names_what_to_install() -> None:
    source = """
import sys
sys.modules["ray"] = None
from pullahead import actors as pa
try:
    pa.init("ray")
except ImportError as error:
    print(error)
"""
    done = run(["-c", source])
    assert (done.stdout, done.stderr, done.returncode) == (
        'the Ray engine needs Ray: pip install "pullahead[ray]"\n',
        "",
        0,
    )
