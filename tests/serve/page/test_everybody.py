"""The page for everybody: by keyboard alone, on a phone, in light and dark, without faults that axe finds."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from pycocotools import mask as coco
from tests.serve.page.conftest import Visit, Visiting
from tests.serve.page.serving import saying

from miras.pages.draw import PALETTE
from miras.pages.html import tone
from miras.serve.http.app import make_app

PAGE = Path(make_app.__code__.co_filename).parents[1] / "page"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def test_the_colours_are_those_of_the_overlays() -> None:
    found = re.search(r"PALETTE = \[(.*?)\]", (PAGE / "paint.js").read_text())
    assert found is not None
    assert re.findall("#[0-9a-f]{6}", found[1]) == [tone(index) for index in range(len(PALETTE))]


def test_nothing_comes_from_elsewhere_and_files_stay_short() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)) <= {"http://www.w3.org"}, path.name
        assert len(text.splitlines()) <= 300, path.name


@pytest.mark.slow
def test_by_keyboard_alone(visit: Visiting) -> None:
    one = visit(opened=False)
    keys, page = one.page.keyboard, one.page
    for _ in range(30):
        keys.press("Tab")
        if page.evaluate("document.activeElement.matches('.example')"):
            break
    keys.press("Enter")
    page.wait_for_selector("#talk:not([hidden])")
    for number, answer in enumerate(("A woman.", "[OBJ]suit[SEG] and [OBJ]flag[SEG]")):
        with saying(one.model, answer):
            assert page.evaluate("document.activeElement.id") == "question"
            keys.type("Which one?")
            keys.press("Enter")
            page.wait_for_selector(f".turn[data-turn='{number}']")
    page.focus("#stage")
    keys.press("1")
    assert page.get_attribute(".chip >> nth=0", "aria-pressed") == "false"
    keys.press("1")
    keys.press("k")
    assert page.inner_text("#masks-title") == "Masks of turn 1"
    keys.press("j")
    before = float(page.get_attribute("#stage", "data-scale") or 0)
    keys.press("+")
    assert float(page.get_attribute("#stage", "data-scale") or 0) > before
    keys.press("0")
    keys.press("e")
    page.focus("#stage")
    for _ in range(3):
        keys.press("Shift+ArrowUp")
    keys.press(" ")
    keys.press("x")
    assert page.is_checked("input[value=erase]")
    keys.press("Shift+Tab")
    page.focus("#corrections button[type=submit]")
    keys.press("Enter")
    page.wait_for_selector("#corrections", state="hidden")
    turn = one.view()["turns"][1]
    model, person = (coco.decode(t[0]["mask"]).astype(bool) for t in (turn["targets"], turn["corrected"]["targets"]))
    assert (person & ~model).sum() > 20
    page.focus("#stage")
    keys.press("u")
    page.wait_for_selector(".turn[data-turn='1']", state="detached")
    page.focus("#stage")
    keys.press("?")
    assert page.is_visible("#keys")
    keys.press("Escape")
    assert page.is_hidden("#keys")
    assert page.evaluate("document.activeElement.id") == "stage"
    keys.press("n")
    assert page.is_visible("#start")


@pytest.mark.slow
def test_single_keys_can_be_switched_off(visit: Visiting) -> None:
    one = visit()
    one.page.click("#open-keys")
    one.page.uncheck("#keys-on")
    one.page.keyboard.press("Escape")
    one.page.keyboard.press("n")
    assert one.page.is_visible("#talk")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_room_for_all_of_it(visit: Visiting, scheme: str) -> None:
    one = visit(color_scheme=scheme, **PHONE)
    one.plainly()
    one.ask("Mark", "[OBJ]fence[SEG] and [OBJ]gate[SEG]")
    assert one.page.get_attribute("#camera", "capture") == "environment"
    for state in ("talk", "editing"):
        if state == "editing":
            one.page.tap("[aria-label='Correct turn 1']")
        wide = one.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1] == 360
        outside = one.page.evaluate(
            """() => [...document.querySelectorAll("button, summary, textarea, input")]
              .filter((one) => one.checkVisibility() && !one.matches(".unseen, .group input"))
              .filter((one) => !one.closest(".chips, .ideas, .turns, .corrections")) // these scroll
              .filter((one) => {
                const { left, right, bottom } = one.getBoundingClientRect();
                return left < 0 || right > 360 || bottom > 740;
              })
              .map((one) => one.id || one.textContent)"""
        )
        assert outside == []
    ground = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (np.mean([int(part) for part in re.findall(r"\d+", ground)[:3]]) < 128) == (scheme == "dark")


@pytest.mark.slow
def test_two_fingers_zoom_and_draw_nothing(visit: Visiting) -> None:
    one = visit(**PHONE)
    one.plainly()
    one.ask("Mark", "[OBJ]fence[SEG]")
    before = one.marked()
    one.page.tap("[aria-label='Correct turn 1']")
    touch = one.page.context.new_cdp_session(one.page)
    (x, y), scale = one.point(45, 60), float(one.page.get_attribute("#stage", "data-scale") or 0)
    for kind, apart in (
        ("touchStart", 0),
        ("touchStart", 20),
        ("touchMove", 40),
        ("touchMove", 60),
        ("touchEnd", None),
    ):
        fingers = [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers[: 2 if apart else 1]})
    assert float(one.page.get_attribute("#stage", "data-scale") or 0) == pytest.approx(3 * scale, rel=0.1)
    assert one.page.is_disabled("#stroke-undo")
    one.page.tap("#zoom-fit")
    one.page.tap("text=Cancel")
    assert np.array_equal(one.marked(), before)


@pytest.mark.slow
def test_the_theme_is_switched_and_kept(visit: Visiting) -> None:
    one = visit(opened=False, color_scheme="light")
    seen = []
    for _ in range(3):
        one.page.click("#theme")
        seen.append(
            (one.page.get_attribute("#theme", "aria-label"), one.page.evaluate("getComputedStyle(document.body).color"))
        )
    assert [label for label, _ in seen] == ["Theme: light", "Theme: dark", "Theme: as the system"]
    assert seen[0][1] == seen[2][1] != seen[1][1]
    one.page.click("#theme")
    one.page.click("#theme")
    one.page.reload()
    assert one.page.evaluate("getComputedStyle(document.body).color") == seen[1][1]


def _faults(one: Visit) -> list[str]:
    found = Axe().run(one.page).response["violations"]
    return [
        f"{fault['id']}: {fault['help']} {[node['html'][:120] for node in fault['nodes']]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("browser", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_axe_finds_no_serious_fault(visit: Visiting, browser: dict[str, Any]) -> None:
    one = visit(opened=False, **browser)
    faults = {"start": _faults(one)}
    for dialog in ("about", "keys", "talks"):
        one.page.click(f"#open-{dialog}")
        faults[dialog] = _faults(one)
        one.page.keyboard.press("Escape")
    one.page.click(".example >> nth=0")
    one.page.wait_for_selector("#talk:not([hidden])")
    faults["photo"] = _faults(one)
    one.ask("What is it?", "A woman.")
    one.ask("Mark", "[OBJ]suit[SEG] and [OBJ]flag[SEG]")
    one.page.click(".chip >> nth=1")
    faults["masks"] = _faults(one)
    one.page.click("#downloads summary")
    faults["downloads"] = _faults(one)
    one.page.keyboard.press("Escape")
    one.page.click("[aria-label='Correct turn 2']")
    one.page.click("text=Polygon")
    faults["correcting"] = _faults(one)
    one.page.fill("[aria-label='Name of mask 1']", "")
    one.page.click("text=Save correction")
    faults["told"] = _faults(one)
    assert {state: found for state, found in faults.items() if found} == {}
