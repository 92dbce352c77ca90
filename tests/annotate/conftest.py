"""A small project: two images of 12 x 16 pixels, four records about three items, one group or two."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.prist.conftest import turns

from miras.annotate.plan import Record
from miras.annotate.project import Project, export

HEIGHT, WIDTH = 12, 16


def block(top: int, left: int, rows: int = 4, columns: int = 4) -> np.ndarray:
    """(H, W) bool with one block."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + rows, left : left + columns] = True
    return mask


@pytest.fixture
def records() -> list[Record]:
    def record(image: str, focus: str, *texts: str) -> dict[str, Any]:
        return {"img_id": image, "dialogue": turns(*texts, "Mark it.", "Sure, [SEG]."), "focus": focus}

    return [
        record("a.png", "blue cup", "What is there?", "Two cups."),
        record("b.png", "straße", "Wo?\nDa?", "In der Straße."),
        record("a.png", "red  cup ", "What else?", "One more."),
        {**record("a.png", "blue cup", "And the blue one?", "It is on the left."), "n": [1]},
    ]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with the two images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for value, name in ((90, "a.png"), (160, "b.png")):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), value, np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def exported(records: list[Record], images: Path, tmp_path: Path) -> Callable[..., Project]:
    """Exports the records; the people of one group are ann, bob and cem, and rea reviews."""

    def make(groups: int = 1, people: tuple[str, ...] = ("ann", "bob", "cem", "rea")) -> Project:
        names = people if groups == 1 else ()
        return export(records, tmp_path / "project", images, groups=groups, people=names)

    return make
