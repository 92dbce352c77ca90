"""Annotated photos: rows become photos, and a bad row is named by its line."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from miras.data.masks import decode, encode
from miras.data.photos import Photo, load_photos, position
from miras.errors import DataError, ImageError, MaskError

MASK = np.zeros((6, 9), dtype=bool)
MASK[1:3, 2:8] = True
ROW: dict[str, Any] = {
    "image": "images/a.png", "phrase": "leftmost cat", "class": "cat", "kind": "union", "part": False, "n_inst": 2,
    "color": "gray", "pos": "top center", "bbox": [2, 1, 8, 3], "area": 0.2222, "mask": encode(MASK),
    "source": "pets", "license": "CC0",
}  # fmt: skip


def written(root: Path, *lines: str, name: str = "val.jsonl") -> Path:
    (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_rows_of_one_image_make_one_photo(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"image": "images/b.png"}, ROW | {"phrase": "cat", "kind": "instance", "n_inst": 1}]
    with gzip.open(tmp_path / "val.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    first, second = load_photos(tmp_path, "val")
    assert (first.name, second.name) == ("a.png", "b.png")
    assert (first.size, first.source, first.license) == ((6, 9), "pets", "CC0")
    assert [thing.phrase for thing in first.objects] == ["leftmost cat", "cat"]
    one, two = first.objects
    assert (one.union, one.count, two.union, two.count) == (True, 2, False, 1)
    assert (one.box, one.position, one.color, one.part) == ((2, 1, 8, 3), "top center", "gray", False)
    assert np.array_equal(decode(one.mask), MASK)


def test_a_row_needs_only_five_fields(tmp_path: Path) -> None:
    row = {name: ROW[name] for name in ("image", "phrase", "class", "mask", "area")}
    (photo,) = load_photos(written(tmp_path, json.dumps(row)), "val")
    assert photo.objects[0].box == (2, 1, 8, 3)
    assert (photo.objects[0].count, photo.objects[0].position, photo.source) == (1, None, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", r"val\.jsonl:2 is not JSON"),
        ("", r"val\.jsonl:2 is not JSON"),
        ("[1]", r"val\.jsonl:2 lacks every field"),
        (json.dumps({"image": "a", "mask": {}}), r"val\.jsonl:2 lacks \['area', 'class', 'phrase'\]"),
        (json.dumps(ROW | {"mask": "abc"}), r"val\.jsonl:2 has a mask without size and counts"),
        (json.dumps(ROW | {"mask": {"size": [6, 9]}}), r"val\.jsonl:2 has a mask without size and counts"),
    ],
)
def test_a_bad_row_is_named_by_its_line(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_photos(written(tmp_path, json.dumps(ROW), line, json.dumps(ROW)), "val")


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no val\.jsonl\.gz in"):
        load_photos(tmp_path, "val")
    whole = gzip.compress(json.dumps(ROW).encode() * 50)
    for broken in (b"not gzip", whole[: len(whole) // 2], b"", gzip.compress(b"\xff\xfe")):
        (tmp_path / "val.jsonl.gz").write_bytes(broken)
        if not broken:
            assert load_photos(tmp_path, "val") == []
            continue
        with pytest.raises(DataError, match=r"val\.jsonl\.gz is broken or cut off"):
            load_photos(tmp_path, "val")


def test_pixels_come_from_the_file_or_from_memory(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (9, 6), "red").save(tmp_path / "images" / "a.png")
    (photo,) = load_photos(written(tmp_path, json.dumps(ROW)), "val")
    assert tuple(photo.pixels()[0, 0]) == (255, 0, 0)
    held = Photo(tmp_path / "none.png", (), array=np.zeros((4, 5, 3), dtype=np.uint8))
    assert held.pixels() is held.array
    assert held.size == (4, 5)
    assert held == Photo(tmp_path / "none.png", ())
    assert "array" not in repr(held)
    with pytest.raises(ImageError, match=r"none\.png"):
        Photo(tmp_path / "none.png", photo.objects).pixels()


def test_with_mask_measures_again(garage: Photo) -> None:
    mask = np.zeros((10, 20), dtype=bool)
    mask[7:10, 0:5] = True
    thing = garage.objects[0].with_mask(mask)
    assert (thing.area, thing.box, thing.position) == (15 / 200, (0, 7, 5, 10), "bottom left")
    assert (thing.phrase, thing.part, thing.size) == ("left mirror", True, "coarse")
    with pytest.raises(MaskError, match="'left mirror' needs at least one pixel"):
        garage.objects[0].with_mask(np.zeros((2, 2), dtype=bool))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 66, 66), "middle center"),  # the centre lies at 0.33
        ((0, 0, 64, 64), "top left"),
        ((34, 34, 100, 100), "middle center"),
        ((36, 36, 100, 100), "bottom right"),
        ((0, 90, 100, 100), "bottom center"),
        ((90, 40, 100, 60), "middle right"),
    ],
)
def test_position_is_the_third_of_the_box_centre(box: tuple[int, int, int, int], expected: str) -> None:
    assert position(box, 100, 100) == expected


def test_every_row_of_the_data_follows_the_rules(shared_photos: Path) -> None:
    things = [(thing, photo.size) for photo in load_photos(shared_photos, "val") for thing in photo.objects]
    assert len(things) == 891
    for thing, size in things:
        measured = thing.with_mask(decode(thing.mask))
        assert (measured.box, measured.position, measured.mask) == (thing.box, thing.position, thing.mask)
        assert measured.area == pytest.approx(thing.area, abs=6e-5)
        assert position(thing.box, *size) == thing.position
