"""Mask figures against hand-worked cases; sums that are cut and put together again; strata."""

import json
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metrics.drawing import EMPTY, FULL, LEFT, ONE, TOP, Pair, mask, pair

from miras.errors import MaskError
from miras.metrics.masks import Counts, MaskSums, Strata, mask_iou


def sums_of(pairs: Iterable[Pair]) -> MaskSums:
    sums = MaskSums()
    for predicted, target in pairs:
        sums.update(Counts.of(predicted, target))
    return sums


def test_hand_worked_figures() -> None:
    # LEFT and TOP share 4 of 12 pixels; ONE is 1 of LEFT's 8.
    figures = sums_of([(LEFT, TOP), (ONE, LEFT), (None, TOP)]).compute()
    assert figures["n"] == 3
    assert figures["giou"] == pytest.approx((4 / 12 + 1 / 8 + 0) / 3, abs=1e-12)
    assert figures["ciou"] == pytest.approx(5 / (12 + 8 + 8), abs=1e-12)
    assert figures["precision_micro"] == pytest.approx(5 / 9, abs=1e-12)
    assert figures["precision_macro"] == pytest.approx((0.5 + 1 + 0) / 3, abs=1e-12)
    assert figures["recall_micro"] == pytest.approx(5 / 24, abs=1e-12)
    assert figures["recall_macro"] == pytest.approx((0.5 + 1 / 8 + 0) / 3, abs=1e-12)
    assert figures["f1_micro"] == pytest.approx(10 / 33, abs=1e-12)
    assert figures["f1_macro"] == pytest.approx((0.5 + 2 / 9 + 0) / 3, abs=1e-12)


@pytest.mark.parametrize(
    ("predicted", "target", "expected"),
    [(EMPTY, EMPTY, 1), (None, EMPTY, 1), (EMPTY, FULL, 0), (None, FULL, 0), (FULL, EMPTY, 0), (FULL, FULL, 1)],
)
def test_empty_rule_is_the_same_for_every_figure(
    predicted: np.ndarray | None, target: np.ndarray, expected: int
) -> None:
    figures = sums_of([(predicted, target)]).compute()
    assert (figures.pop("n"), figures.pop("n_extra")) == (1, 0)
    # over targets with an empty true mask alone, the share on which nothing was marked is what every figure is
    assert (figures.pop("n_empty"), figures.pop("empty_accuracy")) == ((0, None) if target.any() else (1, expected))
    assert set(figures.pop("prec_at").values()) == {expected}
    assert set(figures.values()) == {expected}
    assert mask_iou(predicted, target) == expected


def test_no_targets_give_none() -> None:
    figures = Strata().compute()
    assert {figures.pop(name) for name in ("n", "n_empty", "n_extra")} == {0}
    assert set(figures.pop("prec_at").values()) == {None}
    assert set(figures.values()) == {None}


def test_threshold_counts_the_iou_that_just_reaches_it() -> None:
    three_of_five, five = np.zeros((1, 5), dtype=bool), np.ones((1, 5), dtype=bool)
    three_of_five[0, :3] = True
    hits = sums_of([(three_of_five, five)]).compute()["prec_at"]
    assert hits == {"0.5": 1, "0.6": 1, "0.7": 0, "0.8": 0, "0.9": 0}


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(MaskError, match=r"\(2, 8\) and \(4, 4\)"):
        Counts.of(np.zeros((2, 8), dtype=bool), FULL)


@given(st.lists(pair, max_size=12), st.integers(0, 12))
def test_merging_shards_changes_nothing(pairs: list[Pair], cut: int) -> None:
    whole = sums_of(pairs)
    assert sums_of(pairs[:cut]) + sums_of(pairs[cut:]) == whole
    assert sums_of(pairs[cut:]) + sums_of(pairs[:cut]) == whole
    assert sums_of(reversed(pairs)).compute() == whole.compute()


def strata_of(rows: Iterable[tuple[Pair, str]]) -> Strata:
    strata = Strata()
    for (predicted, target), size in rows:
        strata.update(Counts.of(predicted, target), {"by_size": size, "parts": "part" if size == "fine" else "whole"})
    return strata


@given(st.lists(st.tuples(pair, st.sampled_from(["fine", "medium", "coarse"])), max_size=10), st.integers(0, 10))
def test_merging_shards_of_strata_changes_nothing(rows: list[tuple[Pair, str]], cut: int) -> None:
    assert strata_of(rows[:cut]) + strata_of(rows[cut:]) == strata_of(rows)


def test_strata_hold_what_belongs_to_them() -> None:
    figures = strata_of([((FULL, FULL), "fine"), ((LEFT, FULL), "coarse"), ((None, FULL), "coarse")]).compute()
    assert figures["giou"] == pytest.approx(0.5, abs=1e-12)
    assert figures["by_size"]["fine"]["giou"] == 1
    assert figures["by_size"]["coarse"] == sums_of([(LEFT, FULL), (None, FULL)]).compute()
    assert figures["parts"]["part"]["n"] == 1
    assert figures["parts"]["whole"]["ciou"] == pytest.approx(8 / 32, abs=1e-12)
    assert json.loads(json.dumps(figures)) == figures


@given(st.lists(st.tuples(*[st.integers(0, 9) | st.integers(2**20, 2**24)] * 4), max_size=8))
def test_many_at_once_are_what_they_are_one_by_one(tables: list[tuple[int, int, int, int]]) -> None:
    one_by_one = MaskSums()
    for table in tables:
        one_by_one.update(Counts(*table))
    assert MaskSums.of_all(Counts(*table) for table in tables) == one_by_one


def test_counts_too_large_for_64_bits_are_counted_all_the_same() -> None:
    huge = Counts(2**60, 2**59, 2**58, 2**57)
    sums = MaskSums.of_all([huge] * 40)
    assert sums.tp == 40 * 2**60 and sums == MaskSums.of_all([huge] * 13) + MaskSums.of_all([huge] * 27)
    assert sums.compute()["giou"] == pytest.approx(4 / 7, abs=1e-12)


@given(mask, mask)
def test_the_fractions_are_what_they_say(predicted: np.ndarray, target: np.ndarray) -> None:
    counted = Counts.of(predicted, target)
    assert sum(counted) == target.size
    assert counted.fractions["background"] == Counts.of(~predicted, ~target).fractions["iou"]
    assert counted.iou == mask_iou(predicted, target)


def test_empty_targets_are_right_when_nothing_is_marked() -> None:
    figures = sums_of([(None, EMPTY), (EMPTY, EMPTY), (ONE, EMPTY), (None, LEFT), (LEFT, LEFT)]).compute()
    assert (figures["n"], figures["n_empty"]) == (5, 3)
    assert figures["empty_accuracy"] == pytest.approx(2 / 3, abs=1e-12)
    # in gIoU the three count as 1, 1 and 0, beside 0 for the target that was not marked and 1
    assert figures["giou"] == pytest.approx(3 / 5, abs=1e-12)


def test_masks_too_many_count_as_targets_and_not_as_empty_ones() -> None:
    sums = sums_of([(LEFT, LEFT)])
    sums.update(Counts.of(ONE, EMPTY), extra=True)
    figures = sums.compute()
    assert (figures["n"], figures["n_extra"], figures["n_empty"], figures["empty_accuracy"]) == (2, 1, 0, None)
    assert (figures["giou"], figures["precision_micro"]) == (0.5, 8 / 9)
