"""The policy grid: a quick run from end to end, going on with a file, and the arithmetic of its bars."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import inf
from pathlib import Path

import pytest
from benchmarks.policy_grid import bars, cells, intervals, picture, store
from benchmarks.policy_grid.bars import Bar, Verdict
from benchmarks.policy_grid.cells import Cell
from benchmarks.policy_grid.intervals import Interval
from benchmarks.policy_grid.measure import Job, Row

from pullahead.sim.policies import PULLAHEAD, Policy, fixed

ROOT = Path(__file__).parents[2]
BACKLOG = Cell(1.0, 1.0, "cv 2", 8, "backlog")
LOADED = Cell(10.0, 10.0, "constant", 8, 0.6)


def grid(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, from the root of the repository."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "benchmarks.policy_grid", "--out", str(folder / "rows.jsonl"), *options]
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "110"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50)


def row(**measured: float) -> Row:
    """Return a row that is perfect but for what is given."""
    usual = dict.fromkeys(Row._fields, 1.0)
    return Row(**{**usual, "held": 0.0, "hoard_idle": 0.0, **measured})


def rows(cell: Cell, others: Row, special: dict[Policy, list[Row]]) -> dict[Policy, list[Row]]:
    """Return two seeds of each policy of a cell."""
    return {policy: special.get(policy, [others, others]) for policy in cell.policies}


# End to end


def test_a_quick_run_writes_rows_a_table_and_a_picture_and_goes_on_from_them(tmp_path: Path) -> None:
    first = grid(tmp_path, "--quick")
    assert first.returncode == 0, first.stderr
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert len(lines) == 2 * sum(len(cell.policies) for cell in cells.quick())
    one = json.loads(lines[0])
    assert one["measured"].keys() == set(Row._fields)
    assert one["measured"]["ideal_throughput"] >= one["measured"]["throughput"] > 0
    ideals = {(line["seed"], line["measured"]["ideal_p99"]) for line in map(json.loads, lines)
              if line["cell"]["load"] == "backlog"}  # fmt: skip
    assert len(ideals) == 2, "all policies see the same items"
    assert "cells per bar" in first.stdout
    assert "the worst cells" in first.stdout
    assert "…" not in first.stdout, "the table fits into 110 columns"
    assert (tmp_path / "rows.svg").read_text().startswith("<?xml")

    whole = (tmp_path / "rows.jsonl").read_bytes()
    with (tmp_path / "rows.jsonl").open("ab") as file:
        file.write(b'{"cell": {"comp')  # killed while it wrote
    again = grid(tmp_path, "--quick")
    assert f"{len(lines)} runs, {len(lines)} of them in" in again.stderr
    assert again.stdout == first.stdout
    assert (tmp_path / "rows.jsonl").read_bytes().startswith(whole)

    with (tmp_path / "rows.jsonl").open("wb") as file:
        file.write(whole[: len(whole) // 2])
    assert grid(tmp_path, "--quick").stdout == first.stdout, "half a file is completed, to the same numbers"
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == len(lines)


def test_it_says_what_is_wrong(tmp_path: Path) -> None:
    none = grid(tmp_path, "--only", "9 workers")
    assert none.returncode == 2
    assert "no cell has '9 workers' in its name; one is 'compute" in none.stderr
    (tmp_path / "rows.jsonl").write_text("no row\n")
    other = grid(tmp_path, "--quick")
    assert other.returncode == 1
    assert "line 1 is no row of a grid" in other.stderr


def test_rows_of_other_code_are_not_mixed_with_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, job = tmp_path / "rows.jsonl", Job(BACKLOG, 100, PULLAHEAD, 0)
    with store.open_to_append(path) as file:
        store.append(file, job, row())
    assert store.load(path, same_code=True) == {job: row()}
    monkeypatch.setattr(store, "code", lambda: "another")
    assert store.load(path, same_code=False) == {job: row()}
    with pytest.raises(store.UnusableFileError, match="another version of core or simulator"):
        store.load(path, same_code=True)


# Cells


def test_the_subset_has_forty_cells_of_the_full_grid_that_all_fit() -> None:
    subset, full = cells.subset(), cells.full()
    assert len(set(subset)) == 40
    assert set(subset) <= set(full)
    assert len(set(full)) == len(full) == 4 * 4 * 4 * 3 * 3
    assert max(cell.items for cell in subset) <= 200_000
    assert len({cell.name for cell in full}) == len(full)


@pytest.mark.parametrize("spread", cells.SPREADS)
def test_every_spread_has_the_mean_of_its_cell(spread: cells.Spread) -> None:
    assert Cell(10.0, 1.0, spread, 8, 0.9).distribution.mean == pytest.approx(0.010)


def test_a_cell_is_long_enough() -> None:
    assert Cell(10.0, 10.0, "constant", 8, 0.9).items == 16_000
    assert Cell(1.0, 100.0, "constant", 8, 0.9).items == 160_000


def test_large_fixed_lookaheads_take_part_where_a_delay_needs_them() -> None:
    def numbers(cell: Cell) -> set[object]:
        return {policy.lookahead for policy in cell.policies}

    assert not {256, 1024} & numbers(Cell(1.0, 1.0, "cv 2", 8, "backlog"))
    assert {256, 1024} & numbers(Cell(1.0, 10.0, "cv 2", 8, "backlog")) == {256}
    assert {256, 1024} <= numbers(Cell(1.0, 100.0, "cv 2", 8, "backlog"))
    assert not {256, 1024} & numbers(Cell(1.0, 100.0, "cv 2", 8, 0.9))


# Intervals


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.706), (4, 2.776), (5, 2.571), (9, 2.262), (19, 2.093), (30, 2.042), (1000, 1.962)],
)
def test_quantiles_of_t_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert intervals.t_quantile(freedom) == pytest.approx(quantile, rel=1e-3)


def test_the_interval_of_a_mean() -> None:
    measured = intervals.mean([1.0, 2.0, 3.0])
    assert measured.value == 2.0
    assert measured.margin == pytest.approx(4.3027 / 3**0.5)
    assert intervals.mean([5.0]) == (5.0, inf)


def test_the_interval_of_a_ratio_knows_that_seeds_are_paired() -> None:
    assert intervals.ratio([1.0, 10.0, 100.0], [2.0, 20.0, 200.0]) == pytest.approx((0.5, 0.0))
    measured = intervals.ratio([2.0, 4.0], [1.0, 3.0])  # 1.5, and the differences are ±0.25
    assert measured == pytest.approx((1.5, 12.7062 * 0.25))


# Bars


@pytest.mark.parametrize(
    ("value", "margin", "at_least", "verdict"),
    [
        (0.9, 0.05, False, Verdict.MET),
        (1.0, 0.0, False, Verdict.MET),
        (0.9, 0.2, False, Verdict.OPEN),
        (1.1, 0.2, False, Verdict.OPEN),
        (1.1, 0.05, False, Verdict.MISSED),
        (1.1, 0.05, True, Verdict.MET),
        (1.1, 0.2, True, Verdict.OPEN),
        (0.9, 0.05, True, Verdict.MISSED),
        (0.9, inf, True, Verdict.OPEN),
    ],
)
def test_a_bar_is_met_or_missed_only_beyond_doubt(
    value: float, margin: float, at_least: bool, verdict: Verdict
) -> None:
    assert Bar(Interval(value, margin), 1.0, at_least).verdict is verdict


def test_bars_of_a_backlog() -> None:
    one = bars.judge(
        BACKLOG,
        100_000,
        rows(
            BACKLOG,
            row(throughput=50.0),
            {
                fixed(8): [row(throughput=99.5), row(throughput=99.5)],
                fixed(16): [row(throughput=100.0, hoard_idle=3.0), row(throughput=100.0, hoard_idle=1.0)],
                PULLAHEAD: [
                    row(throughput=97.0, ideal_throughput=101.0, held=19.0, hoard_idle=0.3),
                    row(throughput=97.0, ideal_throughput=101.0, held=19.0, hoard_idle=0.1),
                ],
            },
        ),
    )
    assert one.best == fixed(16)
    assert {kind: bar.verdict for kind, bar in one.bars.items()} == {
        bars.BEST_THROUGHPUT: Verdict.MISSED,
        bars.IDEAL_THROUGHPUT: Verdict.MISSED,
        bars.HELD: Verdict.MET,
        bars.BUNDLE_HELD: Verdict.MET,
        bars.HOARD: Verdict.MISSED,
        bars.TRIP_HOARD: Verdict.MET,
    }
    assert one.bars[bars.BEST_THROUGHPUT].measured == pytest.approx((0.97, 0.0))
    assert one.bars[bars.HELD].limit == 2 * 8 + 3, "8 is within 1 % of the best"
    assert one.bars[bars.BUNDLE_HELD].limit == 64, "a bundle of milliseconds is more"
    assert one.bars[bars.HOARD].measured == pytest.approx((0.1, 0.0))
    assert one.bars[bars.TRIP_HOARD].measured.value == pytest.approx(0.2 / 100_000 / 0.001), (
        "in delays per item"
    )


def test_what_no_fixed_lookahead_reaches_is_not_asked() -> None:
    slow = row(throughput=97.0, ideal_throughput=100.0)
    assert bars.IDEAL_THROUGHPUT not in bars.judge(BACKLOG, 100, rows(BACKLOG, slow, {})).bars


def test_bars_under_load() -> None:
    one = bars.judge(
        LOADED,
        100,
        rows(
            LOADED,
            row(p99=0.200),
            {
                fixed(2): [row(p99=0.100), row(p99=0.120)],
                PULLAHEAD: [
                    row(p99=0.105, ideal_p99=0.080, messages=3.5),
                    row(p99=0.126, ideal_p99=0.100, messages=3.5),
                ],
            },
        ),
    )
    assert one.best == fixed(2)
    assert one.bars[bars.BEST_P99].measured == pytest.approx((1.05, 0.0))
    allowed = one.bars[bars.IDEAL_P99]
    assert allowed.measured.value == pytest.approx((0.105 + 0.126) / (0.120 + 0.140)), "ideal + 4 × delay"
    assert one.bars[bars.MESSAGES].verdict is Verdict.MISSED
    assert bars.HOARD not in one.bars, "fixed 16 has none"


def test_a_seed_that_some_policy_has_not_run_does_not_count() -> None:
    done = {Job(BACKLOG, 100, policy, seed): row() for policy in BACKLOG.policies for seed in range(3)}
    del done[Job(BACKLOG, 100, fixed(4), 1)]
    (one,) = bars.outcomes(done)
    assert [len(some) for some in one.rows.values()] == [2] * len(BACKLOG.policies)
    for seed in (0, 2):
        del done[Job(BACKLOG, 100, fixed(4), seed)]
    assert bars.outcomes(done) == []


def test_many_cells_are_drawn_with_the_loads_side_by_side(tmp_path: Path) -> None:
    some = [cell for cell in cells.full() if cell.compute == 1.0 and cell.delay == 1.0 and cell.workers != 1]
    some += [cell._replace(compute=10.0) for cell in some] + [cell._replace(compute=100.0) for cell in some]
    assert len(some) > 60
    done = {Job(cell, 100, policy, 0): row() for cell in some for policy in cell.policies}
    picture.draw(bars.outcomes(done), tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 10_000
