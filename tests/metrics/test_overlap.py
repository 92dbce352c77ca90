"""Counts from run lengths: the same as from drawn masks, whatever the batch, and nothing broken gets through."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco
from tests.metrics.drawing import FULL, LEFT, ONE, TOP, Pair, cases, pair, rles

from miras.data.masks import encode
from miras.errors import MaskError
from miras.metrics import overlap
from miras.metrics.masks import Counts, MaskSums, count_all, counts
from miras.types import Rle


def _written(height: int, width: int, runs: list[int]) -> Rle:
    made = coco.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return {"size": [height, width], "counts": made["counts"].decode()}


def test_hand_worked_counts() -> None:
    assert counts(encode(LEFT), encode(TOP)) == (4, 4, 4, 4)
    assert counts(encode(ONE), encode(LEFT)) == (1, 0, 7, 8)
    assert counts(None, encode(TOP)) == (0, 0, 8, 8)
    assert counts(encode(FULL), encode(FULL)) == (16, 0, 0, 0)
    assert count_all([]) == []


@given(st.lists(pair, max_size=9))
def test_drawn_masks_and_run_lengths_give_the_same(pairs: list[Pair]) -> None:
    assert count_all(rles(pairs)) == [Counts.of(predicted, target) for predicted, target in pairs]


@pytest.mark.parametrize(("letters", "most"), [(1, 128), (400, 128), (2**18, 128), (2**18, 1), (2**18, 300)])
def test_batches_change_nothing(letters: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "_LETTERS", letters)
    monkeypatch.setattr(overlap, "_PAIRS", most)
    pairs: list[Pair] = [(None if place % 9 == 4 else one, two) for place, (one, two) in enumerate(cases(300))]
    expected = [Counts.of(predicted, target) for predicted, target in pairs]
    assert count_all(rles(pairs)) == expected
    assert MaskSums.of_pairs(rles(pairs)) == MaskSums.of_all(expected)


def test_runs_of_no_pixels_are_read() -> None:
    # 0 outside, 3 inside, 0 outside, 5 inside, 0 outside, 0 inside, 4 outside
    odd, plain = _written(3, 4, [0, 3, 0, 5, 0, 0, 4]), _written(3, 4, [0, 8, 4])
    assert counts(odd, plain) == (8, 0, 0, 4)
    assert counts(plain, odd) == (8, 0, 0, 4)
    assert counts(_written(3, 4, [0, 0, 12]), odd) == (0, 0, 8, 4)
    assert counts(_written(3, 4, [0, 12]), odd) == (8, 4, 0, 0)


@pytest.mark.parametrize("size", [(40_000, 30_000), (2**16, 2**17), (3, 4)])
def test_large_masks_are_counted_exactly(size: tuple[int, int]) -> None:
    height, width = size
    pixels = height * width
    third, half = pixels // 3, pixels // 2
    one, other = _far(height, width, [third, pixels - third]), _far(height, width, [0, half, 1, 2, pixels - half - 3])
    assert counts(one, other) == (
        half - third + 2,
        pixels - half - 2,
        third,
        0,
    )
    assert count_all([(one, other)] * 3) == [counts(one, other)] * 3


def _far(height: int, width: int, runs: list[int]) -> Rle:
    """As `_written`, for runs beyond pycocotools' 32 bits."""
    text = ""
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        while True:
            digit, number = number & 31, number >> 5
            last = number == (-1 if digit & 16 else 0)
            text += chr(48 + digit + (0 if last else 32))
            if last:
                break
    return {"size": [height, width], "counts": text}


def test_far_runs_are_written_as_pycocotools_writes_them() -> None:
    assert _far(30, 40, [0, 100, 3, 900, 197]) == _written(30, 40, [0, 100, 3, 900, 197])


@given(st.lists(pair, min_size=1, max_size=6), st.data())
def test_a_broken_mask_is_refused_in_any_batch(pairs: list[Pair], data: st.DataObject) -> None:
    written: list[Any] = rles(pairs)
    place = data.draw(st.integers(0, len(written) - 1))
    broken = data.draw(st.sampled_from(["", "0", "`0", "o", "0`", "é", "<1", "0" * 12]))
    written[place] = (written[place][0], {"size": [3, 4], "counts": broken})
    with pytest.raises(MaskError, match=r"3x4 mask do not fill|size .* and counts"):
        count_all(written)


@pytest.mark.parametrize("broken", [None, {}, [], "`0", {"size": [4, 4]}, {"size": [4], "counts": "`0"}])
def test_what_is_no_mask_is_refused(broken: Any) -> None:
    with pytest.raises(MaskError, match=r"size .* and counts"):
        count_all([(encode(ONE), encode(TOP)), (encode(ONE), broken)])


def test_two_masks_that_make_up_for_each_other_are_refused() -> None:
    # 15 and 17 pixels where 16 and 16 were due
    short, long = {"size": [4, 4], "counts": "?"}, {"size": [4, 4], "counts": "a0"}
    with pytest.raises(MaskError, match="4x4 mask do not fill"):
        count_all([(encode(ONE), encode(ONE)), (short, long)])  # type: ignore[list-item]
    with pytest.raises(MaskError, match="4x4 mask do not fill"):
        counts(long, short)  # type: ignore[arg-type]


def test_masks_of_two_sizes_are_refused() -> None:
    good = (encode(LEFT), encode(TOP))
    with pytest.raises(MaskError, match=r"\(2, 8\) and \(4, 4\)"):
        count_all([good, (encode(np.zeros((2, 8), dtype=bool)), encode(TOP)), good])


@given(st.lists(st.integers(-(2**9), 2**9), min_size=1, max_size=6), st.sampled_from([(3, 4), (2**15, 2**16)]))
def test_wild_numbers_are_masks_or_errors(numbers: list[int], size: tuple[int, int]) -> None:
    # numbers as they stand in the text, where a run may come out negative or too long
    runs = list(numbers)
    for place in range(3, len(runs)):
        runs[place] += runs[place - 2]
    scale = size[0] * size[1] // 12
    rle = _far(*size, [run * scale for run in runs])
    right = min(runs) >= 0 and sum(runs) == 12
    try:
        counted = counts(rle, rle)
    except MaskError:
        assert not right
    else:
        assert right and counted == (sum(runs[1::2]) * scale, 0, 0, sum(runs[::2]) * scale)
