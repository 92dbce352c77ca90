"""Handmade photos of coloured shapes, and short runs of the tiny model on them."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from miras.config import TrainConfig, plain
from miras.data.masks import area, encode
from miras.train.command import prepare
from miras.train.loop import Training

SIDE = 64
COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "yellow": (230, 210, 40)}
WORDS = {"red": "car", "green": "cup", "blue": "dog", "yellow": "hat"}
JOINT = ("lora", "new_tokens", "fusion", "vision_projector", "mask_projector", "alignment", "mask_decoder", "pyramid")
CACHED = ("mask_projector", "alignment", "mask_decoder", "pyramid", "high_stage32")


def _row(name: str, word: str, colour: str, mask: np.ndarray) -> dict[str, Any]:
    rle = encode(mask)
    return {
        "image": f"images/{name}.png", "phrase": word, "class": word, "mask": rle, "area": area(rle) / mask.size,
        "color": colour, "pos": "middle center", "source": "shapes",
    }  # fmt: skip


def _photo(number: int) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Grey with two boxes of different colours, one on the left and one on the right."""
    rng = np.random.default_rng(number)
    pixels = np.full((SIDE, SIDE, 3), 128, np.uint8)
    chosen = []
    for half, colour in enumerate(rng.permutation(list(COLOURS))[:2]):
        top, left = int(rng.integers(4, 24)), 2 + 32 * half + int(rng.integers(0, 6))
        mask = np.zeros((SIDE, SIDE), bool)
        mask[top : top + int(rng.integers(20, 34)), left : left + 22] = True
        pixels[mask] = COLOURS[colour]
        chosen.append((str(colour), mask))
    return pixels, chosen


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 8 photos of coloured boxes; both splits hold all of them."""
    root = tmp_path_factory.mktemp("shapes")
    (root / "images").mkdir()
    rows = []
    for number in range(8):
        pixels, things = _photo(number)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        rows += [_row(str(number), WORDS[colour], colour, mask) for colour, mask in things]
    for split in ("train", "val"):
        (root / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return root


Settings = Callable[..., TrainConfig]


@pytest.fixture
def settings(shapes: Path, tmp_path: Path) -> Settings:
    """A short run on the shapes, any setting replaced."""

    def make(**changes: Any) -> TrainConfig:
        names = CACHED if changes.get("text") == "cached" else JOINT
        base: dict[str, Any] = {
            "run": str(tmp_path / "run"), "preset": "tiny", "data": str(shapes), "image_size": 64, "images": 2,
            "targets": 2, "steps": 6, "warmup": 1, "workers": 0, "val_targets": 0, "log_every": 1, "ema": 0.9,
            "sequence_tokens": 1000, "parts": dict.fromkeys(names, 1e-3),
            "augment": {"zoom": 0.0, "zoom_small": 0.0, "jitter": 0.3},
        }  # fmt: skip
        return plain(base | ({"init": None} | changes))

    return make


@pytest.fixture
def silent() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def training(settings: Settings, silent: Console) -> Callable[..., Training]:
    """A prepared run at its first step."""
    return lambda **changes: prepare(settings(**changes), silent)
