"""The gallery: every dialogue, its target marked on its image, and a word where that cannot be."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from miras.errors import DataError
from miras.pages.draw import PALETTE
from miras.prist.show import show


def page_of(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def test_targets_are_marked_and_named(records: list[Any], images: Path, tmp_path: Path) -> None:
    assert show(records, tmp_path / "out", images=images, title="A & B") == 0
    page = page_of(tmp_path / "out" / "index.html")
    assert [node.text for node in page.iter("h2")] == ["blue cup", "straße", "red cup"]
    assert "3 dialogues, 2 images, 3 masks: 3 coarse, 0 medium, 0 fine." in "".join(page.itertext())
    assert [node.text for node in page.iter("mark")] == ["blue cup", "straße", "red cup"]
    pictures = [tmp_path / "out" / str(node.get("src")) for node in page.iter("img")]
    pixels = np.asarray(Image.open(pictures[2]).convert("RGB")).astype(int)
    marked = 0.55 * 90 + 0.45 * np.array(PALETTE[0])
    assert np.abs(pixels[4:6, 5:8].mean(axis=(0, 1)) - marked).max() < 25  # JPEG spreads colours
    assert np.abs(pixels[:3] - 90).mean() < 12


def test_what_has_no_picture_says_why_and_pages_are_turned(
    records: list[Any], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miras.prist.show._ON_PAGE", 2)
    (images / "b.png").unlink()
    records[0]["mask"] = {**records[0]["mask"], "size": [8, 6]}
    told: list[int] = []
    assert show(records, tmp_path / "out", images=images, title="T", tell=told.append) == 2
    assert told == [1, 2, 3]
    words = "".join(page_of(tmp_path / "out" / "index.html").itertext())
    assert "The mask is 8 x 6 pixels, the image 6 x 8." in words and "no image at" in words and "Page 1 2" in words
    second = page_of(tmp_path / "out" / "page2.html")
    assert [node.get("href") for node in second.iter("a")] == ["index.html"]
    assert show(records[2:], tmp_path / "out", images=None, title="T") == 1
    assert not (tmp_path / "out" / "page2.html").exists()
    with pytest.raises(DataError, match="no dialogue to show"):
        show([], tmp_path / "none", images=images, title="T")
