"""Talking on the page: three turns with masks on the photo, older turns, undo, branch, stop, errors in words."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Route
from pycocotools import mask as coco
from tests.serve.page.conftest import Visiting
from tests.serve.page.serving import saying, served

from miras.engine.engine import Engine

ORANGE = (230, 159, 0)

pytestmark = pytest.mark.slow


def _mask(target: dict[str, object]) -> np.ndarray:
    return coco.decode(target["mask"]).astype(bool)


def _refuse(route: Route, *, status: int) -> None:
    route.fulfill(status=status, body="{}")


def test_three_turns_show_their_masks_and_older_ones_come_back(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    one.ask("What is it?", "A garden.")
    assert not one.marked().any()
    one.ask("Mark the tree", "It is [OBJ]tree[SEG].")
    one.ask("And both", "The [OBJ]fence[SEG] and the [OBJ]gate[SEG].")
    (tree,), (fence, gate) = (turn["targets"] for turn in one.view()["turns"][1:])
    assert 0 < _mask(tree).sum() < _mask(tree).size
    assert np.array_equal(one.marked(), _mask(fence))
    assert np.array_equal(one.marked(ORANGE), _mask(gate))
    one.page.click("text='1 mask'")
    assert np.array_equal(one.marked(), _mask(tree))
    assert one.page.inner_text("#masks-title") == "Masks of turn 2"
    assert one.page.inner_text(".turn[data-turn='1'] .model") == "It is tree."
    assert one.page.inner_text("#said").startswith("The fence and the gate.. 2 masks: fence, confidence 0.90")


def test_a_chip_hides_its_mask_and_lights_it_up(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    one.ask("Mark", "[OBJ]fence[SEG] and [OBJ]gate[SEG]")
    fence, gate = (_mask(target) for target in one.view()["turns"][0]["targets"])
    plain = one.pixels()
    one.page.hover(".chip >> nth=1")
    one.page.wait_for_timeout(100)
    lit = one.page.screenshot(clip={"x": 30, "y": 100, "width": 300, "height": 300})
    chip = one.page.locator(".chip >> nth=0")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert not one.marked().any()
    assert np.array_equal(one.marked(ORANGE), gate)
    assert lit != one.page.screenshot(clip={"x": 30, "y": 100, "width": 300, "height": 300})
    chip.click()
    assert np.array_equal(one.marked(), fence)
    assert np.array_equal(one.pixels(), plain)


def test_opacity_mixes_the_colour_with_the_photo(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    bare = one.pixels()
    one.ask("Mark", "[OBJ]fence[SEG]")
    one.page.fill("#opacity", "40")
    mask = _mask(one.view()["turns"][0]["targets"][0])
    expected = 0.6 * bare[mask] + 0.4 * np.array((0, 114, 178))
    assert np.abs(one.pixels()[mask] - expected).max() <= 2
    assert np.array_equal(one.pixels()[~mask], bare[~mask])


def test_zoom_keeps_masks_in_place(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    one.ask("Mark", "[OBJ]fence[SEG]")
    before = float(one.page.get_attribute("#stage", "data-scale") or 0)
    place = one.point(45, 60)
    one.page.mouse.move(*place)
    one.page.mouse.wheel(0, -400)
    one.until(f"document.querySelector('#stage').dataset.scale > {before * 1.5}")
    assert one.point(45, 60) == pytest.approx(place, abs=1)  # what lies under the pointer stays there
    one.page.mouse.down()
    one.page.mouse.move(place[0] + 50, place[1] + 30, steps=3)
    one.page.mouse.up()
    assert one.point(45, 60) == pytest.approx((place[0] + 50, place[1] + 30), abs=1)
    one.page.click("#zoom-fit")
    assert np.array_equal(one.marked(), _mask(one.view()["turns"][0]["targets"][0]))


def test_undo_gives_the_question_back(visit: Visiting) -> None:
    one = visit()
    one.plainly()
    one.ask("First", "A tree.")
    one.ask("Mark it", "[OBJ]tree[SEG]")
    one.page.click("[aria-label='Undo turn 2']")
    one.page.wait_for_selector(".turn[data-turn='1']", state="detached")
    assert [turn["question"] for turn in one.view()["turns"]] == ["First"]
    assert one.page.input_value("#question") == "Mark it"
    assert not one.marked().any()


def test_a_branch_is_another_conversation_and_both_are_listed(visit: Visiting) -> None:
    one = visit()
    one.ask("First", "A tree.")
    one.ask("Second", "[OBJ]tree[SEG]")
    first = one.name
    one.page.click("[aria-label='Branch after turn 1']")
    one.until(f"location.hash !== '#{first}'")
    assert [turn["question"] for turn in one.view()["turns"]] == ["First"]
    one.ask("Other", "A bush.")
    one.page.click("#open-talks")
    assert one.page.locator(".talk-entry").count() == 2
    one.page.click(".talk-entry:not([aria-current])")
    one.until(f"location.hash === '#{first}'")
    assert [turn["question"] for turn in one.view()["turns"]] == ["First", "Second"]
    one.page.reload()
    one.page.wait_for_selector(".turn[data-turn='1']")
    assert one.page.locator(".chip").count() == 1


def test_a_stopped_answer_leaves_nothing(visit: Visiting) -> None:
    one = visit()
    with saying(one.model, "word " * 40, pause=0.1):
        one.page.fill("#question", "Tell me")
        one.page.press("#question", "Enter")
        one.until("document.querySelector('.model').textContent.includes('word')")
        one.page.click("#stop")
        one.page.wait_for_selector("#send:visible")
        one.page.wait_for_timeout(500)
    assert one.view()["turns"] == []
    assert one.page.input_value("#question") == "Tell me"
    assert one.page.is_hidden("#alert")
    one.ask("Again", "A tree.")


def test_what_goes_wrong_is_said_in_words(visit: Visiting, tmp_path: Path) -> None:
    one = visit(opened=False)
    (tmp_path / "notes.txt").write_text("no photo")
    one.page.set_input_files("#file", tmp_path / "notes.txt")
    assert "“notes.txt” is not a photo" in one.page.inner_text("#alert-text")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    one.page.set_input_files("#file", tmp_path / "broken.png")
    one.until("!document.querySelector('#alert-text').textContent.includes('notes')")
    assert len(one.page.inner_text("#alert-text")) > 20
    for status, words in ((413, "too large"), (503, "is busy"), (429, "is busy")):
        one.page.route("**/v1/sessions", partial(_refuse, status=status))
        one.page.set_input_files("#file", tmp_path / "broken.png")
        one.until(f"document.querySelector('#alert-text').textContent.includes('{words}')")
        one.page.unroute("**/v1/sessions")
    one.page.click("#alert-close")
    assert one.page.is_hidden("#alert")


def test_offline_and_forgotten_conversations_are_told(visit: Visiting) -> None:
    one = visit()
    one.page.context.set_offline(True)
    one.page.wait_for_selector("#alert:visible")
    assert "offline" in one.page.inner_text("#alert-text")
    one.page.fill("#question", "Hello?")
    one.page.press("#question", "Enter")
    one.until("document.querySelector('#alert-text').textContent.includes('cannot be reached')")
    assert one.page.input_value("#question") == "Hello?"
    one.page.context.set_offline(False)
    one.page.evaluate("name => fetch(`v1/sessions/${name}`, { method: 'DELETE' })", one.name)
    one.page.press("#question", "Enter")
    one.until("document.querySelector('#alert-text').textContent.includes('no longer on the server')")
    assert one.page.locator(".talk-entry").count() == 0


def test_a_photo_can_be_dropped_pasted_and_chosen_from_the_bundled_ones(visit: Visiting, photo: Path) -> None:
    names = set()
    for kind, field in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        one = visit(opened=False)
        one.page.evaluate(
            """async ([bytes, kind, field]) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], "garden.png", { type: "image/png" }));
              const event = kind === "drop" ? DragEvent : ClipboardEvent;
              document.dispatchEvent(new event(kind, { [field]: data, bubbles: true, cancelable: true }));
            }""",
            [list(photo.read_bytes()), kind, field],
        )
        one.page.wait_for_selector("#talk:not([hidden])")
        names.add(one.name)
    one = visit(opened=False)
    one.page.click(".example >> nth=1")
    one.page.wait_for_selector("#talk:not([hidden])")
    view = one.view()
    assert (view["width"], view["height"]) == (451, 300)
    assert len(names | {one.name}) == 3


def test_a_key_is_asked_for_where_the_server_wants_one(visit: Visiting, engine: Engine, photo: Path) -> None:
    with served(engine, token="open sesame", model="large") as address:
        one = visit(opened=False, at=address)
        one.until("document.querySelector('#honest').textContent.includes('large')")
        one.page.set_input_files("#file", photo)
        for key in ("wrong", "open sesame"):
            one.page.wait_for_selector("#key[open]")
            one.page.fill("#key-words", key)
            one.page.press("#key-words", "Enter")
        one.page.wait_for_selector("#talk:not([hidden])")
        with saying(one.model, "A [OBJ]tree[SEG]."):
            one.page.fill("#question", "Mark the tree")
            one.page.press("#question", "Enter")
            one.page.wait_for_selector(".chip")
