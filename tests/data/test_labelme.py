"""labelme's JSON: shapes become the pixels that labelme fills, and what is written is read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miras.data.labelme import Labelled, Shape, mask_shape, polygon, read_labelme, written
from miras.errors import DataError


def file_of(tmp_path: Path, *shapes: Any, **more: Any) -> Path:
    path = tmp_path / "a.json"
    content = {"shapes": list(shapes), "imagePath": "a.jpg", "imageHeight": 5, "imageWidth": 7, **more}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def shape(kind: str, *points: tuple[float, float], label: Any = "cup", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "flags": {}, **more}


def rows(mask: np.ndarray | None) -> list[str]:
    assert mask is not None
    return ["".join(".#"[int(pixel)] for pixel in row) for row in mask]


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (shape("polygon", (1, 1), (4, 1), (4, 3), (1, 3)), [".......", ".####..", ".####..", ".####..", "......."]),
        (shape("oriented_rectangle", (1, 1), (4, 1), (4, 3), (1, 3)), [".......", *[".####.."] * 3, "......."]),
        (shape("rectangle", (4, 3), (2, 1)), [".......", "..###..", "..###..", "..###..", "......."]),
        (shape("circle", (3, 2), (4, 2)), [".......", "...#...", "..###..", "...#...", "......."]),
        (shape("polygon", (-9, -9), (99, -9), (99, 0), (-9, 0)), ["#######", *["......."] * 4]),
        (shape("line", (0, 0), (6, 4)), ["......."] * 5),
    ],
)  # fmt: skip
def test_shapes_are_filled_with_their_outline(tmp_path: Path, drawn: Any, expected: list[str]) -> None:
    assert rows(read_labelme(file_of(tmp_path, drawn)).mask("cup")) == expected


def test_labels_are_matched_exactly_their_shapes_joined_and_holes_taken_out(tmp_path: Path) -> None:
    read = read_labelme(
        file_of(
            tmp_path,
            shape("rectangle", (1, 1), (1, 1), label="cup", flags={"hole": True}),
            shape("rectangle", (0, 0), (2, 2), label="cup"),
            shape("rectangle", (5, 0), (6, 0), label="cup"),
            shape("rectangle", (0, 4), (6, 4), label="cups"),
        )
    )
    assert rows(read.mask("cup")) == ["###..##", "#.#....", "###....", ".......", "......."]
    assert read.labels == ("cup", "cups")
    assert read.mask("Cup") is None


@given(st.integers(0, 2**35 - 1))
def test_a_mask_shape_is_exact(bits: int) -> None:
    mask = np.array([bits >> place & 1 for place in range(35)], dtype=bool).reshape(5, 7)
    one = mask_shape("cup", mask)
    if one is None:
        assert not mask.any()
    else:
        assert np.array_equal(one.draw(5, 7), mask)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    mask = np.eye(5, 7, dtype=bool)
    one = mask_shape("eye", mask)
    assert one is not None
    whole = Labelled(
        "images/ä.jpg",
        5,
        7,
        (one, polygon("tri", [(0, 0), (3.5, 0), (0, 2)]), polygon("tri", [(0, 0)] * 3, hole=True)),
        {"dialogue": [1]},
    )
    path = tmp_path / "a.json"
    path.write_text(json.dumps(written(whole)), encoding="utf-8")
    read = read_labelme(path)
    assert read == whole
    assert np.array_equal(read.mask("eye"), mask)  # type: ignore[arg-type]
    assert set(json.loads(path.read_text())) == {
        "version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth", "dialogue",
    }  # fmt: skip


def test_the_windows_code_page_is_read(tmp_path: Path) -> None:
    path = file_of(tmp_path, shape("rectangle", (0, 0), (1, 1), label="cafX"))
    path.write_bytes(path.read_bytes().replace(b"cafX", b"caf\xe9"))
    assert read_labelme(path).labels == ("café",)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([3], "shape 0 should have label"),
        ([shape("polygon", (0, 0), (1, 1))], "a polygon of 2 points"),
        ([shape("oriented_rectangle", (0, 0), (1, 1))], "a oriented_rectangle of 2 points"),
        ([shape("rectangle", (0, 0))], "a rectangle of 1 points"),
        ([shape("polygon", (0, 0), (1, float("nan")), (1, 1))], "points that are no numbers"),
        ([shape("mask", (0, 0), (1, 1), mask="AAAA")], "shape 0 should have"),
        ([shape("mask", (0, 0), (1, 1))], "got 'mask'"),
        ([shape("polygon", (0, 0), (1, 1), (2, 0), label=3)], "label 3"),
    ],
)
def test_a_bad_shape_is_named(tmp_path: Path, shapes: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.json, .*{message}"):
        read_labelme(file_of(tmp_path, *shapes))


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no labelme file at .*none\.json"):
        read_labelme(tmp_path / "none.json")
    path = tmp_path / "a.json"
    for text, message in (("{", "is not JSON"), ("[]", "should hold shapes"), ('{"shapes": []}', "got 'imageHeight'")):
        path.write_text(text)
        with pytest.raises(DataError, match=rf"a\.json .*{message}"):
            read_labelme(path)
    with pytest.raises(DataError, match=r"a\.json should hold shapes.*infinity"):
        read_labelme(file_of(tmp_path, imageHeight=float("inf")))
    with pytest.raises(DataError, match="size 0 x 7"):
        read_labelme(file_of(tmp_path, imageHeight=0))


def test_a_shape_outside_the_image_is_no_error() -> None:
    outside = Shape("cup", "mask", ((-1.0, -1.0), (0.0, 0.0)), pixels=np.ones((2, 2), dtype=bool))
    assert rows(outside.draw(2, 2)) == ["#.", ".."]
    far = Shape("cup", "mask", ((9.0, 9.0), (9.0, 9.0)), pixels=np.ones((1, 1), dtype=bool))
    assert not far.draw(2, 2).any()
