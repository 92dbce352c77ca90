"""Features are computed once, kept, told of beforehand, and train what the encoders would."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from miras.config import TrainConfig, plain
from miras.errors import ConfigError, DataError
from miras.model.features import FrozenEncoders
from miras.train import features
from miras.train.command import prepare, run_training
from miras.train.engine_processes import Processes
from miras.train.loop import Training
from miras.types import Batch

Settings = Callable[..., TrainConfig]

PARTS = ("lora", "new_tokens", "fusion", "vision_projector", "mask_projector", "alignment", "mask_decoder", "pyramid")


@pytest.fixture
def still(settings: Settings, tmp_path: Path) -> Settings:
    """A run that changes no image and keeps features."""

    def make(**changes: Any) -> TrainConfig:
        base: dict[str, Any] = {
            "features": str(tmp_path / "kept"), "augment": {"flip": 0, "zoom": 0, "zoom_small": 0, "jitter": 0},
            "parts": dict.fromkeys(PARTS, 1e-3), "sources": {"photos": 1, "dialogues": 1}, "val_targets": 4,
        }  # fmt: skip
        return settings(**base | changes)

    return make


def told(config: TrainConfig) -> tuple[Training, str]:
    out = io.StringIO()
    alone = Processes(torch.device("cpu"))
    return prepare(config, Console(file=out, width=300), alone), out.getvalue()


def losses(config: TrainConfig) -> list[float]:
    run_training(config, Console(quiet=True))
    rows = map(json.loads, (Path(config.run) / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.parametrize(
    "changes",
    [{}, {"text": "cached", "parts": {"mask_decoder": 1e-3}, "sources": {"photos": 1}, "loss": {"naming": 0.1}}],
    ids=["joint", "cached"],
)
def test_losses_with_and_without_are_the_same(changes: Any, still: Settings, tmp_path: Path) -> None:
    exact = still(**changes, run=str(tmp_path / "exact"), features_dtype="fp32", workers=1)
    rounded = still(**changes, run=str(tmp_path / "rounded"))
    plainly = losses(still(**changes, run=str(tmp_path / "plain"), features=None))
    assert losses(exact) == pytest.approx(plainly, rel=1e-6, abs=1e-5)
    assert losses(rounded) == pytest.approx(plainly, rel=2e-2)
    assert losses(rounded) != pytest.approx(plainly, abs=1e-6)


def test_encoders_are_run_once_and_then_left_out(still: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, look = list[int](), FrozenEncoders.look

    def counted(self: FrozenEncoders, batch: Batch) -> dict[str, torch.Tensor]:
        looked.append(len(batch.high))
        return look(self, batch)

    monkeypatch.setattr(FrozenEncoders, "look", counted)
    made, first = told(still())
    assert sum(looked) == 8 and "features of 8 images" in first and "0 are there, the others take" in first
    assert not list(made.model.vision.high.parameters()) and not list(made.model.vision.low.parameters())
    batch = made.batches[0]
    assert batch.high.numel() == batch.low.numel() == 0 and batch.features is not None
    assert {tensor.dtype for tensor in batch.features.values()} == {torch.bfloat16}
    _, second = told(still(steps=9))
    assert sum(looked) == 8 and "8 are there" in second and "take" not in second


def test_the_size_told_is_the_size_taken(still: Settings, tmp_path: Path) -> None:
    _, text = told(still())
    files = list((tmp_path / "kept").rglob("*.safetensors"))
    sizes = {file.stat().st_size for file in files}
    assert len(files) == 8 and len(sizes) == 1
    assert f"take {features._size(sizes.pop())} each" in text


def test_filling_goes_on_where_it_was_interrupted(still: Settings, tmp_path: Path, monkeypatch: Any) -> None:
    write, left = features.FeatureStore.write, 3

    def interrupted(self: Any, content: str, made: Any) -> int:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return write(self, content, made)

    monkeypatch.setattr(features.FeatureStore, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        told(still())
    index = tmp_path / "kept" / "images.jsonl"
    index.write_text(index.read_text(encoding="utf-8") + '\n["half a li', encoding="utf-8")
    monkeypatch.setattr(features.FeatureStore, "write", write)
    assert "3 are there" in told(still())[1]
    assert "8 are there" in told(still())[1]


def test_a_file_that_changed_is_looked_at_again(still: Settings, shapes: Path, tmp_path: Path) -> None:
    image = tmp_path / "one.png"
    image.write_bytes((shapes / "images" / "0.png").read_bytes())
    store = features.FeatureStore(tmp_path / "kept", "encoders")
    made = list[np.ndarray]()

    def look(images: Any) -> list[dict[str, torch.Tensor]]:
        made.extend(images)
        return [{"mean": torch.tensor(float(each.mean()))} for each in images]

    for _ in range(2):
        features.fill(store, [image], look, Console(quiet=True))
    assert len(made) == 1 and store(made[0])["mean"] == pytest.approx(made[0].mean())
    image.write_bytes((shapes / "images" / "1.png").read_bytes())
    assert not store.has(image)
    features.fill(store, [image], look, Console(quiet=True))
    again = features.FeatureStore(tmp_path / "kept", "encoders")
    assert len(made) == 2 and again.has(image) and load_file(again.path(features._content(made[1])))
    with pytest.raises(DataError, match="no features of an image of 5 x 4 pixels"):
        store(np.zeros((4, 5, 3), dtype=np.uint8))
    again.path(features._content(made[1])).write_bytes(b"half")
    with pytest.raises(DataError, match=r"is broken .* delete it"):
        again(made[1])
    with pytest.raises(DataError, match=r"no image at .*gone\.png"):
        features.fill(store, [tmp_path / "gone.png"], look, Console(quiet=True))


def test_a_disk_that_is_too_small_is_said(still: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(ConfigError, match=r"features needs 0\.\d+ MB more in .*, which has 0\.001 MB left"):
        told(still())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": {"high_stage32": 1e-3}}, r"parts\.high_stage32 trains an encoder"),
        ({"parts": {"low_stage4": 1e-3}}, r"parts\.low_stage4 trains an encoder"),
        ({"augment": {"flip": 0.5}}, r"augment\.flip is 0\.5 and changes images"),
        ({"augment": {"flip": 0, "zoom": 0, "zoom_small": 0}}, r"augment\.jitter is 0\.7"),
        ({"sources": {"scenes": 1}, "augment": {"flip": 0, "zoom": 0, "zoom_small": 0, "jitter": 0, "mosaic": 1}},
         r"sources\.scenes makes new images"),
        ({"image_size_start": 32}, "image_size_start is 32"),
    ],
)  # fmt: skip
def test_what_changes_images_or_encoders_is_refused(changes: Any, message: str, still: Settings) -> None:
    with pytest.raises(ConfigError, match=message):
        plain({**vars(still()), "loss": {}, "augment": vars(still().augment), **changes})


@pytest.mark.parametrize(
    ("count", "words"), [(7336, "0.0073 MB"), (15_663_104, "16 MB"), (317e6, "317 MB"), (1.6e12, "1600.0 GB")]
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert features._size(count) == words
