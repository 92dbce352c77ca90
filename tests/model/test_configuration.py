"""Configurations: the presets, what contradicts itself, and the full model's shapes without its memory."""

from typing import Any

import pytest
import torch

from miras.errors import ConfigError
from miras.model.build import build
from miras.model.configuration import MirasConfig, preset
from miras.model.miras import Miras
from miras.model.vision import Fusion


@pytest.mark.parametrize("name", ["tiny", "nano", "7b"])
def test_presets_survive_json(name: str) -> None:
    config = preset(name)
    again = MirasConfig.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict() and again.views() == config.views()


def test_presets_do_not_share_what_is_changed() -> None:
    preset("tiny").language["vocab_size"] = 1
    assert preset("tiny").language["vocab_size"] == 320


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high": {"kind": "efficientnet-lite", "width": 0.2, "depth": 0.3, "size": 100}}, "multiple of 32"),
        ({"image_grid": 3}, "image_grid must be the cells per side"),
        ({"max_context": 4096}, "max_context must be at most"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        preset("tiny", **changes)


def test_unknown_presets_and_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="presets are tiny, nano, 4b, 7b.*got 'mini'"):
        preset("mini")
    with pytest.raises(Exception, match="alignment"):
        preset("tiny", alignment="some")


@pytest.fixture(scope="module")
def full(tiny: Miras) -> Miras:
    """The full model on the meta device: shapes and no numbers."""
    with torch.device("meta"):
        return build(preset("7b"), tiny.processor)


def millions(module: torch.nn.Module) -> float:
    return sum(p.numel() for name, p in module.named_parameters() if "lora" not in name) / 1e6


def test_the_full_model_has_the_published_sizes(full: Miras) -> None:
    assert millions(full.vision.low) == pytest.approx(303.5, abs=0.1)
    assert millions(full.vision.high) == pytest.approx(196.2, abs=0.1)
    assert millions(full.pixel.encoder) == pytest.approx(637.0, abs=0.1)
    assert millions(full.language.lm) == pytest.approx(6740, abs=5)
    lora = [p.numel() for name, p in full.language.named_parameters() if "lora" in name]
    assert sum(lora) == 32 * 2 * 2 * 8 * 4096 and full.config.lora["targets"] == ["q_proj", "v_proj"]
    assert full.alignment is not None and full.alignment.attention.embed_dim == 256


def test_the_full_model_has_the_true_shapes(full: Miras) -> None:
    with torch.device("meta"), torch.no_grad():
        maps = full.vision.high(torch.empty(1, 3, 768, 768))
        assert [tuple(x.shape[1:]) for x in maps] == [(192, 192, 192), (384, 96, 96), (768, 48, 48), (1536, 24, 24)]
        assert full.vision.low(torch.empty(1, 3, 336, 336))[-1].shape == (1, 1024, 24, 24)
        tokens = full.vision(torch.empty(1, 3, 336, 336), maps, torch.empty(1, 2))
        assert tokens.shape == (1, 576, 4096)
        words = full.language.embed(torch.zeros(1, 9, dtype=torch.long))
        # a whole mask, since one per token would be looked into, and there is nothing to see
        states = full.language.states(torch.cat([tokens, words], 1), torch.empty(1, 1, 585, 585))
        assert states.shape == (1, 585, 4096) and full.language.logits(states[:, -1]).shape == (1, 32067)
        features = full.pixel.encode(torch.empty(1, 3, 1024, 1024), maps)
        queries = full.mask_projector(states[0, -2:])
        logits, iou = full.pixel.decode(queries, features, torch.zeros(2, dtype=torch.long))
    assert features.embedding.shape == (1, 256, 64, 64) and queries.shape == (2, 256)
    assert logits.shape == (2, 256, 256) and iou.shape == (2,)


def test_the_full_model_looks_as_the_paper_does(full: Miras) -> None:
    fusion = full.vision.fusion
    assert isinstance(fusion, Fusion)
    assert not fusion.windowed and fusion.gate is not None and not full.vision.positions
    assert full.config.image_grid**2 == 576 and full.config.chat == "vicuna"
