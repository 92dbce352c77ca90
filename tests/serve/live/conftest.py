"""The tiny random model, in memory and as the folder that a server of its own loads."""

from pathlib import Path

import pytest
from benchmarks.soak_model import talkative
from tests.model.conftest import new_picture

from miras.model.miras import Miras
from miras.pages.draw import save_png


@pytest.fixture(scope="session")
def tiny() -> Miras:
    """A model that says and marks something else for every photo; no test changes it."""
    return talkative()


@pytest.fixture(scope="session")
def tiny_folder(tiny: Miras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as `save_pretrained` writes it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.save_pretrained(folder)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A PNG of 60 x 84 pixels."""
    return save_png(tmp_path / "photo.png", new_picture(60, 84))
