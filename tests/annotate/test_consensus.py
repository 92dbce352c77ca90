"""The middle of two masks: between them, in the middle where they differ by a band, unmoved where they agree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from miras.annotate.consensus import distance, majority, middle, near

mask = arrays(bool, (5, 6))


def rows(*lines: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in line] for line in lines])


def test_the_outline_runs_halfway() -> None:
    inner, outer = np.zeros((21, 21), dtype=bool), np.zeros((21, 21), dtype=bool)
    inner[8:13, 8:13] = outer[4:17, 4:17] = True
    found = middle(inner, outer)
    expected = np.zeros((21, 21), dtype=bool)
    expected[6:15, 6:15] = True
    corners = np.zeros_like(expected)
    corners[np.ix_([6, 14], [6, 14])] = True
    assert np.array_equal(found | corners, expected)  # at a corner, the way on the diagonal is longer
    assert np.array_equal(middle(outer, inner) | corners, expected)


def test_where_it_is_as_far_to_both_the_marks_around_decide_and_then_the_first() -> None:
    narrow, wide = rows(*["##...."] * 4), rows(*["###..."] * 4)
    assert np.array_equal(middle(narrow, wide), narrow)
    assert np.array_equal(middle(wide, narrow), wide)
    tooth, flat = rows("##....", "###...", "##...."), rows(*["##...."] * 3)
    assert np.array_equal(middle(tooth, flat), flat) and np.array_equal(middle(flat, tooth), flat)


def test_a_lone_piece_falls_away_and_a_lone_hole_is_closed() -> None:
    first = rows("###...", "#.#..#", "###...")
    second = rows("###...", "###...", "###...")
    assert np.array_equal(middle(first, second), second)


def test_the_border_of_the_image_is_no_outside() -> None:
    whole, left = np.ones((4, 8), dtype=bool), np.zeros((4, 8), dtype=bool)
    left[:, :4] = True
    assert middle(left, whole).all()  # nobody marks an end, so nothing pushes back from there
    assert not middle(whole, np.zeros_like(whole)).any()


@given(mask, mask)
def test_the_middle_lies_between(first: np.ndarray, second: np.ndarray) -> None:
    found = middle(first, second)
    if not (first & second).any():
        assert not found.any()
        return
    assert not (first & second & ~found).any()
    assert not (found & ~(first | second)).any()
    assert np.array_equal(middle(first, first), first)


@given(mask, mask, mask)
def test_the_majority_is_what_two_of_three_mark(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> None:
    votes = first.astype(int) + second + third
    assert np.array_equal(majority(first, second, third), votes >= 2)


@pytest.mark.parametrize(("steps", "expected"), [(0, False), (1, False), (2, True), (3, True)])
def test_near_counts_steps(steps: int, expected: bool) -> None:
    assert near(rows("......", ".##...", "......"), rows("......", ".####.", "......"), steps) is expected


def test_near_needs_something_in_common() -> None:
    assert not near(rows("#....."), rows(".#...."), 9)
    assert near(rows("......"), rows("......"), 0)


def test_distance_is_in_pixels() -> None:
    inner, outer = np.zeros((400, 400), dtype=bool), np.zeros((400, 400), dtype=bool)
    y, x = np.mgrid[:400, :400] - 199.5
    inner, outer = x**2 + y**2 < 120**2, x**2 + y**2 < 123**2
    assert distance(inner, outer) == pytest.approx(3, rel=0.02)
    assert distance(inner, inner) == 0 == distance(inner & False, inner & False)
