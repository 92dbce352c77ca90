"""Correcting on the page: brush and polygon, words, what is saved, and the files that come of it."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from tests.serve.page.conftest import HEIGHT, WIDTH, Visit, Visiting

from miras.data.labelme import read_labelme
from miras.prist.check import check

pytestmark = pytest.mark.slow


def _saved(one: Visit) -> None:
    one.page.click("text=Save correction")
    one.page.wait_for_selector("#corrections", state="hidden")


def _download(one: Visit, form: str, number: int = 0) -> bytes:
    one.page.click("#downloads summary")
    with one.page.expect_download() as waiting:
        one.page.locator(f"[data-form='{form}']").nth(number).click()
    return Path(waiting.value.path()).read_bytes()


def test_brush_and_eraser_change_the_mask_that_is_saved(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    one.ask("Mark the tree", "It is [OBJ]tree[SEG].")
    one.page.click("[aria-label='Correct turn 1']")
    one.page.fill("#size", "10")
    one.page.mouse.move(*one.point(10.5, 10.5))
    one.page.mouse.down()
    one.page.mouse.move(*one.point(10.5, 30.5), steps=4)
    one.page.mouse.up()
    one.page.click("text=Erase")
    one.page.mouse.click(*one.point(60.5, 60.5))
    _saved(one)
    turn = one.view()["turns"][0]
    before, after = (
        coco.decode(targets[0]["mask"]).astype(bool) for targets in (turn["targets"], turn["corrected"]["targets"])
    )
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    brushed = np.hypot(rows - 10, columns - np.clip(columns, 10, 30))
    erased = np.hypot(rows - 60, columns - 60)
    # a pointer is rounded to whole pixels of the screen, so the very rim is free
    sure = (np.abs(brushed - 5) > 0.5) & (np.abs(erased - 5) > 0.5)
    assert np.array_equal(after[sure], ((before | (brushed < 5)) & ~(erased < 5))[sure])
    assert before[erased < 5].any() and not before[brushed < 5].any()
    assert np.array_equal(one.marked(), after)
    assert "corrected by you" in one.page.inner_text(".meta")
    assert turn["corrected"]["question"] is None
    one.page.click("[aria-label='Correct turn 1']")
    one.page.click("text=Remove correction")
    one.page.wait_for_selector("#corrections", state="hidden")
    assert one.view()["turns"][0]["corrected"] is None
    assert np.array_equal(one.marked(), before)


def test_a_polygon_makes_a_mask_where_the_model_made_none(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    one.ask("Mark the pond", "There is no pond.")
    one.page.click("[aria-label='Correct turn 1']")
    one.page.fill("[name=answer]", "Here is the pond.")
    one.page.fill("[aria-label='Name of mask 1']", "pond")
    one.page.click("text=Polygon")
    for corner in ((20, 20), (20, 60), (50, 60), (50, 20), (20, 20)):
        one.page.mouse.click(*one.point(*corner))
    _saved(one)
    corrected = one.view()["turns"][0]["corrected"]
    assert (corrected["answer"], corrected["targets"][0]["phrase"]) == ("Here is the pond.", "pond")
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[20:50, 20:60] = True
    drawn = coco.decode(corrected["targets"][0]["mask"]).astype(bool)
    assert (drawn & expected).sum() / (drawn | expected).sum() > 0.95
    assert np.array_equal(one.marked(), drawn)


def test_strokes_are_undone_and_leaving_changes_nothing(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    one.ask("Mark the tree", "It is [OBJ]tree[SEG].")
    before = one.marked()
    one.page.click("[aria-label='Correct turn 1']")
    for column in (10.5, 100.5):
        one.page.mouse.click(*one.point(10.5, column))
    assert one.marked().sum() > before.sum() + 40
    one.page.click("#stroke-undo")
    one.page.focus("#stage")
    one.page.keyboard.press("Control+z")
    assert one.page.is_disabled("#stroke-undo")
    one.page.mouse.click(*one.point(10.5, 10.5))
    one.page.click("text=Cancel")
    assert np.array_equal(one.marked(), before)
    assert one.view()["turns"][0]["corrected"] is None


@pytest.mark.parametrize(("name", "words"), [("pond", "is empty"), ("", "has no name")])
def test_what_cannot_be_saved_is_said(visit: Visiting, name: str, words: str) -> None:
    one = visit()
    one.ask("Mark", "Nothing.")
    one.page.click("[aria-label='Correct turn 1']")
    one.page.fill("[aria-label='Name of mask 1']", name)
    if not name:
        one.page.mouse.click(*one.point(45, 60))
    one.page.click("text=Save correction")
    assert words in one.page.inner_text("#alert-text")
    assert one.page.is_visible("#corrections")


def test_the_conversation_is_saved_as_prist_with_its_corrections(visit: Visiting, tmp_path: Path, photo: Path) -> None:
    one = visit()
    one.ask("What grows here?", "A tree.")
    one.ask("Where is it?", "On the left.")
    one.ask("Mark exactly that", "It is [OBJ]bush[SEG].")
    one.page.click("#correct")
    one.page.fill("[aria-label='Name of mask 1']", "old tree")
    one.page.fill("[name=question]", "Please mark it")
    one.page.mouse.click(*one.point(5.5, 5.5))
    _saved(one)
    with zipfile.ZipFile(io.BytesIO(_download(one, "prist"))) as archive:
        archive.extractall(tmp_path)
    checked = check(tmp_path / "dialogues.json", images=tmp_path / "images", masks=tmp_path / "images")
    assert (checked.usable, [str(finding) for finding in checked.findings]) == (1, [])
    (record,) = json.loads((tmp_path / "dialogues.json").read_text())
    assert (record["focus"], record["dialogue"][4]["value"]) == ("old tree", "Please mark it")
    assert record["mask"] == one.view()["turns"][2]["corrected"]["targets"][0]["mask"]
    drawn = read_labelme(next((tmp_path / "images").glob("*.json"))).mask("old tree")
    assert drawn is not None and drawn[5, 5]
    with Image.open(tmp_path / "images" / record["img_id"]) as kept, Image.open(photo) as given:
        assert np.array_equal(np.asarray(kept), np.asarray(given))


def test_masks_are_downloaded_one_by_one(visit: Visiting) -> None:
    one = visit()
    one.ask("Mark", "[OBJ]fence[SEG] and [OBJ]gate[SEG]")
    targets = one.view()["turns"][0]["targets"]
    for number, target in enumerate(targets, 1):  # the first entry is all masks as one
        with Image.open(io.BytesIO(_download(one, "mask", number))) as png:
            assert np.array_equal(np.asarray(png) > 0, coco.decode(target["mask"]).astype(bool))
    assert [mark["mask"] for mark in json.loads(_download(one, "rle"))] == [target["mask"] for target in targets]


def test_run_lengths_in_the_browser_are_those_of_pycocotools(visit: Visiting) -> None:
    one = visit(opened=False)
    rng = np.random.default_rng(1)
    masks = [np.zeros((5, 7)), np.ones((5, 7)), *(rng.random((size, 2 * size + 1)) < 0.5 for size in (1, 3, 40))]
    masks += [np.pad(np.ones((300, 2)), ((9, 0), (400, 3))), np.eye(70)]
    for mask in masks:
        pixels = np.asfortranarray(mask.astype(np.uint8))
        packed = coco.encode(pixels)
        rle = {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode()}
        told = one.page.evaluate(
            """async (rle) => {
              const { decode, encode } = await import("/static/rle.js");
              const mask = decode(rle);
              return [Array.from(mask), encode(mask, ...rle.size)];
            }""",
            rle,
        )
        assert np.array_equal(np.array(told[0]).reshape(mask.shape), pixels)
        assert told[1] == rle
