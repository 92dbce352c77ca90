"""The full-size presets without their memory: published sizes to the last weight, and true shapes all the way."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.model import published
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from transformers import Sam2VideoConfig, Sam2VideoModel

from miras.config import PARTS, LossWeights
from miras.data.encode import FORMATS
from miras.data.masks import encode
from miras.model.build import build
from miras.model.configuration import MirasConfig, preset
from miras.model.losses import compute_losses
from miras.model.miras import Miras
from miras.model.processing import MirasProcessor, byte_tokenizer
from miras.types import Dialogue, Sample, Target, Turn

TRAINED = ("lora", "new_tokens", "fusion", "vision_projector", "mask_projector", "alignment", "mask_decoder")
VICUNA = 6_738_415_616  # LLaMA's 7B; each row of a vocabulary beyond 32,000 is 4,096 in and 4,096 out


def empty(config: MirasConfig) -> Miras:
    """A model of shapes and no numbers."""
    processor = MirasProcessor.build(config, byte_tokenizer(FORMATS[config.chat]))
    with torch.device("meta"):
        return build(config, processor)


@pytest.fixture(scope="module")
def full() -> Callable[[str], Miras]:
    made: dict[str, Miras] = {}
    return lambda name: made.setdefault(name, empty(preset(name))) if name not in made else made[name]


def count(module: nn.Module | None) -> int:
    """Weights, those of LoRA left out."""
    return 0 if module is None else sum(p.numel() for n, p in module.named_parameters() if "lora" not in n)


@pytest.mark.parametrize(
    ("name", "low", "high", "projector", "language", "tokens"),
    [
        # CLIP-L/14 at 336 px: 303.5 M; ConvNeXt-L: 197,767,336 of timm and torchvision, less 1,537,000 of the
        # classifier and 3,072 of its norm; llava-hf pads the vocabulary to 32,064 rows
        ("7b", 303_507_456, 196_227_264, 20_979_712, VICUNA + 64 * 8192, 576),
        ("7b-v1", 303_507_456, 196_227_264, 20_979_712, VICUNA + 64 * 8192, 576),
        # CLIP-L/14 at 224 px: 303.2 M; LLaVA 1 has one layer, LISA 32,004 rows with its four tokens
        ("lisa-7b", 303_179_776, 0, 4_198_400, VICUNA + 4 * 8192, 256),
        # InternVL 3.5's own table: vision 0.3 B, language 4.4 B (Qwen3-4B's 4.02 B and a head of its own)
        ("4b", 304_012_288, 212_149_296, 17_052_672, 4_022_468_096 + 151_936 * 2560, 256),
    ],
)
def test_parts_have_their_published_sizes(
    full: Any, name: str, low: int, high: int, projector: int, language: int, tokens: int
) -> None:
    model = full(name)
    assert count(model.vision.low) == low and count(model.vision.high) == high
    assert count(model.vision.projector) == projector and count(model.language.lm) == language
    assert model.config.image_grid**2 == tokens


def test_sam_has_its_published_size(full: Any) -> None:
    """ViT-H of 637 M and a decoder of 4.06 M, as the paper of SAM says: 636 M and 4 M."""
    for name in ("7b", "lisa-7b"):
        assert count(full(name).pixel.encoder) == 637_026_048
        assert count(full(name).pixel.mask_decoder) == 4_058_340


def test_sam2_has_its_published_size(full: Any) -> None:
    """224.4 M in SAM 2's own table, the memory for videos included, which a still image has no use for."""
    config = preset("4b")
    with torch.device("meta"):
        still = published.sam2(config)
        vision = still.config.vision_config
        assert count(Sam2VideoModel(Sam2VideoConfig(vision_config=vision))) == 224_446_642
    model = full("4b")
    ours = count(model.vision.high) + count(model.pixel)
    # the whole of still SAM 2 but its prompts of points, boxes and masks, of which only "no mask" is left
    assert ours == count(still) - count(still.prompt_encoder) + 256


@pytest.mark.parametrize("name", ["7b", "4b"])
def test_parts_have_the_size_of_transformers_own(full: Any, name: str) -> None:
    model = full(name)
    with torch.device("meta"):
        oracle: Any = (published.internvl if name == "4b" else published.llava)(model.config)
    assert count(model.vision.low) == count(oracle.model.vision_tower)
    assert count(model.vision.projector) == count(oracle.model.multi_modal_projector)
    assert count(model.language.lm) == count(oracle.model.language_model) + count(oracle.lm_head)


