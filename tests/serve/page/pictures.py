"""The pictures of docs/page.md: nano talks about a bundled photo, on a desk and on a phone, in light and dark."""

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from tests.serve.page.serving import served

from miras import Miras
from miras.engine.engine import Engine
from miras.files import write_beside
from miras.serve.demo import load_scripts

__all__ = ["main"]

DESK = {"viewport": {"width": 1200, "height": 760}}
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2}


def main() -> None:
    """Write the pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        engine = Engine(Miras.from_pretrained("nano", merge_lora=True), Path(folder))
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        with served(engine) as address:
            for name, scheme, place in (
                ("desk", "light", DESK),
                ("desk", "dark", DESK),
                ("phone", "light", PHONE),
                ("phone", "dark", PHONE),
            ):
                page = browser.new_context(color_scheme=scheme, **place).new_page()  # type: ignore[arg-type]
                page.goto(address)
                _talk(page, photo=1 if scheme == "light" else 0)
                _keep(page, given.out / f"page-{name}-{scheme}.png")
                if (name, scheme) == ("desk", "light"):
                    page.keyboard.press("Escape")
                    page.locator(".turn.shown button", has_text="Correct").click()
                    _keep(page, given.out / "page-correcting.png")
            page = browser.new_context(color_scheme="light", **DESK).new_page()  # type: ignore[arg-type]
            page.goto(address)
            page.wait_for_load_state("networkidle")
            _keep(page, given.out / "page-start.png")
        browser.close()
        engine.stop()


def _talk(page: Page, photo: int) -> None:
    page.locator(".example").nth(photo).click()
    for number, question in enumerate(load_scripts()[photo].questions):
        page.wait_for_selector("#send:visible")
        page.fill("#question", question)
        page.press("#question", "Enter")
        page.wait_for_selector(f".turn[data-turn='{number}']", timeout=120_000)
    page.wait_for_timeout(300)


def _keep(page: Page, path: Path) -> None:
    with Image.open(io.BytesIO(page.screenshot())) as shot, write_beside(path) as beside:
        shot.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(beside, format="PNG", optimize=True)


if __name__ == "__main__":
    main()
