from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miras.errors import ImageError, MaskError
from miras.pages.draw import PALETTE, overlay, save_png

GRAY = np.full((4, 4, 3), 100, dtype=np.uint8)
TOP = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
RIGHT = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=bool)


def test_each_mask_is_painted_in_its_own_color_and_nothing_else_changes() -> None:
    painted = overlay(GRAY, [TOP, RIGHT], opacity=0.5)
    for mask, color in ((TOP, PALETTE[0]), (RIGHT, PALETTE[1])):
        expected = np.round(50 + np.array(color, dtype=np.float32) * 0.5).astype(np.uint8)
        assert (painted[mask] == expected).all()
    assert (painted[~(TOP | RIGHT)] == 100).all()
    assert (GRAY == 100).all()


def test_opacity_and_first_color() -> None:
    assert (overlay(GRAY, [TOP], opacity=0)[TOP] == 100).all()
    assert (overlay(GRAY, [TOP], opacity=1, first=len(PALETTE) + 2)[TOP] == PALETTE[2]).all()


def test_an_empty_mask_changes_nothing_even_with_a_name() -> None:
    image = np.zeros((80, 80, 3), dtype=np.uint8)
    assert not overlay(image, [np.zeros((80, 80), dtype=bool)], ["cat"]).any()


def test_the_outline_is_light_then_dark_and_inside_the_mask() -> None:
    image = np.full((100, 100, 3), 128, dtype=np.uint8)
    mask = np.zeros((100, 100), dtype=bool)
    mask[20:60, 30:70] = True
    painted = overlay(image, [mask], opacity=0)
    assert (painted[20, 30:70] == 255).all() and (painted[20:60, 69] == 255).all()
    assert (painted[21, 31:69] == (np.array(PALETTE[0]) * np.float32(0.7)).astype(np.uint8)).all()
    assert (painted[22:58, 32:68] == 128).all()
    assert (painted[~mask] == 128).all()


@pytest.mark.parametrize("side", [300, 1200, 4000])
def test_outline_and_label_grow_with_the_image(side: int) -> None:
    image = np.zeros((side // 4, side, 3), dtype=np.uint8)
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[-side // 20 :] = True
    line = int((overlay(image, [mask], opacity=0)[:, side // 2] == 255).all(axis=1).sum())
    assert line == 2 * max(1, round(side / 500))  # one at the top of the mask, one at its bottom
    label = overlay(image, [mask], ["cat"])[~mask].reshape(-1, side, 3).any(axis=(1, 2))
    assert side * 0.025 < label.sum() < side * 0.1


def test_labels_keep_off_each_other_and_inside_the_image() -> None:
    image = np.zeros((300, 300, 3), dtype=np.uint8)
    mask = np.zeros((300, 300), dtype=bool)
    mask[100:104, 290:] = True
    painted = overlay(image, [mask] * 3, ["bumper"] * 3)
    plates = [(painted == color).all(axis=2).sum() for color in PALETTE[:3]]
    assert min(plates) > 0.5 * max(plates)


def test_a_tiny_image_with_a_long_name_is_drawn() -> None:
    assert overlay(np.zeros((1, 1, 3), dtype=np.uint8), [np.ones((1, 1), dtype=bool)], ["a long name"]).shape == (
        1,
        1,
        3,
    )
    wide = np.zeros((40, 90, 3), dtype=np.uint8)
    assert overlay(wide, [np.ones((40, 90), dtype=bool)], ["w\x1b" * 90 + "日本\n"]).shape == (40, 90, 3)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MaskError, match=r"\(4, 5\).*\(4, 4\)"):
        overlay(GRAY, [np.zeros((4, 5), dtype=bool)])
    with pytest.raises(MaskError, match="2 masks, 1 names"):
        overlay(GRAY, [TOP, RIGHT], ["one"])
    with pytest.raises(ImageError, match="float64"):
        overlay(GRAY.astype(float), [TOP])


def test_png_files_hold_what_was_given(tmp_path: Path) -> None:
    with Image.open(save_png(tmp_path / "deep" / "mask.png", TOP)) as mask:
        assert (np.asarray(mask) == TOP * 255).all()
    with Image.open(save_png(tmp_path / "image.png", overlay(GRAY, [TOP]))) as image:
        assert (np.asarray(image) == overlay(GRAY, [TOP])).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "image.png"]
