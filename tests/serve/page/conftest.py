"""A headless Chromium before a running server, and a person who clicks, types and looks at the photo."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from tests.model.conftest import new_model
from tests.serve.page.serving import saying, served

from miras.engine.engine import Engine
from miras.model.miras import Miras

HEIGHT, WIDTH = 90, 120


@dataclass
class Visit:
    """One page of one browser context."""

    page: Page
    model: Miras
    address: str
    faults: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The conversation on show."""
        return self.page.url.partition("#")[2]

    def view(self) -> dict[str, Any]:
        """The conversation as the server tells it."""
        view: dict[str, Any] = httpx2.get(f"{self.address}v1/sessions/{self.name}").json()
        return view

    def ask(self, question: str, answer: str) -> None:
        """Type a question, have the model answer so, and wait until the turn is there."""
        with saying(self.model, answer):
            before = self.page.locator(".turn[data-turn]").count()
            self.page.fill("#question", question)
            self.page.press("#question", "Enter")
            self.page.wait_for_selector(f".turn[data-turn='{before}']")

    def until(self, condition: str) -> None:
        """Wait until an expression holds; the page's own policy forbids Playwright's way to."""
        for _ in range(200):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never came true: {condition}")

    def plainly(self) -> None:
        """Masks as flat colours, so that pixels can be compared."""
        self.page.uncheck("#outline")
        self.page.uncheck("#names")
        self.page.fill("#opacity", "100")

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8: what the canvas shows at the middle of each pixel of the photo, no mask lit up."""
        self.page.mouse.move(2, 2)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        seen = self.page.evaluate(
            """([width, height]) => {
              const canvas = document.querySelector("#stage"), { scale, x, y } = canvas.dataset;
              const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), found = [];
              for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
                const at = [Number(x) + (column + 0.5) * scale, Number(y) + (row + 0.5) * scale].map(Math.floor);
                found.push(...all.data.slice(4 * (at[1] * all.width + at[0]), 4 * (at[1] * all.width + at[0]) + 3));
              }
              return found;
            }""",
            [WIDTH, HEIGHT],
        )
        return np.array(seen, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)

    def marked(self, tone: tuple[int, int, int] = (0, 114, 178)) -> np.ndarray:
        """(H, W) bool: where the photo has exactly the colour of a mask."""
        return np.all(self.pixels() == tone, axis=-1)

    def point(self, row: float, column: float) -> tuple[float, float]:
        """Where a point of the photo lies in the window."""
        place = self.page.locator("#stage").bounding_box()
        scale, x, y = (float(self.page.get_attribute("#stage", f"data-{one}") or 0) for one in ("scale", "x", "y"))
        assert place
        return place["x"] + x + column * scale, place["y"] + y + row * scale


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 x 90 pixels, none in the colour of a mask."""
    pixels = np.random.default_rng(0).integers(20, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[..., 2] //= 2
    path = tmp_path_factory.mktemp("photo") / "garden.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def tiny() -> Miras:
    return new_model()


@pytest.fixture(scope="session")
def engine(tiny: Miras, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tiny, tmp_path_factory.mktemp("engine"))
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def address(engine: Engine) -> Iterator[str]:
    with served(engine) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Closed with the last test of each file: while it is open, `asyncio.run` is refused to every other test."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("needs a Chromium: install one, or say where it is in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


Visiting = Callable[..., Visit]


@pytest.fixture
def visit(chromium: Browser, tiny: Miras, address: str, photo: Path) -> Iterator[Visiting]:
    """`visit()` opens the page, by default with the photo; `visit(color_scheme="dark")` changes the browser.

    Scripts that fail fail the test.
    """
    visits: list[Visit] = []

    def open_page(opened: bool = True, at: str = address, **browser: Any) -> Visit:
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 800}, **browser})
        one = Visit(context.new_page(), tiny, at)
        one.page.set_default_timeout(10_000)
        one.page.on("pageerror", lambda error: one.faults.append(str(error)))
        one.page.goto(at)
        if opened:
            one.page.set_input_files("#file", photo)
            one.page.wait_for_selector("#talk:not([hidden])")
        visits.append(one)
        return one

    yield open_page
    faults = [fault for one in visits for fault in one.faults]
    for one in visits:
        one.page.context.close()
    assert not faults
