"""Short runs of the tiny model on photos of coloured shapes."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from miras.config import TrainConfig, plain
from miras.train.command import prepare
from miras.train.engine_processes import Processes
from miras.train.loop import Training

JOINT = ("lora", "new_tokens", "fusion", "vision_projector", "mask_projector", "alignment", "mask_decoder", "pyramid")
CACHED = ("mask_projector", "alignment", "mask_decoder", "pyramid", "high_stage32")

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
    return lambda **changes: prepare(settings(**changes), silent, Processes(torch.device("cpu")))
