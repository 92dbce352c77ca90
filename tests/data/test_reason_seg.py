"""ReasonSeg: the official files, what is laid over what, and outlines drawn as the official reader draws them."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.data.official import reason_seg_json, write_reason_seg

from miras.data.reason_seg import draw_outline, load_reason_seg
from miras.errors import DataError, ImageError


def rows(mask: np.ndarray) -> list[str]:
    return ["".join("#" if pixel else "." for pixel in row) for row in mask]


def test_texts_targets_and_ignored_pixels(tmp_path: Path) -> None:
    first, second = load_reason_seg(write_reason_seg(tmp_path), "val")
    assert (first.name, first.texts, first.is_sentence) == ("a", ("the thing that barks", "who barks"), False)
    assert rows(first.target) == [
        "########..",
        "########..",
        "##...###..",
        "##...###..",
        "##...###..",
        "########..",
        "########..",
        "########..",
    ]
    assert np.array_equal(first.ignored[:, :8], ~first.target[:, :8]) and not first.ignored[:, 8:].any()
    assert second.is_sentence and second.target.sum() == 9 and not second.ignored.any()


@pytest.mark.parametrize("below", ["reason_seg/ReasonSeg", "reason_seg", ""])
def test_every_usual_root_is_taken(tmp_path: Path, below: str) -> None:
    assert len(list(load_reason_seg(write_reason_seg(tmp_path) / below, "val"))) == 2


@pytest.mark.parametrize(
    ("corners", "drawn"),
    [
        ([[1, 1], [3, 1], [3, 3], [1, 3]], [".....", ".###.", ".###.", ".###.", "....."]),
        ([[0.9, 0.2], [4.9, 4.9], [0, 4]], ["#....", "##...", "###..", "####.", "#####"]),
        ([[0, 0], [4, 4], [4, 0], [0, 4]], ["#...#", "##.##", "#####", "##.##", "#...#"]),
        ([[2, 2]], [".....", ".....", "..#..", ".....", "....."]),
        ([[0, 1], [4, 3]], [".....", "##...", "..##.", "....#", "....."]),
        ([[-3, -3], [9, -3], [9, 1], [-3, 1]], ["#####", "#####", ".....", ".....", "....."]),
    ],
    ids=["square", "cut to whole pixels", "crossing", "point", "line", "outside"],
)
def test_outlines(corners: list[list[float]], drawn: list[str]) -> None:
    assert rows(draw_outline(np.array(corners, dtype=float), 5, 5)) == drawn


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 14)), min_size=1, max_size=8))
def test_the_way_round_does_not_matter(corners: list[tuple[int, int]]) -> None:
    drawn = draw_outline(np.array(corners, dtype=float), 15, 20)
    assert np.array_equal(drawn, draw_outline(np.array(corners[::-1], dtype=float), 15, 20))
    assert all(drawn[y, x] for x, y in corners)


def some_corners() -> Iterator[np.ndarray]:
    """A hundred polygons inside 60 x 80 pixels, most of them crossing themselves."""
    rng = np.random.default_rng(0)
    for count in rng.integers(3, 13, 100):
        yield np.stack([rng.uniform(0, 79, count), rng.uniform(0, 59, count)], axis=1)


def test_outlines_are_opencvs() -> None:
    """What `fillPoly` and `polylines` of OpenCV 5.0 drew, as one hash; where OpenCV is there, it draws again."""
    digest = sha256()
    for corners in some_corners():
        digest.update(np.packbits(draw_outline(corners, 60, 80)).tobytes())
    assert digest.hexdigest() == "923f9e6c2286ac0cdebcaad86264485d525ee952216f90b7cda06a8b47d28383"


def test_outlines_are_those_of_the_opencv_that_is_there() -> None:
    cv2 = pytest.importorskip("cv2")
    for corners in some_corners():
        expected, whole = np.zeros((60, 80), np.uint8), np.array([corners], dtype=np.int32)
        cv2.polylines(expected, whole, True, 1, 1)
        cv2.fillPoly(expected, whole, 1)
        assert np.array_equal(draw_outline(corners, 60, 80), expected.astype(bool))


def test_a_photo_that_lies_is_turned_upright(tmp_path: Path) -> None:
    folder = write_reason_seg(tmp_path) / "reason_seg/ReasonSeg/val"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (10, 8)).save(folder / "a.jpg", exif=exif)
    assert next(load_reason_seg(tmp_path, "val")).target.shape == (10, 8)


SQUARE = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", "should hold an object"),
        (json.dumps({**reason_seg_json([], True)}), "text should be a list of questions"),
        (json.dumps({**reason_seg_json([" "], True)}), "text should be a list of questions"),
        (json.dumps({**reason_seg_json(["a"], True), "is_sentence": "yes"}), "is_sentence should be true or false"),
        (json.dumps({**reason_seg_json(["a"], True), "shapes": None}), "shapes should be a list"),
        (json.dumps({**reason_seg_json(["a"], True), "shapes": [{"points": SQUARE}]}), "shape 0 should have label"),
        (json.dumps(reason_seg_json(["a"], True, ("target", [[1.0]]))), "shape 0 should have label"),
        (json.dumps(reason_seg_json(["a"], True, ("target", SQUARE), ("target", []))), "shape 1 should have label"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: str, complaint: str) -> None:
    folder = write_reason_seg(tmp_path) / "reason_seg/ReasonSeg/val"
    (folder / "a.json").write_text(content)
    with pytest.raises(DataError, match=complaint) as caught:
        list(load_reason_seg(tmp_path, "val"))
    assert str(folder / "a.json") in str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder test in"):
        load_reason_seg(tmp_path, "test")
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match=r"no \.json in"):
        load_reason_seg(tmp_path, "test")
    folder = write_reason_seg(tmp_path) / "reason_seg/ReasonSeg/val"
    (folder / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"no image at .*a\.jpg"):
        list(load_reason_seg(tmp_path, "val"))


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    folder = write_reason_seg(tmp_path) / "reason_seg/ReasonSeg/val"
    (folder / "b.jpg").write_bytes(b"none")
    with pytest.raises(ImageError, match=r"b\.jpg is no image"):
        list(load_reason_seg(tmp_path, "val"))


def test_equal_sizes_are_laid_as_the_official_reader_lays_them(tmp_path: Path) -> None:
    folder = write_reason_seg(tmp_path) / "reason_seg/ReasonSeg/val"
    content: Any = reason_seg_json(["a"], False, ("target", SQUARE), ("ignore", SQUARE))
    (folder / "a.json").write_text(json.dumps(content))
    assert next(load_reason_seg(tmp_path, "val")).target.any(), "the first of two equal ones lies above"
