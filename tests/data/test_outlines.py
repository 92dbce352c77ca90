"""COCO's outlines: masks as COCO's own reader makes them, whatever form they come in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from tests.sets.official import packed, runs

from miras.data.masks import area, decode
from miras.data.outlines import read_outline, united
from miras.errors import DataError

HEIGHT, WIDTH = 24, 32


def by_coco(outline: Any) -> np.ndarray:
    """The mask as COCO's own reader makes it."""
    reader = COCO()
    reader.imgs = {1: {"height": HEIGHT, "width": WIDTH}}
    return reader.annToMask({"segmentation": outline, "image_id": 1}).astype(bool)


corners = st.lists(st.floats(-4, 40, width=32), min_size=6, max_size=16).map(lambda one: one[: len(one) // 2 * 2])


@given(st.lists(corners, min_size=1, max_size=4))
def test_polygons_are_those_of_cocos_own_reader(outline: list[list[float]]) -> None:
    mask = read_outline(outline, HEIGHT, WIDTH, "here")
    assert mask is not None
    assert np.array_equal(decode(mask), by_coco(outline))


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_run_lengths_of_either_form_come_back(seed: int, share: float) -> None:
    drawn = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < share
    for outline in (runs(drawn), packed(drawn), [packed(drawn)]):
        mask = read_outline(outline, HEIGHT, WIDTH, "here")
        assert mask is not None
        assert np.array_equal(decode(mask), drawn)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5))
def test_united_masks_hold_what_any_of_them_holds(seeds: list[int]) -> None:
    drawn = [np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.2 for seed in seeds]
    masks = [read_outline(runs(one), HEIGHT, WIDTH, "here") for one in drawn]
    assert np.array_equal(decode(united([mask for mask in masks if mask])), np.any(drawn, axis=0))


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_nothing_drawn_is_no_mask(nothing: Any) -> None:
    assert read_outline(nothing, HEIGHT, WIDTH, "here") is None


def test_a_polygon_may_hold_no_pixel() -> None:
    mask = read_outline([[3.1, 3.1, 3.2, 3.1, 3.2, 3.2]], HEIGHT, WIDTH, "here")
    assert mask is not None and area(mask) == 0


def test_run_lengths_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match=r"^a.json, annotation 7: .*24x32 image \(run lengths of size \[32, 24\]\)"):
        read_outline(packed(np.zeros((WIDTH, HEIGHT))), HEIGHT, WIDTH, "a.json, annotation 7")


@pytest.mark.parametrize("corner", [float("nan"), float("inf"), -1e9])
def test_corners_that_would_end_the_process_are_refused(corner: float) -> None:
    with pytest.raises(DataError, match="a corner that is no number, or further away"):
        read_outline([[0, 0, 3, 0, corner, 2]], HEIGHT, WIDTH, "here")
