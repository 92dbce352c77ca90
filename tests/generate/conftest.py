"""A folder of small photos, and a server whose model sees."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.generate.seer import reply
from tests.llm.loopback import Loopback, running


@pytest.fixture(scope="session")
def make_images(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A folder of so many different small JPEGs."""

    def make(count: int) -> Path:
        folder = tmp_path_factory.mktemp("images")
        rng = np.random.default_rng(count)
        for index in range(count):
            pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).resize((32, 24), Image.Resampling.NEAREST)
            image.save(folder / f"{index:05d}.jpg", quality=85)
        return folder

    return make


@pytest.fixture
def server() -> Iterator[Loopback]:
    with running(Loopback(reply)) as loopback:
        yield loopback
