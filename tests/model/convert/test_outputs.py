"""The same numbers under both names make the same outputs: original definitions against transformers' modules."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.model.convert import checkpoints, references
from torch import Tensor
from transformers import CLIPVisionModel, ConvNextBackbone, ConvNextModel, SamModel

from miras.model.alignment import MaskProjector
from miras.model.convert.layouts import find
from miras.model.convert.part import adapt
from miras.model.convert.rename import rename
from miras.model.convert.shapes import clip_config, convnext_config, sam_config
from miras.model.sam import SamPixelEncoder
from miras.model.vision import VisionProjector

_TOLERANCE = 1e-5


def _under(state: Mapping[str, Tensor], before: str) -> dict[str, Tensor]:
    return {name.removeprefix(before): x for name, x in state.items() if name.startswith(before)}


def _close(got: Tensor, wanted: Tensor) -> bool:
    """Within 1e-5 of each other, in the scale of what is wanted, which must not be flat."""
    scale = float(wanted.std())
    assert scale > 1e-2
    return bool((got - wanted).abs().max() < _TOLERANCE * max(1.0, scale))


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layout", ["openclip", "timm"])
@torch.no_grad()
def test_convnext(pixels: Tensor, layout: str) -> None:
    sizes: Any = {"depths": (1, 2, 2, 1), "widths": (8, 12, 16, 24)}
    more: Any = {"text": 4, "blocks": 1} if layout == "openclip" else {}
    state = checkpoints.weights(getattr(checkpoints, layout)(**sizes, **more))
    original = _under(state, "visual.trunk.") or state
    maps, pooled = references.convnext(original, pixels)
    found = adapt("high", state)
    config = convnext_config(found)
    model = ConvNextModel(config).eval()
    model.load_state_dict(found, strict=True)
    output = model(pixels, output_hidden_states=True)
    assert all(_close(got, wanted) for got, wanted in zip(output.hidden_states[1:], maps, strict=True))
    assert _close(output.pooler_output, pooled)
    backbone = ConvNextBackbone(config)
    lost = backbone.load_state_dict({k: x for k, x in found.items() if not k.startswith("layernorm")}, strict=False)
    assert all(name.startswith("hidden_states_norms.") for name in lost.missing_keys)


@torch.no_grad()
def test_openais_clip() -> None:
    """Its attention is torch's own module, which holds queries, keys and values in one weight, as the release does."""
    state = checkpoints.weights(checkpoints.openai_clip(width=8, depth=2, patch=4, size=8, text=4, blocks=1))
    pixels = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(6))
    cells = F.conv2d(pixels, state["visual.conv1.weight"], stride=4).flatten(2).transpose(1, 2)
    x = torch.cat([state["visual.class_embedding"].expand(2, 1, -1), cells], 1) + state["visual.positional_embedding"]
    x = F.layer_norm(x, (8,), state["visual.ln_pre.weight"], state["visual.ln_pre.bias"])
    for n in range(2):
        block = _under(state, f"visual.transformer.resblocks.{n}.")
        attention = torch.nn.MultiheadAttention(8, 1, batch_first=True).eval()
        attention.load_state_dict(_under(block, "attn."), strict=True)
        y = F.layer_norm(x, (8,), block["ln_1.weight"], block["ln_1.bias"])
        x = x + attention(y, y, y, need_weights=False)[0]
        y = F.layer_norm(x, (8,), block["ln_2.weight"], block["ln_2.bias"])
        y = F.linear(y, block["mlp.c_fc.weight"], block["mlp.c_fc.bias"])
        x = x + F.linear(y * torch.sigmoid(1.702 * y), block["mlp.c_proj.weight"], block["mlp.c_proj.bias"])
    found = adapt("low", state)
    model = CLIPVisionModel(clip_config(found)).eval()
    model.load_state_dict(found, strict=True)
    assert _close(model(pixels).last_hidden_state, x)


@pytest.fixture
def sam() -> dict[str, Tensor]:
    return checkpoints.weights(checkpoints.sam(**checkpoints.TINY_SAM))


