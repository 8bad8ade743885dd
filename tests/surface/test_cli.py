"""The command line up to the moment when workers start: help, usage, and everything that is refused."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pullahead._version import __version__
from pullahead.cli.ending import LONGEST_LINE, Refused, one_line, tell
from pullahead.cli.inputs import choose_items
from pullahead.cli.target import load_work
from pullahead.errors import RemoteTraceback

WORK = """
class Nothing: pass
class Shrink:
    def process(self, item): return item
    def upper(item): return item.upper()
number = 7
def double(item): return item * 2
"""

OPTIONS = {
    *(
        "--from",
        "--to",
        "--address",
        "--append",
        "--overwrite",
        "--workers",
        "--worker-options",
        "--queues",
        "--lookahead",
        "--batch-size",
        "--batch-wait",
    ),
    *(
        *("--journal", "--key", "--work-version", "--retry-failed", "--synchronous"),
        "--load-concurrency",
        "--retries",
        "--item-timeout",
        "--grace",
        "--ordered",
        "--unordered",
        "--engine",
        "--timeline",
    ),
    *("--report", "--traceback", "--help"),
}


def pullahead(
    *arguments: str, stdin: str | bytes | None = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command the way a shell does."""
    return subprocess.run(
        [sys.executable, "-m", "pullahead", *arguments],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=not isinstance(stdin, bytes),
        cwd=cwd,
        timeout=50,
        check=False,
    )


