"""Controls by hand on the three tiny photos."""

import numpy as np
import pytest

from miras.data.masks import decode, encode
from miras.data.photos import Photo
from miras.evaluate.photos.controls import centre_box, centre_box_giou, other_phrase, other_phrases
from miras.evaluate.photos.targets import all_cases


def test_other_phrase_is_of_the_same_photo_and_another_class(photos: list[Photo]) -> None:
    chosen = other_phrases(all_cases(photos), seed=0)
    assert {index: other.index for index, other in chosen.items()} == {0: 1, 1: 0, 2: 3, 3: 2, 4: 5, 5: 4}


def test_same_class_same_mask_and_lone_phrases_are_left_out(photos: list[Photo]) -> None:
    cat, ball = photos[0].objects
    # A second cat where the ball is not: its mask differs, its class does not.
    other_cat = type(cat)("the right cat", "cat", encode(~decode(cat.mask) & ~decode(ball.mask)), ball.area)
    twin = Photo(photos[0].path, (cat, other_cat, ball), "pets")
    names = Photo(photos[0].path, (cat, type(cat)("the pet", "pet", cat.mask, cat.area)), "pets")
    lone = Photo(photos[0].path, (cat,), "pets")
    assert {i: o.index for i, o in other_phrases(all_cases([twin]), seed=0).items() if i < 2} == {0: 2, 1: 2}
    assert other_phrases(all_cases([names, lone]), seed=0) == {}
    figures = other_phrase(all_cases([names, lone]), dict.fromkeys(range(3)), seed=0)
    assert (figures["other_phrase"], figures["other_phrase_drop"], figures["other_phrase_left_out"]) == (None, None, 3)


def test_the_other_phrase_is_seeded_and_varies(photos: list[Photo]) -> None:
    cat = photos[0].objects[0]
    row = [np.eye(8, dtype=bool)[[place]].repeat(8, axis=0) for place in range(8)]
    many = Photo(photos[0].path, tuple(type(cat)(f"{n}", f"{n}", encode(m), 0.1) for n, m in enumerate(row)), "pets")
    draws = [{i: o.index for i, o in other_phrases(all_cases([many]), seed=seed).items()} for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0].values())) > 2


def test_predictions_for_the_other_phrase_are_scored(photos: list[Photo]) -> None:
    cases = all_cases(photos)
    right = {case.index: case.target.mask for case in cases}
    figures = other_phrase(cases, right, seed=0)
    # Only tail lies in dog (4 of 32 pixels) and button in shirt (1 of 1,024).
    overlap = (2 * 4 / 32 + 2 / 1024) / 6
    assert figures["other_phrase"] == pytest.approx(overlap, abs=1e-12)
    assert figures["other_phrase_perfect"] == pytest.approx(overlap, abs=1e-12)
    assert figures["other_phrase_direct"] == 1
    assert figures["other_phrase_drop"] == pytest.approx(1 - overlap, abs=1e-12)
    assert (figures["other_phrase_n"], figures["other_phrase_left_out"]) == (6, 0)


def test_nothing_marked_counts_as_empty(photos: list[Photo]) -> None:
    figures = other_phrase(all_cases(photos), dict.fromkeys(range(6)), seed=0)
    assert (figures["other_phrase"], figures["other_phrase_direct"], figures["other_phrase_drop"]) == (0, 0, 0)


def test_centre_box_by_hand() -> None:
    assert centre_box(4, 8, 0.25).astype(int).tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert centre_box(1, 9, 0.0001).sum() == 1
    assert centre_box(5, 3, 1.0).all()


def test_centre_box_has_the_mean_target_area(photos: list[Photo]) -> None:
    # Mean share 0.386, so sides of 0.62: rows and columns 1 to 5 of 8, and 20 x 20 of 32 x 32.
    expected = (15 / 42 + 6 / 35 + 10 / 47 + 0 + 0 + 400 / 1024) / 6
    assert centre_box_giou(all_cases(photos)) == pytest.approx(expected, abs=1e-12)
    assert centre_box_giou([]) is None
