"""Kept features take the place of an image's views: same outputs, no encoder left."""

from typing import Any

import pytest
import torch
from torch import Tensor

from miras.errors import BatchError, ConfigError
from miras.model.features import FrozenEncoders
from miras.types import Batch

SAM: dict[str, Any] = {
    "low": {
        "kind": "clip", "size": 28, "layer": -2, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "projection_dim": 16,
    },
    "high": {"kind": "convnext", "size": 64, "hidden_sizes": [8, 8, 16, 24], "depths": [1, 1, 1, 1]},
    "pixel": {
        "kind": "sam", "size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "global_attn_indexes": [1], "window_size": 2,
    },
    "fusion": "global", "fusion_cells": 2, "query_width": 64,
}  # fmt: skip
"""The shape of the 7B model: CLIP, ConvNeXt and SAM, each with a view of its own."""


def kept_instead(model: Any, batch: Batch, *, tokens: bool = True) -> tuple[dict[str, Tensor], Batch]:
    features = FrozenEncoders(model, tokens=tokens).look(batch)
    none = torch.zeros(len(batch.high), 3, 0, 0)
    fields = {name: value for name, value in vars(batch).items() if name not in ("marked", "dialogue_row", "positions")}
    return features, Batch(**fields | {"low": none, "high": none, "pixel": None, "features": features})


@pytest.fixture
def ask(picture: Any, sample: Any) -> Any:
    """A batch of two images of unlike shapes for a model, the second without a target."""

    def ask_one(model: Any) -> Batch:
        talks = [sample(picture(60, 40), "Mark.", "It is [OBJ]a b[SEG]."), sample(picture(50, 60, 1), "Is it?", "Yes.")]
        made: Batch = model.processor.collator(mask_size=32)(talks)
        return made

    return ask_one


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["trained", "frozen", "none"])
@pytest.mark.parametrize("kind", ["pyramid", "sam"])
def test_outputs_are_those_of_the_views(kind: str, fusion: str, fresh_model: Any, ask: Any) -> None:
    model = fresh_model(**(SAM if kind == "sam" else {}) | ({"fusion": "none"} if fusion == "none" else {}))
    model.requires_grad_(False)
    if fusion == "trained":
        model.vision.fusion.requires_grad_(True)
    batch = ask(model)
    features, kept = kept_instead(model, batch)
    low = {"cells"} if fusion == "frozen" else {"low"}
    high = {f"high.{n}" for n in range(4 if kind == "pyramid" else 3 if fusion == "trained" else 0)}
    assert set(features) == low | high | ({"pixel.embedding", "pixel.fine"} if kind == "sam" else set())
    if kind == "sam" and fusion == "trained":  # on the grid of the fusion, not in full
        assert {tuple(features[name].shape[-2:]) for name in high} == {(4, 4)}
    wanted = model(batch)
    FrozenEncoders(model, tokens=True).leave()
    assert not any(name.startswith(("vision.high.", "vision.low.", "pixel.encoder.")) for name in model.state_dict())
    got = model(kept)
    for name in ("logits", "mask_logits", "iou", "image_tokens"):
        assert torch.equal(getattr(got, name), getattr(wanted, name)), name
    with pytest.raises(BatchError, match="were left out"):
        model(batch)


def test_the_mask_path_alone_keeps_no_low_map(tiny: Any, fresh_model: Any, ask: Any) -> None:
    model = fresh_model()
    model.requires_grad_(False)
    assert set(kept_instead(model, ask(model), tokens=False)[0]) == {f"high.{n}" for n in range(4)}


def test_an_encoder_that_is_trained_is_named(fresh_model: Any) -> None:
    model = fresh_model()
    model.requires_grad_(False)
    model.vision.high.stage16.requires_grad_(True)
    with pytest.raises(ConfigError, match=r"high_stage16 is trained; leave it out of parts"):
        FrozenEncoders(model, tokens=False)
    sam = fresh_model(**SAM)
    sam.requires_grad_(False)
    sam.pixel.requires_grad_(True)
    with pytest.raises(ConfigError, match=r"pixel\.encoder\.\S+ is trained"):
        FrozenEncoders(sam, tokens=True)


@torch.no_grad()
def test_the_fingerprint_follows_what_is_computed_with(fresh_model: Any) -> None:
    model = fresh_model()
    model.requires_grad_(False)
    prints = [FrozenEncoders(model, tokens=tokens).fingerprint() for tokens in (True, True, False)]
    assert prints[0] == prints[1] != prints[2]
    model.pixel.mask_decoder.requires_grad_(True)
    model.language.rows.add_(1)
    assert FrozenEncoders(model, tokens=True).fingerprint() == prints[0]
    model.vision.fusion.gate.add_(1)
    fused = FrozenEncoders(model, tokens=True).fingerprint()
    model.vision.fusion.requires_grad_(True)
    unfused = FrozenEncoders(model, tokens=True).fingerprint()
    model.vision.fusion.gate.add_(1)
    assert len({*prints, fused, unfused}) == 4
    assert FrozenEncoders(model, tokens=True).fingerprint() == unfused
    next(model.vision.low.parameters()).mul_(1.001)
    assert FrozenEncoders(model, tokens=True).fingerprint() != unfused
    model.config.high = {**model.config.high, "size": 96}
    other = FrozenEncoders(model, tokens=True).fingerprint()
    assert other not in (fused, unfused)
