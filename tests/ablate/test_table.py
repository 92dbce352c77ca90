"""Table 6: means and Student's intervals over seeds against scipy, and changes paired by seed."""

import pytest
from rich.console import Console
from scipy import stats

from miras.ablate.table import Result, rows_of, shown, student_interval


def results(variant: str, *ciou: float) -> list[Result]:
    return [
        Result(variant, f"the {variant}", seed, {"ciou": value, "giou": value / 2}, {"stage1": {"steps": 5}})
        for seed, value in enumerate(ciou)
    ]


def test_intervals_are_students() -> None:
    values = [0.41, 0.44, 0.39]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert student_interval(values) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert student_interval([0.4]) is None


def test_changes_are_paired_by_seed() -> None:
    whole, part = results("whole", 0.5, 0.7, 0.6), results("part", 0.4, 0.6, 0.5)
    first, second = rows_of([*whole, *part])
    assert first["change"] == {} and first["mean"]["ciou"] == pytest.approx(0.6)
    assert second["variant"] == "the part" and second["change"]["ciou"] == pytest.approx(-0.1)
    low, high = second["change_interval"]["ciou"]
    assert low == pytest.approx(-0.1) and high == pytest.approx(-0.1), "the seeds differ, the change does not"
    spread = second["interval"]["ciou"]
    assert spread[0] < 0.4 < 0.6 < spread[1]
    assert [run["seed"] for run in second["runs"]] == [0, 1, 2]


def test_an_unfinished_table_holds_what_is_there() -> None:
    rows = rows_of([*results("whole", 0.5, 0.7), *results("part", 0.4)])
    assert rows[1]["interval"]["ciou"] is None and rows[1]["change"]["ciou"] == pytest.approx(-0.1)
    assert rows_of([]) == []
    console = Console(width=160, record=True)
    console.print(shown(rows))
    told = console.export_text()
    assert "the whole" in told and "60.0 [" in told and "-10.0" in told