def test_what_the_paper_trains_is_there(full: Any) -> None:
    model = full("7b")
    lora = [p.numel() for name, p in model.language.named_parameters() if "lora" in name]
    assert sum(lora) == 32 * 2 * 2 * 8 * 4096 == 4_194_304 and model.config.lora["targets"] == ["q_proj", "v_proj"]
    assert model.alignment.attention.embed_dim == 256
    fusion = model.vision.fusion
    assert not fusion.windowed and fusion.gate is not None and not model.vision.positions
    assert (model.config.image_grid * fusion.cells, model.config.chat) == (48, "vicuna")


def test_lisa_is_lisa(full: Any) -> None:
    model = full("lisa-7b")
    assert model.vision.high is None and model.vision.fusion is None and model.alignment is None
    assert [type(layer).__name__ for layer in model.vision.projector] == ["Linear"]
    assert [type(layer).__name__ for layer in model.mask_projector.layers] == ["Linear", "ReLU", "Linear"]
    assert model.config.seg_state == "predicting" and model.config.views().high == 0


def shallow(config: MirasConfig) -> MirasConfig:
    """All widths and sizes of a configuration, and two layers of each part."""
    config.language["num_hidden_layers"] = config.low["num_hidden_layers"] = 2
    if config.high.get("kind") == "convnext":
        config.high["depths"] = [1, 1, 1, 1]
    if config.high.get("kind") == "hiera":
        config.high |= {"blocks_per_stage": [1, 1, 2, 1], "global_attention_blocks": [3]}
    if config.pixel["kind"] == "sam":
        config.pixel |= {"num_hidden_layers": 2, "global_attn_indexes": [1]}
    return config


def talk(*turns: str) -> Dialogue:
    mask = np.zeros((48, 64), dtype=bool)
    mask[:24] = True
    targets = [Target("thing", encode(mask)) for text in turns for _ in range(text.count("[SEG]"))]
    return Dialogue(tuple(Turn(("user", "assistant")[i % 2], text) for i, text in enumerate(turns)), tuple(targets))  # type: ignore[arg-type]


def check_a_step(config: MirasConfig) -> None:
    """Two images, three dialogues, five targets: forward, loss and backward with numbers that are not there."""
    model = empty(config)
    with FakeTensorMode(allow_non_fake_inputs=True):
        nn.Module.to_empty(model, device="cpu")
    trained = [n for n, _ in model.named_parameters() if any(re.match(PARTS[part], n) for part in TRAINED)]
    for name, weight in model.named_parameters():
        weight.requires_grad_(name in trained)
    talks = (talk("Mark.", "[OBJ]cat[SEG] and [OBJ]dog[SEG]."), talk("What?", "A cat.", "Mark.", "It is [OBJ]it[SEG]."))
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    samples = [Sample(image, talks), Sample(image, (talk("Both.", "[OBJ]a[SEG], [OBJ]b[SEG]"),))]
    batch = model.processor.collator(mask_size=384)(samples)
    output = model.train()(batch)

    views, width = config.views(), config.language["hidden_size"]
    assert tuple(batch.low.shape[1:]) == (3, views.low, views.low)
    assert output.image_tokens.shape == (2, config.image_grid**2, width)
    assert output.logits.shape == (len(output.labels), config.language["vocab_size"] + 3)
    assert output.mask_logits.shape == (5, 256, 256) and output.iou.shape == (5,)
    losses = compute_losses(output, batch, LossWeights(iou=0.1))
    losses.total.backward()
    assert isinstance(losses.total, FakeTensor)
    assert len(trained) > 30
    moved = {name for name, weight in model.named_parameters() if weight.grad is not None}
    # SAM 2's own test for whether there is an object is not asked
    assert moved == {name for name in trained if "pred_obj_score_head" not in name}


@pytest.mark.parametrize("name", ["7b", "lisa-7b", "4b"])
def test_true_shapes_flow_through_a_step(name: str) -> None:
    check_a_step(shallow(preset(name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["7b", "7b-v1", "lisa-7b", "4b"])
def test_true_shapes_flow_through_all_layers(name: str) -> None:
    check_a_step(preset(name))
