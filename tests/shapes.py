"""Handmade photos of coloured boxes, as a folder of annotated photos."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from miras.data.masks import area, encode

__all__ = ["write_shapes"]

_SIDE = 64
_COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "yellow": (230, 210, 40)}
_WORDS = {"red": "car", "green": "cup", "blue": "dog", "yellow": "hat"}


def write_shapes(root: Path) -> Path:
    """A folder of 8 photos; both splits hold all of them."""
    (root / "images").mkdir()
    rows = []
    for number in range(8):
        pixels, things = _photo(number)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        rows += [_row(str(number), _WORDS[colour], colour, mask) for colour, mask in things]
    for split in ("train", "val"):
        (root / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return root


def _row(name: str, word: str, colour: str, mask: np.ndarray) -> dict[str, Any]:
    rle = encode(mask)
    return {
        "image": f"images/{name}.png", "phrase": word, "class": word, "mask": rle, "area": area(rle) / mask.size,
        "color": colour, "pos": "middle center", "source": "shapes",
    }  # fmt: skip


def _photo(number: int) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Grey with two boxes of different colours, one on the left and one on the right."""
    rng = np.random.default_rng(number)
    pixels = np.full((_SIDE, _SIDE, 3), 128, np.uint8)
    chosen = []
    for half, colour in enumerate(rng.permutation(list(_COLOURS))[:2]):
        top, left = int(rng.integers(4, 24)), 2 + 32 * half + int(rng.integers(0, 6))
        mask = np.zeros((_SIDE, _SIDE), bool)
        mask[top : top + int(rng.integers(20, 34)), left : left + 22] = True
        pixels[mask] = _COLOURS[colour]
        chosen.append((str(colour), mask))
    return pixels, chosen
