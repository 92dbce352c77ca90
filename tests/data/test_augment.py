"""Changed photos stay true: words, masks, areas, boxes and counts follow the pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from miras.data.augment import crop, flip, jitter, resize, scale, scaled_mask, zoom
from miras.data.masks import decode, encode
from miras.data.photos import Photo, PhotoObject, load_photos
from miras.errors import DataError

seeds = st.integers(0, 2**32 - 1)


def phrases(photo: Photo) -> list[str]:
    return [thing.phrase for thing in photo.objects]


def checked(photo: Photo) -> Photo:
    """The photo, after a look at whether its annotations fit its pixels."""
    assert photo.array is not None
    for thing in photo.objects:
        mask = decode(thing.mask)
        assert mask.shape == photo.array.shape[:2] == photo.size
        measured = thing.with_mask(mask)
        assert (measured.box, measured.area, measured.position) == (thing.box, thing.area, thing.position)
    return photo


def test_flip_swaps_sides_in_pixels_masks_and_words(garage: Photo) -> None:
    mirrored = checked(flip(garage))
    assert np.array_equal(mirrored.pixels(), garage.pixels()[:, ::-1])
    assert phrases(mirrored) == ["right mirror", "wheel", "rightmost wheel", "leftmost wheel"]
    first = mirrored.objects[0]
    assert (first.class_name, first.box, first.position) == ("right mirror", (24, 2, 30, 8), "top right")
    assert np.array_equal(decode(first.mask), decode(garage.objects[0].mask)[:, ::-1])
    assert flip(mirrored).objects == garage.objects


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("left mirror", "right mirror"),
        ("front left headlight", "front right headlight"),
        ("leftmost person", "rightmost person"),
        ("left-hand door", "right-hand door"),
        ("left of the right car", "right of the left car"),
        ("rightmost left mirror", "leftmost right mirror"),
        ("bright upright leftover", "bright upright leftover"),
        ("copyright", "copyright"),
    ],
)
def test_only_whole_words_of_side_are_swapped(words: str, expected: str, garage: Photo) -> None:
    photo = replace(garage, objects=(replace(garage.objects[0], phrase=words, class_name=words),))
    assert (flip(photo).objects[0].phrase, flip(photo).objects[0].class_name) == (expected, expected)


def test_crop_around_everything_changes_nothing(garage: Photo) -> None:
    same = checked(crop(garage, (0, 0, 32, 24)))
    assert same.objects == garage.objects
    assert np.array_equal(same.pixels(), garage.pixels())


def test_crop_moves_what_is_inside(garage: Photo) -> None:
    part = checked(crop(garage, (1, 1, 17, 11)))
    assert phrases(part) == ["left mirror"]
    assert part.objects[0].box == (1, 1, 7, 7)
    assert part.objects[0].area == 36 / 160
    assert np.array_equal(part.pixels(), garage.pixels()[1:11, 1:17])


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (3, [("left mirror", 1), ("wheel", 2), ("leftmost wheel", 1), ("rightmost wheel", 1)]),  # 5/6 of the mirror
        (4, [("left mirror", 1), ("wheel", None)]),  # 7/8 of a wheel is under 90 %
        (5, [("left mirror", 1), ("wheel", None)]),
        (6, [("wheel", None)]),  # 2 of 6 columns: under 40 %
        (11, [("wheel", 1)]),  # one wheel is all that is left: it becomes the wheel
    ],
)
def test_words_and_counts_fall_with_what_is_cut(
    left: int, expected: list[tuple[str, int | None]], garage: Photo
) -> None:
    found = [(thing.phrase, thing.count) for thing in checked(crop(garage, (left, 0, 32, 24))).objects]
    assert found == expected


def test_the_last_instance_takes_the_plain_name_and_its_own_colour(garage: Photo) -> None:
    (wheel,) = crop(garage, (20, 12, 32, 24)).objects
    assert (wheel.phrase, wheel.union, wheel.count, wheel.color) == ("wheel", False, 1, "gray")
    assert wheel.box == (2, 2, 10, 10)


def test_qualified_words_stay_while_nine_tenths_are_visible() -> None:
    mask = np.zeros((20, 40), dtype=bool)
    first, second = mask.copy(), mask.copy()
    first[4:14, 0:10], second[4:14, 20:30] = True, True
    things = [PhotoObject(f"{side} cup", "cup", encode(m), 0.0).with_mask(m)
              for side, m in (("leftmost", first), ("rightmost", second))]  # fmt: skip
    photo = Photo(Path("cups.png"), tuple(things), array=np.zeros((20, 40, 3), dtype=np.uint8))
    assert phrases(crop(photo, (1, 0, 40, 20))) == ["leftmost cup", "rightmost cup"]
    assert phrases(crop(photo, (2, 0, 40, 20))) == []


def test_specks_are_dropped(garage: Photo) -> None:
    speck = np.zeros((24, 32), dtype=bool)
    speck[0:3, 10:15] = True
    photo = replace(garage, objects=(garage.objects[0].with_mask(speck),))
    assert crop(photo, (0, 0, 32, 12)).objects == ()
    speck[3, 10] = True
    photo = replace(garage, objects=(garage.objects[0].with_mask(speck),))
    assert len(crop(photo, (0, 0, 32, 12)).objects) == 1


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (5, 5, 4, 9), (-1, 0, 5, 5), (0, 0, 33, 5), (0, 0, 5, 25)])
def test_a_crop_lies_inside(box: tuple[int, int, int, int], garage: Photo) -> None:
    with pytest.raises(DataError, match=r"inside \(0, 0, 32, 24\)"):
        crop(garage, box)


@given(seeds)
def test_zoom_keeps_35_to_100_percent_and_an_object(garage: Photo, seed: int) -> None:
    part = checked(zoom(garage, np.random.default_rng(seed)))
    height, width = part.size
    assert 0.35 * 24 <= height <= 24
    assert 0.35 * 32 <= width <= 32
    assert 0.7 < (width / 32) / (height / 24) < 1.4
    assert part.objects


@given(seeds, st.sampled_from([0, 2, 3]))
def test_zoom_shows_the_target_whole_and_larger(garage: Photo, seed: int, index: int) -> None:
    target = garage.objects[index]
    part = checked(zoom(garage, np.random.default_rng(seed), target))
    kept = [thing for thing in part.objects if thing.class_name == target.class_name]
    assert kept
    assert round(kept[0].area * part.size[0] * part.size[1]) >= round(target.area * 24 * 32)
    assert 1.5 <= max(32, 24) / max(part.size) <= 5


def test_a_target_as_large_as_the_photo_leaves_it_whole(garage: Photo) -> None:
    whole = garage.objects[0].with_mask(np.ones((24, 32), dtype=bool))
    photo = replace(garage, objects=(whole,))
    assert zoom(photo, np.random.default_rng(0), whole).size == (24, 32)


def test_a_photo_without_objects_is_left_as_it_is(garage: Photo) -> None:
    empty = replace(garage, objects=())
    assert zoom(empty, np.random.default_rng(0)) is empty


@given(seeds)
def test_jitter_is_mild_and_leaves_annotations(garage: Photo, seed: int) -> None:
    grey = replace(garage, array=np.full((24, 32, 3), 120, dtype=np.uint8))
    changed = jitter(grey, np.random.default_rng(seed))
    assert changed.objects == grey.objects
    assert 0.74 * 120 <= changed.pixels().mean() <= 1.26 * 120
    assert np.ptp(changed.pixels()[0, 0]) <= 1  # no tint


def test_jitter_keeps_colours_apart(garage: Photo) -> None:
    pixels = np.zeros((24, 32, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    for seed in range(20):
        red = jitter(replace(garage, array=pixels), np.random.default_rng(seed)).pixels().mean(axis=(0, 1))
        assert red[0] > 2 * red[1]
    assert pixels[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize(("longest", "size"), [(16, (12, 16)), (64, (48, 64)), (32, (24, 32)), (1, (1, 1))])
def test_scale_sets_the_longest_side(longest: int, size: tuple[int, int], garage: Photo) -> None:
    assert checked(scale(garage, longest)).size == size


def test_scale_takes_masks_along(garage: Photo) -> None:
    half = scale(garage, 16)
    assert phrases(half) == phrases(garage)
    assert half.objects[0].box == (1, 1, 4, 4)
    with pytest.raises(DataError, match="at least 1 x 1"):
        scale(garage, 0)
    with pytest.raises(DataError, match="got -3 x 4"):
        resize(garage, -3, 4)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=30)), st.integers(1, 60), st.integers(1, 60))
def test_a_scaled_mask_is_the_half_covered_part_of_the_whole(mask: np.ndarray, height: int, width: int) -> None:
    whole = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(whole).astype(int)
    scaled = scaled_mask(mask, height, width)
    assert scaled.shape == (height, width)
    assert scaled[values > 130].all()
    assert not scaled[values < 125].any()


def test_real_photos_stay_true(shared_photos: Path) -> None:
    rng = np.random.default_rng(0)
    for photo in load_photos(shared_photos, "val")[::9]:
        checked(flip(photo))
        target = photo.objects[int(rng.integers(len(photo.objects)))]
        part = checked(zoom(photo, rng, target))
        assert any(thing.class_name == target.class_name for thing in part.objects)
        assert len(set(phrases(part))) == len(part.objects)
        checked(scale(zoom(photo, rng), 224))
