"""Every example runs as a stranger would run it, and prints what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

EXAMPLES: Final = Path(__file__).parents[2] / "examples"

EXPECTED: Final = {
    "batches.py": r"\A50 files in batches of up to 8: [\d,]+ bytes\n\Z",
    "map_files.py": r"\A(\S+\.py shrinks to \d+%\n){3}.*40 items in .*",
    "map_of_map.py": r"\A(\S+\.py: a function of \d+ lines\n){3}\Z",
    "overlap_actors.py": r"\A(one worker: \d+ files, [\d,]+ bytes\n){2}\Z",
    "pool_submit.py": r"\A( *[\d,]+ darts: \d\.\d{3}\n){3}the mean of 20 guesses: 3\.\d+\n\Z",
    "word_index.py": r"\A(\S+\.py: [\d,]+ words\n)+\[Errno 2\] No such file or directory: 'no such file'\n\Z",
}


def test_every_example_is_tested_and_short() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(EXPECTED)
    assert max(len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")) < 40


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=tmp_path,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert re.search(EXPECTED[name], ended.stdout, re.DOTALL), ended.stdout
    assert list(tmp_path.iterdir()) == [], "it leaves no file behind"