def assert_refused(ended: subprocess.CompletedProcess[str], expected: str) -> None:
    """One line on standard error, nothing on standard output, exit code 2."""
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.startswith("pullahead")
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert re.search(expected, ended.stderr), ended.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module `words`, current, and everything imported from it forgotten afterwards."""
    (tmp_path / "words.py").write_text(WORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_help_names_every_command_and_version_the_version() -> None:
    ended = pullahead("--help")
    assert ended.returncode == 0
    assert re.search(r"^  run +Run work over items", ended.stdout, re.MULTILINE)
    assert pullahead().stdout == ended.stdout
    assert pullahead("--version").stdout == f"pullahead {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['pullahead', '--help']\n"
        "from pullahead.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('numpy', 'matplotlib', 'rich', 'ray') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("[]\n")


def test_help_of_run_names_every_option() -> None:
    ended = pullahead("run", "--help")
    assert ended.returncode == 0
    assert set(re.findall(r"--[a-z-]+", ended.stdout)) == OPTIONS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fly"], "No such command 'fly'"),
        (["run"], "Missing argument 'WORK'; see 'pullahead run --help'"),
        (["run", "words:double", "--fast"], "No such option.*--fast.*see 'pullahead run --help'"),
        (
            ["run", "words:double", "a", "-w", "0"],
            "'-w'.*expected a number from 1, or LEAST-MOST as in 2-8, got '0'",
        ),
        (["run", "words:double", "a", "-w", "0-4"], "expected a number from 1, or LEAST-MOST.*got '0-4'"),
        (["run", "words:double", "a", "-w", "8-2"], "expected a number from 1, or LEAST-MOST.*got '8-2'"),
        (["run", "words:double", "a", "-w", "2-"], "expected a number from 1, or LEAST-MOST.*got '2-'"),
        (["run", "words:double", "a", "-w", "1-2-3"], "expected a number from 1, or LEAST-MOST.*got '1-2-3'"),
        (["run", "words:double", "a", "-w", "many"], "expected a number from 1, or LEAST-MOST.*got 'many'"),
        (["run", "words:double", "a", "--lookahead", "far"], "expected auto or a whole number.*got 'far'"),
        (
            ["run", "words:double", "a", "--worker-options", "num_gpus=1"],
            """'--worker-options'.*expected a JSON object such as {"num_gpus": 1}, got 'num_gpus=1'""",
        ),
        (["run", "words:double", "a", "--worker-options", "[1]"], r"expected a JSON object .*, got '\[1\]'"),
        (["run", "words:double", "a", "--engine", "steam"], "'steam' is not one of 'local', 'ray'"),
        (["run", "words", "a"], "expected WORK as module:name or path/to/file.py:name, got 'words'"),
        (["run", "nowhere:double", "a"], r"no module named 'nowhere' \(looked in "),
        (["run", "words:single", "a"], r"module 'words' \(.*words.py\) has no 'single'"),
        (["run", "words:number", "a"], "'words:number' to be a function or a class .*, got int 7"),
        (["run", "words:Nothing", "a"], "a class with a method process, got a class without one"),
        (["run", "words:double", "a", "--append"], "expected --to FILE with --append, got none"),
        (
            ["run", "words:double", "a", "--from", "in.txt"],
            "from one place, got 1 argument and --from in.txt",
        ),
        (["run", "words:double", "a", "-"], "from one place, got 2 arguments, one of them '-'"),
        (["run", "words:double", "--from", "no.txt"], "cannot read 'no.txt': No such file or directory"),
        (["run", "words:double", "--from", "."], "cannot read '.': expected a file, got the folder"),
        (
            ["run", "words:double", "--from", "amqp://me:secret@host/jobs"],
            "--from: expected an address as postgresql://.* or redis://.*, got amqp://me@host/jobs",
        ),
        (
            ["run", "words:double", "a", "--to", "kafka://host/out"],
            "--to: expected an address as redis://host/0.stream=NAME, got kafka://h",
        ),
        (
            ["run", "words:double", "a", "--to", "words.py"],
            "the file 'words.py' exists; use --append, --over",
        ),
        (["run", "words:double", "a", "--to", "no/out"], "cannot write 'no/out': No such file or directory"),
        (
            ["run", "words:double", "--from", "words.py", "--to", "words.py", "--append"],
            "got 'words.py' for both",
        ),
        (["run", "words:double", "a", "--timeline", "run.gif"], "end in .svg, .png, .json, got 'run.gif'"),
        (
            ["run", "words:double", "a", "--timeline", "no/run.svg"],
            "a folder that exists, got 'no/run.svg'",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    folder: Path, arguments: Sequence[str], expected: str
) -> None:
    assert_refused(pullahead(*arguments), expected)
    assert (folder / "words.py").read_text() == WORK


def test_what_was_refused_leaves_no_file_behind(folder: Path) -> None:
    assert_refused(pullahead("run", "nowhere:double", "a", "--to", "out.jsonl"), "no module named")
    assert not (folder / "out.jsonl").exists()


def test_a_traceback_comes_when_asked_for(folder: Path) -> None:
    (folder / "broken.py").write_text("x = 1\ny = 1 / 0\n")
    ended = pullahead("run", "broken:work", "a", "--traceback")
    assert ended.returncode == 2
    assert "Traceback (most recent call last)" in ended.stderr
    assert ended.stderr.splitlines()[-1].endswith("broken.py, line 2: ZeroDivisionError: division by zero")


def test_without_items_at_a_terminal_it_asks_for_some(folder: Path) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "pullahead", "run", "words:double"]
    ended = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=50, check=False)
    os.close(ours)
    os.close(theirs)
    assert_refused(
        ended, "expected items as arguments, with --from FILE, or piped to standard input, got none"
    )


@pytest.mark.parametrize(
    "target", ["words:double", "words:Shrink", "words:Shrink.upper", "words.py:double", "sub/other.py:double"]
)
def test_work_is_found(folder: Path, target: str) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "other.py").write_text(WORK)
    work = load_work(target)
    assert work.__qualname__ == target.split(":")[1]
    assert str(folder) in sys.path
    assert sys.modules[work.__module__].__dict__[target.split(":")[1].split(".")[0]], (
        "workers find it by name"
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import no_such_thing", r"bad\.py, line 1: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("\ndef f(:\n", r"bad\.py, line 2: SyntaxError: invalid syntax"),
        ("\n\n1 / 0", r"bad\.py, line 3: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", r"bad\.py, line 1: SystemExit: 3"),
        ("raise ValueError('a\\nb')", r"bad\.py, line 1: ValueError: a b"),
        ("import json\njson.loads('{')", r"json.decoder.JSONDecodeError: Expecting property name"),
        ("import words\nwords.nothing", r"bad\.py, line 2: AttributeError: module 'words' has no attribute"),
    ],
)
def test_an_error_of_the_works_own_module_names_file_and_line(folder: Path, code: str, expected: str) -> None:
    (folder / "bad.py").write_text(code)
    for target in ("bad:work", "bad.py:work"):
        with pytest.raises(Refused, match=expected):
            load_work(target)


def test_a_name_that_is_almost_there_is_suggested(folder: Path) -> None:
    with pytest.raises(Refused, match=r"has no 'duoble'; did you mean 'double'\?"):
        load_work("words:duoble")
    with pytest.raises(Refused, match=r"class 'Shrink' \(.*words\.py\) has no 'lower'"):
        load_work("words:Shrink.lower")


def test_a_file_that_cannot_be_imported_under_its_name_is_refused(folder: Path) -> None:
    (folder / "json.py").write_text(WORK)
    (folder / "v1.2.py").write_text(WORK)
    with pytest.raises(
        Refused, match=r"the name 'json' of .* is taken by .*json/__init__\.py; rename the file"
    ):
        load_work("json.py:double")
    with pytest.raises(Refused, match=r"got 'v1\.2\.py'; rename it without the dot"):
        load_work("v1.2.py:double")
    with pytest.raises(Refused, match=r"expected a Python file, found nothing at 'no\.py'"):
        load_work("no.py:double")
    with pytest.raises(Refused, match="no module named 'no'"):
        load_work("no.such:double")


def test_items_come_from_where_they_are_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "in.txt").write_text("a\nb\n")
    (folder / "in.jsonl").write_text('1\n{"a": 2}\n')
    assert choose_items(["x", "y"], None) == (["x", "y"], "the arguments")
    for arguments, file, expected, place in (
        ([], "in.txt", ["a", "b"], "in.txt"),
        ([], "in.jsonl", [1, {"a": 2}], "in.jsonl"),
        ([], None, ["piped"], "standard input"),
        (["-"], None, ["piped"], "standard input"),
        ([], "-", ["piped"], "standard input"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO("piped\n"))
        items, named = choose_items(arguments, file)
        assert (list(items), named) == (expected, place)


def test_a_closed_standard_input_gives_no_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(Refused, match=r"expected items as arguments, .* got none"):
        choose_items([], None)
    with pytest.raises(Refused, match="but standard input is closed"):
        choose_items(["-"], None)


def test_an_error_is_told_in_one_line_with_where_it_was_raised() -> None:
    error = ValueError("no\nmodel")
    error.add_note("while building a worker")
    error.__cause__ = RemoteTraceback('File "a.py", line 1, in x\nFile "work.py", line 12, in __init__\n')
    assert one_line(tell(error)) == "ValueError: no model (while building a worker) [work.py, line 12]"
    assert tell(KeyError()) == "KeyError"
    assert len(one_line("word " * 1000)) == LONGEST_LINE
