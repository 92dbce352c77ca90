"""Masks: run lengths in and out, what is refused, boxes, and the size rule on both sides of its thresholds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from miras.data.masks import area, box, decode, encode, granularity, read_runs
from miras.errors import MaskError

THEIRS = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""For tests that let pycocotools decode, which is older than numpy's present rules."""

L_SHAPE = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)


def test_run_lengths_are_column_major() -> None:
    # columns of L_SHAPE: 1110 0010 0010 0000, so the runs are 0, 3, 3, 1, 3, 1, 5
    # written 0 3 3 -2 0 0 2: from the fourth on as the difference to the run before the last
    rle = encode(L_SHAPE)
    assert rle == {"size": [4, 4], "counts": "033N002"}
    assert area(rle) == 5
    assert (decode(rle) == L_SHAPE).all()


@THEIRS
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_round_trip_agrees_with_pycocotools(mask: np.ndarray) -> None:
    rle = encode(mask)
    theirs = coco.decode({"size": rle["size"], "counts": rle["counts"].encode()})
    assert np.array_equal(decode(rle), mask)
    assert np.array_equal(theirs, mask)
    assert area(rle) == mask.sum()


def test_long_runs_round_trip() -> None:
    mask = np.zeros((3000, 2000), dtype=bool)
    mask[:, 1990:] = True
    mask[5, 7] = True
    assert np.array_equal(decode(encode(mask)), mask)


def test_any_number_that_is_not_zero_is_inside() -> None:
    assert np.array_equal(decode(encode(np.array([[0, 2, 255], [1, 0, 0]]))), [[0, 1, 1], [1, 0, 0]])


@pytest.mark.parametrize("shape", [(4,), (2, 4, 4)])
def test_encode_takes_one_mask(shape: tuple[int, ...]) -> None:
    with pytest.raises(MaskError, match="2 axes"):
        encode(np.zeros(shape, dtype=bool))


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ([4, 4], "zzzz"),  # never ends
        ([4, 4], ""),
        ([4, 4], "01"),  # one pixel of sixteen
        ([4, 4], "P1"),  # 32
        ([4, 4], "`"),  # a digit that says more follow
        ([4, 4], "\x01\x02"),
        ([4, 4], "o" * 40 + "0"),  # a number beyond 64 bits
        ([4, 4], "O0`0"),  # a run of -1
        ([4, 5], encode(L_SHAPE)["counts"]),
        ([-4, -4], "`0"),
    ],
)
def test_runs_that_do_not_fill_the_mask_are_refused(size: list[int], counts: str) -> None:
    for read in (decode, area):
        with pytest.raises(MaskError, match=f"{size[0]}x{size[1]} mask do not fill"):
            read({"size": size, "counts": counts})  # type: ignore[operator]


@pytest.mark.parametrize(
    "rle",
    [{}, None, [], {"size": [4, 4]}, {"counts": "`0"}, {"size": [4], "counts": "`0"}, {"size": [4, 4], "counts": [16]},
     {"size": [4, 4], "counts": "é"}, {"size": ["4", 4], "counts": "`0"}, {"size": [4.5, 4], "counts": "`0"}],
)  # fmt: skip
def test_what_is_no_rle_is_refused(rle: Any) -> None:
    for read in (decode, area):
        with pytest.raises(MaskError, match=r"size .* and counts"):
            read(rle)  # type: ignore[operator]


@THEIRS
@given(st.text(st.characters(min_codepoint=32, max_codepoint=127), max_size=12))
def test_no_text_gives_anything_but_a_mask_or_an_error(counts: str) -> None:
    try:
        mask = decode({"size": [3, 5], "counts": counts})
    except MaskError:
        return
    assert mask.shape == (3, 5)
    assert coco.decode({"size": [3, 5], "counts": counts.encode()}).tolist() == mask.astype(int).tolist()


def test_box_has_its_far_sides_outside() -> None:
    assert box(L_SHAPE) == (0, 0, 3, 3)
    assert box(np.zeros((4, 4), dtype=bool)) is None
    assert box(np.ones((2, 5), dtype=bool)) == (0, 0, 5, 2)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (0, "fine"),
        (51.2**2 - 1, "fine"),
        (51.2**2 + 1, "medium"),
        (153.6**2 - 1, "medium"),
        (153.6**2 + 1, "coarse"),
        (1024**2, "coarse"),
    ],
)
def test_size_classes_meet_at_the_papers_thresholds(pixels: float, expected: str) -> None:
    assert granularity(pixels / 1024**2) == expected


@given(st.lists(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)), max_size=5))
def test_many_masks_are_read_as_one_by_one(masks: list[np.ndarray]) -> None:
    runs = read_runs([encode(mask) for mask in masks])
    assert runs.areas.tolist() == [mask.sum() for mask in masks]
    assert runs.sizes.tolist() == [list(mask.shape) for mask in masks]
    line = np.zeros(sum(mask.size for mask in masks), dtype=bool)
    for begin, end in runs.bounds:
        line[begin:end] = True
    assert line.tolist() == [pixel for mask in masks for pixel in mask.T.ravel()]
    assert len(runs.first) == len(masks) and (np.diff(runs.first) > 0).all()


def test_whole_numbers_of_any_make_are_sizes() -> None:
    assert area({"size": [np.int64(4), np.int32(4)], "counts": "033N002"}) == 5  # type: ignore[list-item]


def test_the_broken_one_of_many_is_named() -> None:
    with pytest.raises(MaskError, match="4x5 mask do not fill"):
        read_runs([encode(L_SHAPE), {"size": [4, 5], "counts": "033N002"}, encode(L_SHAPE)])
    with pytest.raises(MaskError, match=r"size .* and counts"):
        read_runs([encode(L_SHAPE), {"size": [4, 4]}])  # type: ignore[typeddict-item]
    with pytest.raises(MaskError, match="do not fill"):
        read_runs([encode(L_SHAPE), {"size": [2**40, 2**40], "counts": "0"}])


def test_numbers_may_have_up_to_eight_letters() -> None:
    # 16 with digits of 0 above it, which changes nothing
    for letters in range(2, 9):
        assert area({"size": [4, 4], "counts": "0`" + "P" * (letters - 2) + "0"}) == 16
    with pytest.raises(MaskError, match="do not fill"):
        area({"size": [4, 4], "counts": "0`" + "P" * 7 + "0"})
