from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from miras.data.masks import encode
from miras.errors import DataError
from miras.pages.draw import PALETTE
from miras.serve.gallery import write_gallery
from miras.serve.record import Exchange, MarkedTarget, Record, TalkRecord, read_record, write_record

MASK = encode(np.eye(4, dtype=bool))


def record_of(answer: str, *phrases: str) -> Record:
    targets = tuple(MarkedTarget(phrase, 0.5, MASK, f"a b{n}#.png", f"m{n}.png") for n, phrase in enumerate(phrases))
    exchange = Exchange("What?", answer, "…", 1.25, targets)
    return Record("nano", (TalkRecord("T", "p.jpg", (4, 4), (exchange,), "C"),))


def page_of(folder: Path, record: Record) -> ElementTree.Element:
    return ElementTree.parse(write_gallery(write_record(folder / "talk.json", record))).getroot()


def test_a_record_round_trips(tmp_path: Path) -> None:
    record = record_of("[OBJ]猫[SEG]", "猫")
    assert read_record(write_record(tmp_path / "talk.json", record)) == record
    assert record.conversations[0].exchanges[0].targets[0].share == 0.25


@pytest.mark.parametrize("text", ["", "[1]", '{"model": "nano"}', '{"model": "nano", "conversations": [{}]}'])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "talk.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"talk\.json"):
        write_gallery(path)
    with pytest.raises(DataError, match="gone"):
        read_record(tmp_path / "gone.json")
    assert [path.name for path in tmp_path.iterdir()] == ["talk.json"]


def test_named_targets_become_chips_in_the_colors_of_their_masks(tmp_path: Path) -> None:
    page = page_of(tmp_path, record_of("A [SEG], a [OBJ]b<i>[SEG] and [OBJ] c [SEG].", "", "b<i>", "c"))
    chips = list(page.iter("mark"))
    assert [chip.text for chip in chips] == ["b<i>", " c "]
    assert [chip.get("style") for chip in chips] == [
        f"--tone: #{red:02x}{green:02x}{blue:02x}" for red, green, blue in PALETTE[1:3]
    ]
    (bubble,) = (node for node in page.iter("li") if node.get("class") == "model")
    assert "".join(bubble.itertext()) == "A , a b<i> and  c ."
    captions = ["".join(node.itertext()) for node in page.iter("figcaption")]
    assert captions[1:] == [
        f"{name} covers 25.0 % of the image, confidence 0.50 · mask" for name in ("unnamed", "b<i>", "c")
    ]


def test_a_talk_without_masks_says_so(tmp_path: Path) -> None:
    words = "".join(page_of(tmp_path, record_of("I see nothing.")).itertext())
    assert "No mask in this conversation." in words and "1 conversation, 0 masks, 1.2 s" in words


def test_file_names_are_quoted_and_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    page = page_of(tmp_path, record_of("[OBJ]a[SEG]", "a"))
    assert [node.get("src") for node in page.iter("img")] == ["p.jpg", "a%20b0%23.png"]
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "http" not in text and "url(" not in text and "@import" not in text
