"""The full-size presets' code at small widths: a run from its first step to a model that answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.model import published
from tests.model.published import publish

from miras import Miras
from miras.config import TrainConfig
from miras.model.configuration import preset
from miras.train.command import MODEL, run_training
from miras.train.stages import start_model

Settings = Callable[..., TrainConfig]
PARTS = ("lora", "new_tokens", "mask_projector", "mask_decoder")


@pytest.mark.parametrize("name", ["tiny-7b", "tiny-lisa-7b", "tiny-4b"])
def test_a_run_ends_in_a_model_that_answers(settings: Settings, silent: Console, name: str) -> None:
    more = () if name == "tiny-lisa-7b" else ("fusion", "alignment")
    config = settings(preset=name, steps=2, parts=dict.fromkeys((*PARTS, *more), 1e-3))
    run_training(config, silent)
    model = Miras.from_pretrained(Path(config.run) / MODEL)
    assert model.processor.views == preset(name).views()
    session = model.session(np.zeros((40, 60, 3), dtype=np.uint8))
    session.force("Mark it.", "It is [OBJ]a[SEG].")
    reply = session.ask("And now?", limit=4)
    assert len(session.turns) == 4 and "<image>" not in reply.text and "<unused" not in reply.text


def test_frozen_towers_are_kept_in_half_precision(settings: Settings, tmp_path: Path) -> None:
    sam = publish(published.sam(preset("tiny-7b")), tmp_path / "sam", colours="imagenet")
    whole: dict[str, Any] = {"preset": "tiny-7b", "model": {"sources": {"pixel": str(sam)}}}
    parts = dict.fromkeys(PARTS, 1e-3)
    pixel = start_model(settings(**whole, parts=parts, precision="bf16")).pixel
    assert {weight.dtype for weight in pixel.encoder.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in pixel.mask_decoder.parameters()} == {torch.float32}
    pixel = start_model(settings(**whole, parts=parts)).pixel
    assert {weight.dtype for weight in pixel.parameters()} == {torch.float32}
