"""A user's own JSONL: every form of every mask, and every mistake by its line."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.sets.words import boxed, own_lines, talk, write_own

from miras.data.masks import decode, encode
from miras.errors import DataError
from miras.sets.own import read_own

PNGS = {"1": 1, "L": 255, "P": 3, "I;16": 700, "RGB": (0, 9, 0), "RGBA": (0, 9, 0, 255)}


def test_both_forms_are_read_and_short_lines_go_together(tmp_path: Path) -> None:
    own = read_own(write_own(tmp_path))
    assert (len(own.talks), len(own.regions)) == (2, 2)
    both, without = own.talks.told(0), own.talks.told(1)
    assert both.image == tmp_path / "photos/1.png"
    [dialogue] = both.dialogues
    assert dialogue.answers[0] == "A dog, [OBJ]red dog[SEG], and a cat: [OBJ]cat[SEG]."
    assert [target.phrase for target in dialogue.targets] == ["red dog", "cat"]
    cat = decode(dialogue.targets[1].mask)  # type: ignore[arg-type]
    assert np.array_equal(cat, boxed(30, 2, 60, 20))
    assert without.dialogues[0].questions == ("Who are you?",) and not without.dialogues[0].targets
    second, first = own.regions.scene(0), own.regions.scene(1)
    assert [region.names for region in second.regions] == [("left shoe",), ("shoe lace",)]
    assert np.array_equal(second.regions[0].draw(), boxed(30, 30, 60, 60))
    assert np.array_equal(second.regions[1].draw(), boxed(0, 0, 10, 64))
    assert first.image == tmp_path / "photos/1.png"


@pytest.mark.parametrize("mode", PNGS)
def test_a_png_of_any_mode_is_0_outside(tmp_path: Path, mode: str) -> None:
    own_lines(tmp_path)
    picture = Image.new(mode, (64, 64), 0)
    picture.paste(PNGS[mode], (5, 6, 20, 30))  # type: ignore[arg-type]
    picture.save(tmp_path / "any.png")
    own = read_own(write_own(tmp_path, [{"image": "photos/1.png", "phrase": "x", "mask": "any.png"}]))
    assert np.array_equal(own.regions.scene(0).regions[0].draw(), boxed(5, 6, 20, 30))


def test_masks_lie_on_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32)).save(tmp_path / "lying.jpg", exif=exif)
    upright = encode(np.ones((64, 32), dtype=bool))
    assert len(read_own(write_own(tmp_path, [{"image": "lying.jpg", "phrase": "x", "mask": upright}])).regions) == 1
    lying = encode(np.ones((32, 64), dtype=bool))
    with pytest.raises(DataError, match=r"line 1: the mask should have size \[64, 32\] like .*, got \[32, 64\]"):
        read_own(write_own(tmp_path, [{"image": "lying.jpg", "phrase": "x", "mask": lying}]))


def short(**changes: Any) -> dict[str, Any]:
    return {"image": "photos/1.png", "phrase": "x", "mask": "mask.png"} | changes


def spoken(*texts: str, targets: Any = ()) -> dict[str, Any]:
    return {"image": "photos/1.png", "dialogue": talk(*texts), "targets": targets}


TARGET = {"phrase": "x", "mask": "mask.png"}
WRONG: list[tuple[Any, str]] = [
    ("{image", "it is not JSON"),
    ("[1, 2]", "it should hold image with dialogue and targets, or image with phrase and mask"),
    ({"image": "photos/1.png", "mask": "mask.png"}, "'phrase' is missing in"),
    ({"phrase": "x", "mask": "mask.png"}, "'image' is missing in"),
    (short(image="photos/9.png"), "no image at .*photos/9"),
    (short(image="mask"), "no image at"),
    (short(image=7), "image should be the path of an image, got 7"),
    (short(phrase=" "), "phrase should say in words"),
    (short(phrase="[SEG]x"), "phrase should say in words"),
    (short(mask="none.png"), "no mask at .*none.png; paths are relative to the JSONL"),
    (short(mask="photos"), "is no image that Pillow reads"),
    (short(mask="own.jsonl"), "is no image that Pillow reads"),
    (short(mask="mask.jpg"), "should be a PNG, got JPEG"),
    (short(mask=None), "the mask should be a list of polygons"),
    (short(mask=5), "the mask should be a list of polygons"),
    (short(mask=[[1, 1, 5, 5]]), "the mask should be a list of polygons .* 0 ≤ x ≤ 64"),
    (short(mask=[[1, 1, 5, 1, 5]]), "the mask should be a list of polygons"),
    (short(mask=[[1, 1, 90, 1, 90, 50]]), "the mask should be a list of polygons"),
    (short(mask=[[1, 1, float("nan"), 1, 9, 50]]), "the mask should be a list of polygons"),
    (short(mask=[]), "the mask should be a list of polygons"),
    (short(mask={"counts": "x"}), "the mask should have size .* got None"),
    (short(mask={"size": [64, 64], "counts": [1, 2]}), "counts that fill it"),
    (short(mask={"size": [64, 64], "counts": "04"}), "counts that fill it"),
    (
        short(mask=encode(boxed(0, 0, 4, 4, side=32))),
        r"should have size \[64, 64\] like .*, got \[32, 32\]",
    ),
    (short(mask=encode(boxed(0, 0, 0, 0))), "should hold a pixel, got none"),
    (spoken("Mark it.", "Sure, [SEG]."), "1 \\[SEG\\] written, 0 targets given"),
    (spoken("Mark it.", "Sure.", targets=[TARGET]), "0 \\[SEG\\] written, 1 targets given"),
    (spoken("Mark it."), "ends with the assistant's turn"),
    (spoken("Mark it.", " "), "turn 1 should say something"),
    (spoken("Mark it.", "An [OBJ]dog."), r"turn 1 has an \[OBJ\] that no \[SEG\] closes"),
    (spoken("Mark it.", "[SEG]", targets=[{"phrase": "x"}]), "'mask' is missing in"),
    (spoken("Mark it.", "[SEG]", targets=7), "it should hold image with"),
    ({"image": "photos/1.png", "dialogue": []}, "dialogue should be a list of turns"),
    ({"image": "photos/1.png", "dialogue": talk("a", "b")[::-1]}, "turn 0 should have from 'human'"),
    (
        {"image": "photos/1.png", "dialogue": [{"from": "human", "value": 7}]},
        "turn 0 should have from 'human' and value",
    ),
]


@pytest.mark.parametrize(("line", "message"), WRONG)
def test_a_wrong_line_is_named(tmp_path: Path, line: Any, message: str) -> None:
    good = own_lines(tmp_path)
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.jpg")
    with pytest.raises(DataError, match=f"1 of 7 lines cannot be used, mend them:\n  line 8: .*{message}"):
        read_own(write_own(tmp_path, [*good, "", good[2], line]))


def test_many_wrong_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"25 of 25 lines cannot be used(?s:.*)line 10: (?s:.*)… and 15 more") as caught:
        read_own(write_own(tmp_path, ["{"] * 25))
    assert "line 11" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "holds no line"), (b"\xff\xfe{", "cannot be read as UTF-8"), (None, "no file at .*docs/data.md")],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "own.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_own(tmp_path / "own.jsonl")


def test_the_example_of_the_documents_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    example = re.findall(r"^```json\n(.*?)^```$", text.split("## Your own JSONL")[1], re.MULTILINE | re.DOTALL)[0]
    for name in ("umbrella.png", "shoes.png"):
        Image.new("RGB", (6, 4)).save(tmp_path / name)
    Image.fromarray(np.array([[0, 0, 0, 0, 255, 255]] * 4, dtype=np.uint8)).save(tmp_path / "right_shoe.png")
    own = read_own(write_own(tmp_path, example.splitlines()))
    umbrella = own.talks.told(0).dialogues[0]
    assert umbrella.answers[0] == "The umbrella by the door does: [OBJ]red umbrella[SEG]."
    assert [one.image for one in own.talks.told(1).dialogues] == ["umbrella.png"]
    scene = own.regions.scene(0)
    assert [(region.names, int(region.draw().sum())) for region in scene.regions] == [
        (("left shoe",), 6),
        (("right shoe",), 8),
    ]
    assert [target.mask for target in umbrella.targets] != [None]


def test_how_far_it_is_is_told(tmp_path: Path) -> None:
    heard: list[str] = []
    line = json.dumps(own_lines(tmp_path)[2])
    read_own(write_own(tmp_path, [line] * 201), heard.append)
    assert [text.split(": ")[1] for text in heard] == ["100 lines checked", "200 lines checked"]
