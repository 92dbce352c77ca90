"""The choice of images: what is listed, what is drawn, what is shown."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miras.errors import DataError
from miras.generate.images import Picture, captioned, choose, listed


def _save(path: Path, seed: int, **options: object) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((90, 80), Image.Resampling.NEAREST).save(path, **options)  # type: ignore[arg-type]
    return path


def test_listed_by_name_with_the_folder_as_category(tmp_path: Path) -> None:
    _save(tmp_path / "b.png", 0)
    _save(tmp_path / "cars" / "old" / "a.JPG", 1)
    (tmp_path / "notes.txt").write_text("no image")
    found = listed(tmp_path)
    assert [(one.name, one.categories) for one in found] == [("b.png", ()), ("cars/old/a.JPG", ("cars",))]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        listed(tmp_path / "empty")
    with pytest.raises(DataError, match="no folder at"):
        listed(tmp_path / "absent")


def test_textcaps(tmp_path: Path) -> None:
    for name in ("a1", "b2"):
        _save(tmp_path / "images" / f"{name}.jpg", ord(name[0]))
    entries = [
        {"image_id": "a1", "image_classes": ["Bottle", "Drink"], "caption_str": "A bottle of ale."},
        {"image_id": "a1", "image_classes": ["Bottle", "Drink"], "caption_str": "Ale on a table."},
        {"image_id": "c3", "image_classes": ["Clock"], "caption_str": "Noon."},
    ]
    file = tmp_path / "TextCaps.json"
    file.write_text(json.dumps({"data": entries}))
    [found] = captioned(file, tmp_path / "images")
    assert found.name == "a1.jpg" and found.categories == ("Bottle", "Drink")
    assert found.captions == ("A bottle of ale.", "Ale on a table.")
    for broken in ("[]", '{"data": [1]}', "{", '{"data": [{"image_classes": []}]}'):
        file.write_text(broken)
        with pytest.raises(DataError, match="should be TextCaps' JSON"):
            captioned(file, tmp_path / "images")
    file.write_text(json.dumps({"data": entries[2:]}))
    with pytest.raises(DataError, match="none of the 1 images"):
        captioned(file, tmp_path / "images")


def test_so_many_of_each_category_no_two_alike(tmp_path: Path) -> None:
    for kind, count in (("a", 12), ("b", 9), ("c", 3)):
        for index in range(count):
            _save(tmp_path / kind / f"{index}.png", 100 * ord(kind) + index)
    twins = [Image.open(tmp_path / "a" / f"{index}.png") for index in range(12)]
    for index, image in enumerate(twins):  # saved again, smaller and as JPEG
        image.resize((45, 40)).save(tmp_path / "a" / f"twin{index}.jpg", quality=80)
    (tmp_path / "b" / "broken.png").write_bytes(b"\x89PNG nothing more")
    pictures = listed(tmp_path)
    chosen = choose(pictures, categories=2, per_category=9, seed=1)
    assert Counter(one.categories[0] for one in chosen) == {"a": 9, "b": 9}
    stems = [one.path.stem.removeprefix("twin") for one in chosen if one.categories == ("a",)]
    assert len(set(stems)) == 9
    assert chosen == choose(pictures, categories=2, per_category=9, seed=1)
    assert chosen != choose(pictures, categories=2, per_category=9, seed=2)
    with pytest.raises(DataError, match="13 images of 'a' are wanted, 12 different ones can be read of 24; ask for 12"):
        choose([one for one in pictures if one.categories == ("a",)], categories=1, per_category=13, seed=0)
    with pytest.raises(DataError, match="4 categories are wanted, the images have 3"):
        choose(pictures, categories=4, per_category=1, seed=0)


def test_an_image_of_several_categories_counts_for_the_rarest(tmp_path: Path) -> None:
    pictures = [
        Picture(f"{i}.png", _save(tmp_path / f"{i}.png", i), ("common", "rare") if i < 2 else ("common",))
        for i in range(6)
    ]
    chosen = choose(pictures, categories=2, per_category=2, seed=0)
    assert len(chosen) == 4 and {one.name for one in chosen} >= {"0.png", "1.png"}
