"""Conversations as files: each form is read back by a program that did not write it."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from pycocotools.coco import COCO

from miras.data.labelme import read_labelme
from miras.data.masks import encode
from miras.data.prist import load
from miras.errors import DataError, MaskError
from miras.prist.check import check
from miras.serve.exports import FORMS, export

IMAGE = np.arange(12 * 20 * 3, dtype=np.uint8).reshape(12, 20, 3)
CAT = np.zeros((12, 20), dtype=bool)
CAT[2:9, 1:7] = True
CAT[4:6, 3:5] = False
TAIL = np.zeros((12, 20), dtype=bool)
TAIL[0, 19] = TAIL[1, 18] = TAIL[11, 0] = True


def _target(phrase: str, mask: np.ndarray, score: float = 0.75) -> dict[str, Any]:
    return {"phrase": phrase, "score": score, "box": [0, 0, 0, 0], "area": int(mask.sum()), "mask": encode(mask)}


def _turn(question: str, text: str, *targets: dict[str, Any], corrected: Any = None) -> dict[str, Any]:
    return {"question": question, "text": text, "targets": list(targets), "corrected": corrected}


def _view(*turns: dict[str, Any]) -> dict[str, Any]:
    return {"id": "secret-name-of-it", "model": "nano", "width": 20, "height": 12, "turns": list(turns)}


TALK = _view(
    _turn("What is it?", "An animal."),
    _turn("Which one?", "A [OBJ]cat[SEG], I think.", _target("cat", TAIL)),
    _turn("Mark both.", "[OBJ]cat[SEG] and [OBJ]tail[SEG].", _target("cat", CAT), _target("tail", TAIL, 0.5)),
    _turn("Thanks", "Any time."),
)


def _json(form: str, view: dict[str, Any] = TALK, **which: int) -> Any:
    return json.loads(export(form, view, IMAGE, **which).content)


def _unpacked(folder: Path, view: dict[str, Any], **which: int) -> list[dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(export("prist", view, IMAGE, **which).content)) as archive:
        archive.extractall(folder)
    records: list[dict[str, Any]] = json.loads((folder / "dialogues.json").read_text())
    return records


def test_run_lengths_are_those_of_pycocotools() -> None:
    first, second = _json("rle")
    assert (first["phrase"], first["score"]) == ("cat", 0.75)
    for one, mask in ((first, CAT), (second, TAIL)):
        assert np.array_equal(coco.decode(one["mask"]).astype(bool), mask)


def test_coco_is_read_by_coco(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_bytes(export("coco", TALK, IMAGE).content)
    read = COCO(tmp_path / "coco.json")
    marked = {read.cats[one["category_id"]]["name"]: one for one in read.anns.values()}
    assert np.array_equal(read.annToMask(marked["cat"]).astype(bool), CAT)
    assert (marked["cat"]["bbox"], marked["cat"]["area"]) == ([1, 2, 6, 7], 38)
    assert marked["tail"]["score"] == 0.5


def test_labelme_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(export("labelme", TALK, IMAGE).content)
    read = read_labelme(tmp_path / "one.json")
    assert read.labels == ("cat", "tail")
    drawn = read.mask("cat")
    assert drawn is not None and np.array_equal(drawn, CAT)


@pytest.mark.parametrize(("which", "expected"), [({}, CAT | TAIL), ({"target": 1}, TAIL), ({"turn": 1}, TAIL)])
def test_a_mask_is_white_on_black(which: dict[str, int], expected: np.ndarray) -> None:
    with Image.open(io.BytesIO(export("mask", TALK, IMAGE, **which).content)) as png:
        assert (png.mode, png.size) == ("L", (20, 12))
        assert np.array_equal(np.asarray(png), expected * np.uint8(255))


def test_an_overlay_changes_what_is_marked_and_keeps_the_colour_of_the_page() -> None:
    with Image.open(io.BytesIO(export("overlay", TALK, IMAGE, target=1).content)) as png:
        painted = np.asarray(png).astype(int)
    tone = np.array((230, 159, 0))  # the second of the palette
    assert np.abs(painted[11, 0] - (IMAGE[11, 0] + tone) / 2).max() <= 1
    assert np.array_equal(painted[6:, 1:], IMAGE[6:, 1:])


def test_svg_fills_exactly_the_pixels() -> None:
    text = export("svg", TALK, IMAGE).content.decode()
    assert 'viewBox="0 0 20 12"' in text
    assert re.findall("<title>(.*?)</title>", text) == ["cat", "tail"]
    for data, mask in zip(re.findall(' d="(.*?)"', text), (CAT, TAIL), strict=True):
        filled = np.zeros_like(mask)
        for ring in data.strip("Z").split("Z"):
            numbers = [8 * int(number) for number in re.findall(r"\d+", ring)]
            canvas = Image.new("1", (160, 96))
            ImageDraw.Draw(canvas).polygon(numbers, fill=1)
            filled ^= np.asarray(canvas)[4::8, 4::8]
        assert np.array_equal(filled, mask)


def test_prist_passes_the_validator_and_has_the_talk_up_to_the_mask(tmp_path: Path) -> None:
    cat, tail = _unpacked(tmp_path, TALK)
    checked = check(tmp_path / "dialogues.json", images=tmp_path / "images", masks=tmp_path / "images")
    assert checked.usable == checked.records == 2
    assert [turn["value"] for turn in cat["dialogue"]] == [
        "What is it?", "An animal.", "Which one?", "A cat, I think.", "Mark both.", "[SEG] and tail.",
    ]  # fmt: skip
    assert tail["dialogue"][-1]["value"] == "cat and [SEG]."
    assert np.array_equal(coco.decode(cat["mask"]).astype(bool), CAT)
    assert load(tmp_path / "dialogues.json")[1].turns[-1].text == "cat and [OBJ]tail[SEG]."
    with Image.open(tmp_path / "images" / cat["img_id"]) as image:
        assert np.array_equal(np.asarray(image), IMAGE)
    drawn = read_labelme(tmp_path / "images" / f"{Path(cat['img_id']).stem}.json").mask("tail")
    assert drawn is not None and np.array_equal(drawn, TAIL)
    assert (cat["model"], cat["corrected"]) == ("nano", False)


def test_no_file_tells_the_name_of_the_session() -> None:
    for form in FORMS:
        made = export(form, TALK, IMAGE)
        assert "secret" not in made.name
        assert b"secret" not in made.content


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ("That is a Fine Dog there.", "That is a [SEG] there."),
        ("Here you are.", "Here you are. [SEG]"),
        ("Here: [OBJ]cat[SEG].", "Here: [SEG]."),
    ],
)
def test_corrections_take_the_place_of_what_was_said(tmp_path: Path, answer: str, ending: str) -> None:
    targets = [{"phrase": "fine dog", "mask": encode(TAIL)}]
    corrected = {"question": "Show [SEG] it", "answer": answer, "targets": targets}
    view = _view(_turn("Mark it", "[OBJ]cat[SEG]", _target("cat", CAT), corrected=corrected))
    (record,) = _unpacked(tmp_path, view)
    assert [turn["value"] for turn in record["dialogue"]] == ["Show  it", ending]
    assert (record["focus"], record["corrected"]) == ("fine dog", True)
    assert _json("rle", view) == [{"phrase": "fine dog", "score": None, "mask": encode(TAIL)}]
    assert "score" not in _json("coco", view)["annotations"][0]


def test_things_of_one_name_are_told_apart() -> None:
    view = _view(_turn("Mark", "x", _target("cat", CAT), _target(" cat", TAIL), _target("", CAT)))
    assert [one["phrase"] for one in _json("rle", view)] == ["cat", "cat 2", "unnamed"]


@pytest.mark.parametrize(
    ("form", "view", "which", "said"),
    [
        ("gif", TALK, {}, "can be had as prist, labelme"),
        ("mask", _view(_turn("What?", "Nothing.")), {}, "nothing is marked"),
        ("mask", TALK, {"turn": 0}, "turn 0 marks nothing"),
        ("mask", TALK, {"turn": 4}, "has 4 turns, got turn=4"),
        ("mask", TALK, {"turn": 2, "target": 2}, "has 2 targets, got target=2"),
        ("prist", _view(_turn("Mark", "[OBJ]cat[SEG]", _target("cat", CAT & False))), {}, "its mask is empty"),
    ],
)
def test_what_cannot_be_had_is_said(form: str, view: dict[str, Any], which: dict[str, int], said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        export(form, view, IMAGE, **which)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match="does not fit"):
        export("mask", _view(_turn("Mark", "[SEG]", _target("cat", CAT.T))), IMAGE)