@torch.no_grad()
def test_sam_sees_the_same(sam: dict[str, Tensor]) -> None:
    """5 x 5 cells in windows of 2 need padding; one of the three layers sees everything."""
    pixels = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(2))
    wanted = references.sam_encoder(_under(sam, "image_encoder."), pixels, heads=2)
    found = adapt("pixel", sam)
    model = SamModel(sam_config(found)).eval()
    model.load_state_dict(found, strict=True)
    assert _close(model.vision_encoder(pixels).last_hidden_state, wanted)


@torch.no_grad()
def test_sam_marks_the_same_as_our_pixel_encoder(sam: dict[str, Tensor]) -> None:
    draw = torch.Generator().manual_seed(3)
    features, query = torch.randn(2, 32, 5, 5, generator=draw), torch.randn(3, 32, generator=draw)
    image = torch.tensor([0, 1, 1])
    centres = (torch.arange(5) + 0.5) / 5 * 2 - 1
    grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)  # (5, 5, 2): x, y
    angles = 2 * torch.pi * grid @ sam["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    where = torch.cat([angles.sin(), angles.cos()], -1).permute(2, 0, 1)[None].expand(3, -1, -1, -1)
    dense = sam["prompt_encoder.no_mask_embed.weight"].reshape(1, -1, 1, 1)
    decoder = _under(sam, "mask_decoder.")
    wanted, sure = references.mask_decoder(decoder, features[image], where, query[:, None], dense)
    model = _pixel_encoder(sam)
    logits, iou = model.decode(query, _features(features), image)
    assert _close(logits, wanted)
    assert _close(iou, sure)


def _features(embedding: Tensor) -> Any:
    from miras.model.pixel import PixelFeatures

    return PixelFeatures(embedding, embedding[:, :0])


def _pixel_encoder(state: dict[str, Tensor]) -> SamPixelEncoder:
    """Our module of SAM's parts, filled under our own names, and nothing missing."""
    common = rename(state, find("sam").rules).state
    ours = _under(rename(common, find("miras").rules, reverse=True).state, "pixel.")
    whole: Any = SamModel(sam_config(adapt("pixel", state)))
    model = SamPixelEncoder(
        encoder=whole.vision_encoder, decoder=whole.mask_decoder, positions=whole.shared_image_embedding
    )
    model.load_state_dict(ours, strict=True)
    return model.eval()


@torch.no_grad()
def test_lisas_queries_are_ours() -> None:
    state = checkpoints.weights(
        checkpoints.lisa(language={"width": 8, "inner": 8, "depth": 1, "rows": 9}, seen=6, marks=checkpoints.TINY_SAM)
    )
    states = torch.randn(4, 8, generator=torch.Generator().manual_seed(4))
    name = "model.text_hidden_fcs.0."
    hidden = F.relu(F.linear(states, state[f"{name}0.weight"], state[f"{name}0.bias"]))
    wanted = F.linear(hidden, state[f"{name}2.weight"], state[f"{name}2.bias"])
    projector = MaskProjector(width=8, query_width=32)
    projector.layers.load_state_dict(adapt("mask_projector", state), strict=True)
    assert _close(projector(states), wanted)


@torch.no_grad()
def test_llavas_image_tokens_are_ours() -> None:
    small: Any = {"width": 8, "inner": 8, "depth": 1}
    state = checkpoints.weights(
        checkpoints.llava(language={**small, "rows": 9}, vision={**small, "width": 6, "patch": 4, "size": 8})
    )
    cells = torch.randn(5, 6, generator=torch.Generator().manual_seed(5))
    first, second = (
        lambda x, n=n: F.linear(x, state[f"model.mm_projector.{n}.weight"], state[f"model.mm_projector.{n}.bias"])
        for n in (0, 2)
    )
    projector = VisionProjector(channels=6, width=8)
    found = _under(adapt("projector", state), "multi_modal_projector.")
    ours = {name.replace("linear_1", "0").replace("linear_2", "2"): x for name, x in found.items()}
    projector.load_state_dict(ours, strict=True)
    assert _close(projector(cells), second(F.gelu(first(cells))))
