"""The paper's figures, held against what they say of one another."""

from statistics import fmean

import pytest

from miras.evaluate.report.paper import paper_table


def _rows(name: str) -> list[tuple[str, ...]]:
    return [row for rows in paper_table(name).rows.values() for row in rows]


def test_every_row_has_a_cell_for_every_column() -> None:
    widths = {"table3": 10, "table4": 6, "table5": 9, "table6": 3, "table10": 5}
    for name, width in widths.items():
        assert {len(row) for row in _rows(name)} == {width}
        assert all(isinstance(cell, str) for row in _rows(name) for cell in row)
        assert paper_table(name).known
    assert [len(_rows(name)) for name in widths] == [13, 5, 9, 4, 4]


def test_f1_follows_from_precision_and_recall_in_ten_of_thirteen_rows() -> None:
    other = []
    for setting, rows in paper_table("table3").rows.items():
        for name, _, precision, recall, f1, *_ in rows:
            p, r = float(precision), float(recall)
            if abs(2 * p * r / (p + r) - float(f1)) > 0.2:
                other.append((name, setting))
    assert other == [("LISA", "zero-shot"), ("PixelLM", "zero-shot"), ("PixelLM", "fine-tuned")]


def test_ciou_follows_from_precision_and_recall_in_one_row() -> None:
    close = []
    for name, ciou, precision, recall, *_ in _rows("table3"):
        p, r = float(precision), float(recall)
        if abs(p * r / (p + r - p * r / 100) - float(ciou)) < 0.1:
            close.append(name)
    assert close == ["MIRAS (Stage-1)"]


def test_the_human_row_is_the_mean_of_the_experts() -> None:
    *experts, human = _rows("table10")
    means = [fmean(float(one[column]) for one in experts) for column in range(1, 5)]
    assert [float(cell) for cell in human[1:]] == pytest.approx(means, abs=0.0101)
    assert _rows("table4")[0][:5] == human


def test_a_row_of_the_paper_is_marked_as_such() -> None:
    rows = paper_table("table6").shown(before=2)
    assert {(row.kind, row.note) for row in rows} == {("paper", "paper")}
    assert rows[0].cells == ((), (), "73.2", "71.9")
