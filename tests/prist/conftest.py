"""Three handmade records about two small images, with everything that a format could lose."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from miras.data.masks import encode

HEIGHT, WIDTH = 6, 8


def turns(*texts: str) -> list[dict[str, Any]]:
    return [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(texts)]


def block(top: int, left: int) -> np.ndarray:
    """(H, W) bool with a block of 2 x 3 pixels."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + 2, left : left + 3] = True
    return mask


@pytest.fixture
def records() -> list[dict[str, Any]]:
    talk = turns("What is there?", "Two cups.", "Which is blue?", "The left one — naïve?", "Mark it.", "Sure, [SEG].")
    odd = turns("Wo?\nDa?", "In der Straße.", "Then?", "It is near.", "Segment that.", "It is [SEG].")
    odd[1]["seconds"] = 1.5
    return [
        {"img_id": "a.png", "dialogue": talk, "focus": "blue cup", "mask": encode(block(0, 0))},
        {"img_id": "b.png", "dialogue": odd, "focus": "straße", "class": "way", "n": [1], "mask": encode(block(2, 4))},
        {"img_id": "a.png", "dialogue": deepcopy(talk), "focus": "red cup", "mask": encode(block(4, 5))},
    ]  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with the two images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for value, name in ((90, "a.png"), (160, "b.png")):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), value, np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def prist_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes records as the authors' files are written."""

    def write(*records: Any, name: str = "test.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(list(records), ensure_ascii=False, indent=4), encoding="utf-8")
        return path

    return write
