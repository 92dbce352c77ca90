"""The original models once more in plain torch, by their papers and under their own names: what outputs should be.

ConvNeXt as in timm (Liu et al. 2022), SAM's image encoder and mask decoder (Kirillov et al. 2023).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["convnext", "mask_decoder", "sam_encoder"]

State = Mapping[str, Tensor]


def _linear(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def _norm(state: State, name: str, x: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)


def _map_norm(state: State, name: str, x: Tensor) -> Tensor:
    """Over the channels of (I, C, h, w)."""
    centred = x - x.mean(1, keepdim=True)
    scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    return scaled * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]


def convnext(state: State, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
    """Pixels (I, 3, H, W) → the map of each stage, and the pooled and normed last one (I, C)."""
    x = F.conv2d(pixels, state["stem.0.weight"], state["stem.0.bias"], stride=4)
    x = _map_norm(state, "stem.1", x)
    maps: list[Tensor] = []
    while any(name.startswith(f"stages.{len(maps)}.") for name in state):
        stage = f"stages.{len(maps)}"
        if maps:
            x = _map_norm(state, f"{stage}.downsample.0", x)
            x = F.conv2d(x, state[f"{stage}.downsample.1.weight"], state[f"{stage}.downsample.1.bias"], stride=2)
        block = 0
        while (name := f"{stage}.blocks.{block}") + ".gamma" in state:
            dw, bias = state[f"{name}.conv_dw.weight"], state[f"{name}.conv_dw.bias"]
            y = F.conv2d(x, dw, bias, padding=3, groups=len(dw)).permute(0, 2, 3, 1)
            y = _linear(state, f"{name}.mlp.fc1", _norm(state, f"{name}.norm", y, 1e-6))
            y = _linear(state, f"{name}.mlp.fc2", F.gelu(y)) * state[f"{name}.gamma"]
            x = x + y.permute(0, 3, 1, 2)
            block += 1
        maps.append(x)
    return maps, _norm(state, "head.norm", x.mean((2, 3)), 1e-6)


def sam_encoder(state: State, pixels: Tensor, *, heads: int) -> Tensor:
    """Pixels (I, 3, H, W) → features (I, C, h, w); each block's reach is told by its relative positions."""
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    x = F.conv2d(pixels, weight, bias, stride=weight.shape[-1]).permute(0, 2, 3, 1) + state["pos_embed"]
    block = 0
    while (name := f"blocks.{block}") + ".attn.qkv.weight" in state:
        size = (len(state[f"{name}.attn.rel_pos_h"]) + 1) // 2
        y = _norm(state, f"{name}.norm1", x, 1e-6)
        high, wide = -(-x.shape[1] // size) * size, -(-x.shape[2] // size) * size
        y = F.pad(y, (0, 0, 0, wide - x.shape[2], 0, high - x.shape[1]))
        out = torch.empty_like(y)
        for top in range(0, high, size):
            for left in range(0, wide, size):
                window = slice(top, top + size), slice(left, left + size)
                out[:, *window] = _windowed(state, f"{name}.attn", y[:, *window], heads)
        x = x + out[:, : x.shape[1], : x.shape[2]]
        y = F.gelu(_linear(state, f"{name}.mlp.lin1", _norm(state, f"{name}.norm2", x, 1e-6)))
        x = x + _linear(state, f"{name}.mlp.lin2", y)
        block += 1
    x = _map_norm(state, "neck.1", F.conv2d(x.permute(0, 3, 1, 2), state["neck.0.weight"]))
    return _map_norm(state, "neck.3", F.conv2d(x, state["neck.2.weight"], padding=1))


def _windowed(state: State, name: str, x: Tensor, heads: int) -> Tensor:
    """Attention within a window (I, s, s, C): each pair's score has a term of its distance along either axis."""
    images, size, _, width = x.shape
    q, k, v = (
        part.reshape(images, size * size, heads, width // heads).transpose(1, 2)
        for part in _linear(state, f"{name}.qkv", x).chunk(3, -1)
    )  # (I, heads, s · s, c)
    place = torch.arange(size * size)
    rows = state[f"{name}.rel_pos_h"][place[:, None] // size - place // size + size - 1]  # (s · s, s · s, c)
    columns = state[f"{name}.rel_pos_w"][place[:, None] % size - place % size + size - 1]
    scores = q @ k.transpose(-1, -2) / (width // heads) ** 0.5 + torch.einsum("ihqc,qkc->ihqk", q, rows + columns)
    return _linear(state, f"{name}.proj", (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))


def mask_decoder(
    state: State, features: Tensor, where: Tensor, prompts: Tensor, dense: Tensor
) -> tuple[Tensor, Tensor]:
    """Features, their positions and the dense prompt (I, C, h, w), prompts (I, n, C) → logits (I, H, W), IoU (I,)."""
    tokens = torch.cat([state["iou_token.weight"], state["mask_tokens.weight"]])
    tokens = torch.cat([tokens.expand(len(prompts), -1, -1), prompts], 1)
    height, width = features.shape[-2:]
    image, places = ((x.flatten(2).transpose(1, 2)) for x in (features + dense, where))
    x, asked = tokens, tokens
    for layer in range(2):
        name = f"transformer.layers.{layer}."
        mixed = x + asked if layer else x
        y = _attention(state, f"{name}self_attn", mixed, mixed, x)
        x = _norm(state, f"{name}norm1", x + y if layer else y, 1e-5)
        y = _attention(state, f"{name}cross_attn_token_to_image", x + asked, image + places, image)
        x = _norm(state, f"{name}norm2", x + y, 1e-5)
        y = _linear(state, f"{name}mlp.lin2", F.relu(_linear(state, f"{name}mlp.lin1", x)))
        x = _norm(state, f"{name}norm3", x + y, 1e-5)
        y = _attention(state, f"{name}cross_attn_image_to_token", image + places, x + asked, x)
        image = _norm(state, f"{name}norm4", image + y, 1e-5)
    y = _attention(state, "transformer.final_attn_token_to_image", x + asked, image + places, image)
    x = _norm(state, "transformer.norm_final_attn", x + y, 1e-5)
    map_ = image.transpose(1, 2).unflatten(2, (height, width))
    map_ = F.conv_transpose2d(map_, state["output_upscaling.0.weight"], state["output_upscaling.0.bias"], stride=2)
    map_ = F.gelu(_map_norm(state, "output_upscaling.1", map_))
    map_ = F.conv_transpose2d(map_, state["output_upscaling.3.weight"], state["output_upscaling.3.bias"], stride=2)
    first = _perceptron(state, "output_hypernetworks_mlps.0", x[:, 1])  # (I, c)
    logits = torch.einsum("ic,ichw->ihw", first, F.gelu(map_))
    return logits, _perceptron(state, "iou_prediction_head", x[:, 0])[:, 0]


def _perceptron(state: State, name: str, x: Tensor) -> Tensor:
    x = F.relu(_linear(state, f"{name}.layers.0", x))
    return _linear(state, f"{name}.layers.2", F.relu(_linear(state, f"{name}.layers.1", x)))


def _attention(state: State, name: str, query: Tensor, key: Tensor, value: Tensor, heads: int = 8) -> Tensor:
    q, k, v = (
        _linear(state, f"{name}.{side}_proj", x).unflatten(-1, (heads, -1)).transpose(1, 2)
        for side, x in zip("qkv", (query, key, value), strict=True)
    )
    seen = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return _linear(state, f"{name}.out_proj", seen.transpose(1, 2).flatten(2))
