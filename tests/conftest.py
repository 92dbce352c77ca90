"""Settings of all tests: property tests draw the same examples everywhere and are not timed one by one.

And what many of them use: one handmade photo, and the data beside the repository, without which tests skip.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from tests.shapes import write_shapes

from miras.data.masks import encode
from miras.data.photos import Photo, PhotoObject

settings.register_profile("miras", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("miras")

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


def _beside(name: str) -> Path:
    if not (path := SHARED / name).exists():
        pytest.skip(f"needs ../shared/data/{name}")
    return path


@pytest.fixture
def shared_photos() -> Path:
    """The folder of annotated photos beside the repository."""
    return _beside("photos")


@pytest.fixture
def shared_cutouts() -> Path:
    """The folder of cut-outs beside the repository."""
    return _beside("cutouts")


@pytest.fixture
def shared_prist() -> Path:
    """The authors' PRIST test file beside the repository."""
    return _beside("prist/test.json")


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 8 photos of coloured boxes; both splits hold all of them."""
    return write_shapes(tmp_path_factory.mktemp("shapes"))


def _thing(phrase: str, name: str, *boxes: tuple[int, int, int, int], **more: object) -> PhotoObject:
    mask = np.zeros((24, 32), dtype=bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return PhotoObject(phrase, name, encode(mask), 0.0, **more).with_mask(mask)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def garage() -> Photo:
    """24 x 32 pixels in memory: a left mirror of 6 x 6 and two wheels of 8 x 8, alone and as one union."""
    first, second = (3, 14, 11, 22), (22, 14, 30, 22)
    objects = (
        _thing("left mirror", "left mirror", (2, 2, 8, 8), part=True),
        _thing("wheel", "wheel", first, second, part=True, union=True, count=2),
        _thing("leftmost wheel", "wheel", first, part=True, color="black"),
        _thing("rightmost wheel", "wheel", second, part=True, color="gray"),
    )
    pixels = np.zeros((24, 32, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(32) * 8, np.arange(24)[:, None] * 10
    pixels.setflags(write=False)
    return Photo(Path("garage.png"), objects, "garage", "CC0", pixels)
