"""The paper's conventions, and what its table 3 says about them by arithmetic."""

import pytest
from tests.metrics.drawing import EMPTY, FULL, LEFT, ONE, TOP

from miras.metrics.conventions import (
    CUMULATIVE_CIOU,
    HARMONIC_F1,
    PER_TARGET_F1,
    authors_validation,
    harmonic_mean,
    paper_table3,
)
from miras.metrics.masks import Counts, MaskSums

TABLE_3 = {  # CIoU, precision, recall and F1 as printed, in per cent
    "InternVL2-8B": (8.26, 7.59, 11.55, 9.16),
    "Qwen2-VL-7B": (10.64, 10.30, 15.88, 12.50),
    "LLaVA-v1.5-7B": (11.25, 11.35, 25.90, 15.68),
    "LLaVA-v1.6-7B": (11.84, 11.90, 34.78, 17.69),
    "GPT-4o": (14.13, 17.35, 35.01, 23.18),
    "LISA": (10.45, 15.33, 43.07, 15.09),
    "PixelLM": (9.87, 17.21, 35.36, 14.68),
    "OMG-LLaVA": (9.67, 16.67, 77.80, 27.46),
    "MIRAS (Stage-1)": (13.12, 15.64, 45.11, 23.22),
    "LISA (ft)": (11.23, 26.23, 29.22, 27.64),
    "PixelLM (ft)": (10.32, 20.95, 18.84, 11.71),
    "OMG-LLaVA (ft)": (13.84, 21.54, 49.31, 29.98),
    "MIRAS (Stage-2)": (14.72, 24.22, 40.61, 30.34),
}


def test_the_rows_are_those_of_the_table() -> None:
    assert sorted(HARMONIC_F1 + PER_TARGET_F1) == sorted(TABLE_3)
    assert len(HARMONIC_F1) == 10


@pytest.mark.parametrize("row", TABLE_3)
def test_which_f1_is_the_harmonic_mean(row: str) -> None:
    _, precision, recall, f1 = TABLE_3[row]
    harmonic = harmonic_mean(precision, recall)
    assert harmonic is not None
    if row in HARMONIC_F1:
        assert f1 == pytest.approx(harmonic, abs=0.11)
    else:
        assert 7.5 < harmonic - f1 < 8.5


@pytest.mark.parametrize("row", TABLE_3)
def test_which_ciou_is_the_iou_of_the_printed_precision_and_recall(row: str) -> None:
    ciou, precision, recall, _ = (figure / 100 for figure in TABLE_3[row])
    cumulative = precision * recall / (precision + recall - precision * recall)
    assert (abs(ciou - cumulative) < 0.0005) == (row in CUMULATIVE_CIOU)
    assert row in CUMULATIVE_CIOU or abs(ciou - cumulative) > 0.006


def test_hand_worked_table() -> None:
    # LEFT for TOP shares 4 of 12 pixels; ONE is 1 of LEFT's 8
    table = paper_table3(MaskSums.of_all([Counts.of(LEFT, TOP), Counts.of(ONE, LEFT)]))
    assert table["ciou"] == pytest.approx({"cumulative": 5 / 20, "per_sample": (4 / 12 + 1 / 8) / 2})
    assert table["precision"] == pytest.approx({"micro": 5 / 9, "macro": 3 / 4})
    assert table["recall"] == pytest.approx({"micro": 5 / 16, "macro": 5 / 16})
    assert table["f1"] == pytest.approx(
        {"micro": 10 / 25, "harmonic": 2 * 0.75 * 0.3125 / 1.0625, "per_target": (1 / 2 + 2 / 9) / 2}
    )
    assert table["f1"]["micro"] == pytest.approx(harmonic_mean(5 / 9, 5 / 16))


def test_hand_worked_validation() -> None:
    # others: LEFT for TOP leaves 4 of 12 alone, ONE for LEFT leaves 8 of 15
    figures = authors_validation(MaskSums.of_all([Counts.of(LEFT, TOP), Counts.of(ONE, LEFT)]))
    assert figures == pytest.approx({
        "ciou": (5 / 20 + 12 / 27) / 2, "ciou_true": 5 / 20,
        "giou": ((4 / 12 + 4 / 12) / 2 + (1 / 8 + 8 / 15) / 2) / 2,
    })  # fmt: skip
    assert authors_validation(MaskSums.of_all([Counts.of(None, EMPTY)])) == {"ciou": 1, "ciou_true": 1, "giou": 1}
    assert authors_validation(MaskSums.of_all([Counts.of(FULL, FULL)])) == {"ciou": 1, "ciou_true": 1, "giou": 1}


def test_nothing_gives_none() -> None:
    assert set(authors_validation(MaskSums()).values()) == {None}
    assert {value for rule in paper_table3(MaskSums()).values() for value in rule.values()} == {None}
    assert harmonic_mean(0.0, 0.0) == 0
