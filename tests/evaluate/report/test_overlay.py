"""Masks against the truth: what is painted where, and whether every eye tells the colours apart."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from miras.errors import MaskError
from miras.evaluate.report.overlay import COLORS, as_jpeg, marked_photo, swatch

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB
SIGHTS = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])
WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(color: np.ndarray, sight: str = "usual") -> np.ndarray:
    """sRGB 0..255 → CIELAB as that eye sees it."""
    value = np.asarray(color, dtype=float) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1)
    share = XYZ @ seen / WHITE
    f = np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def apart(first: np.ndarray, second: np.ndarray, sight: str) -> float:
    return float(np.linalg.norm(lab(first, sight) - lab(second, sight)))


def test_the_oracle_knows_black_white_and_what_a_protanope_confuses() -> None:
    assert lab(np.array([255, 255, 255])) == pytest.approx([100, 0, 0], abs=0.05)
    assert lab(np.array([0, 0, 0])) == pytest.approx([0, 0, 0], abs=0.05)
    green, red = np.array([80, 140, 40]), np.array([190, 110, 40])
    assert apart(green, red, "protanopia") < 0.35 * apart(green, red, "usual")


@pytest.mark.parametrize("sight", SIGHTS)
def test_every_eye_tells_the_colours_apart(sight: str) -> None:
    assert min(apart(np.array(a), np.array(b), sight) for a, b in combinations(COLORS.values(), 2)) > 33


@pytest.mark.parametrize("sight", SIGHTS)
def test_they_stay_apart_on_a_photo(sight: str) -> None:
    seen = [np.median(swatch(name).reshape(-1, 3), axis=0) for name in COLORS]
    assert min(apart(a, b, sight) for a, b in combinations(seen, 2)) > 19


def test_patterns_are_told_in_grey() -> None:
    grey = {name: lab_lightness(swatch(name)) for name in COLORS}
    assert np.ptp(grey["right"]) < 1
    light, dark = grey["wrong"], grey["missed"]
    assert light.max() - np.median(light) > 15  # stripes are lighter than what they lie on
    assert np.median(dark) - dark.min() > 30  # dots are darker
    assert 0.2 < (light > np.median(light) + 10).mean() < 0.5 and 0.05 < (dark < np.median(dark) - 10).mean() < 0.4


def lab_lightness(patch: np.ndarray) -> np.ndarray:
    return np.array([lab(pixel)[0] for pixel in patch.reshape(-1, 3)])


def square(side: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((side, side), dtype=bool)
    mask[rows, columns] = True
    return mask


def test_right_wrong_and_missed_have_their_colours_and_the_rest_stays() -> None:
    photo = np.full((100, 100, 3), 120, dtype=np.uint8)
    truth, marked = square(100, slice(10, 90), slice(0, 60)), square(100, slice(10, 90), slice(30, 100))
    painted = marked_photo(photo, truth, marked, 100)
    assert painted.shape == photo.shape and (photo == 120).all()
    assert (painted[:10] == 120).all() and (painted[90:] == 120).all()
    for name, region in (("right", (slice(20, 80), slice(31, 59))), ("wrong", (slice(20, 80), slice(62, 99))),
                         ("missed", (slice(20, 80), slice(1, 29)))):  # fmt: skip
        plain = np.round(120 * 0.45 + np.array(COLORS[name]) * 0.55)
        assert (np.median(painted[region].reshape(-1, 3), axis=0) == plain).all()
    assert (painted[10, :60] == 255).all() and (painted[10:90, 59] == 255).all()  # the true outline


def test_no_mask_misses_all_and_both_empty_leave_the_photo() -> None:
    photo = np.full((80, 80, 3), 50, dtype=np.uint8)
    truth = square(80, slice(10, 70), slice(10, 70))
    missed = marked_photo(photo, truth, None, 80)
    assert (
        missed[20:60, 20:60].reshape(-1, 3).max(axis=0) == np.round(50 * 0.45 + np.array(COLORS["missed"]) * 0.55)
    ).all()
    assert (marked_photo(photo, truth & False, None, 80) == photo).all()


def test_a_small_target_is_enlarged_in_the_far_corner() -> None:
    photo = np.full((400, 600, 3), 100, dtype=np.uint8)
    truth = np.zeros((400, 600), dtype=bool)
    truth[380:382, 590:592] = True
    painted = marked_photo(photo, truth, truth, 300)
    assert painted.shape == (200, 300, 3)
    inset = painted[3:81, 3:81].reshape(-1, 3).astype(int)
    blue = np.abs(inset - np.round(100 * 0.45 + np.array(COLORS["right"]) * 0.55)).max(axis=1) < 4
    white = (inset == 255).all(axis=1)
    assert (blue | white).sum() > 20
    assert (painted[100:160, :80] == 100).all()
    beside = np.zeros_like(truth)
    beside[:, :300] = True
    assert (marked_photo(photo, truth, truth, 300, beside=beside)[3:81, 3:81] == 100).all()


def test_one_pixel_does_not_vanish() -> None:
    photo = np.full((900, 900, 3), 100, dtype=np.uint8)
    truth, marked = square(900, slice(450, 451), slice(450, 451)), square(900, slice(0, 900), slice(0, 2))
    assert (marked_photo(photo, truth, marked, 90) == 255).all(axis=2).any()


def test_masks_of_another_image_are_refused() -> None:
    photo = np.zeros((8, 8, 3), dtype=np.uint8)
    with pytest.raises(MaskError, match="use the image that the masks belong to"):
        marked_photo(photo, np.zeros((4, 4), dtype=bool), None, 8)


def test_a_busy_photo_is_saved_at_a_lower_quality() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    whole, bounded = as_jpeg(noise, 10**6), as_jpeg(noise, 20_000)
    assert len(whole) > 20_000 >= len(bounded)
    assert Image.open(io.BytesIO(bounded)).size == (200, 200)
