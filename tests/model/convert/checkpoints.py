"""What true checkpoints hold: every name and shape, spelled out from depths and widths, and random weights for them.

The rules are those of the releases: OpenCLIP's convnext_large_d_320 is `openclip()`, Meta's sam_vit_b, l and h are
`sam(**SAM["b"])` and so on, liuhaotian/llava-v1.6-vicuna-7b is `llava()`, and xinlai/LISA-7B-v1 is `lisa()`.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "LARGE", "SAM", "TINY_SAM", "clip_vision", "lisa", "llama", "llava", "openai_clip", "openclip", "sam", "sam2",
    "timm", "weights",
]  # fmt: skip

Shapes = dict[str, tuple[int, ...]]
_NORM = re.compile(r"(norm\w*|ln_\w+)\.weight$")

LARGE: dict[str, Any] = {"depths": (3, 3, 27, 3), "widths": (192, 384, 768, 1536)}
"""ConvNeXt-L."""
SAM: dict[str, dict[str, Any]] = {
    "b": {"width": 768, "depth": 12, "heads": 12, "far": (2, 5, 8, 11)},
    "l": {"width": 1024, "depth": 24, "heads": 16, "far": (5, 11, 17, 23)},
    "h": {"width": 1280, "depth": 32, "heads": 16, "far": (7, 15, 23, 31)},
}
TINY_SAM: dict[str, Any] = {
    "width": 16, "depth": 3, "heads": 2, "far": (1,), "grid": 5, "patch": 4, "window": 2, "channels": 32, "inner": 24,
}  # fmt: skip


def weights(shapes: Mapping[str, tuple[int, ...]], *, seed: int = 0, scale: float = 0.2) -> dict[str, Tensor]:
    """Random weights; norms lie around one, so that no signal dies on its way through."""
    generator = torch.Generator().manual_seed(seed)
    state = {name: torch.randn(shape, generator=generator) * scale for name, shape in shapes.items()}
    return {name: x + 1 if _NORM.search(name) else x for name, x in state.items()}


def _layer(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def timm(*, depths: tuple[int, ...], widths: tuple[int, ...], classes: int = 0) -> Shapes:
    """timm's ConvNeXt."""
    found = _layer("stem.0", widths[0], 3, 4, 4) | _layer("stem.1", widths[0])
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            before = widths[stage - 1]
            found |= _layer(f"stages.{stage}.downsample.0", before)
            found |= _layer(f"stages.{stage}.downsample.1", width, before, 2, 2)
        for block in range(depth):
            name = f"stages.{stage}.blocks.{block}."
            found |= {f"{name}gamma": (width,)} | _layer(f"{name}conv_dw", width, 1, 7, 7)
            found |= _layer(f"{name}norm", width) | _layer(f"{name}mlp.fc1", 4 * width, width)
            found |= _layer(f"{name}mlp.fc2", width, 4 * width)
    return found | _layer("head.norm", widths[-1]) | (_layer("head.fc", classes, widths[-1]) if classes else {})


def _text(width: int, blocks: int) -> Shapes:
    """The text tower of OpenCLIP and OpenAI."""
    found: Shapes = {"positional_embedding": (77, width), "text_projection": (width, width), "logit_scale": ()}
    found |= {"token_embedding.weight": (49408, width)} | _layer("ln_final", width)
    for block in range(blocks):
        found |= _resblock(f"transformer.resblocks.{block}.", width)
    return found


def _resblock(name: str, width: int) -> Shapes:
    found = _layer(f"{name}ln_1", width) | _layer(f"{name}ln_2", width) | _layer(f"{name}attn.out_proj", width, width)
    found |= {f"{name}attn.in_proj_weight": (3 * width, width), f"{name}attn.in_proj_bias": (3 * width,)}
    return found | _layer(f"{name}mlp.c_fc", 4 * width, width) | _layer(f"{name}mlp.c_proj", width, 4 * width)


def openclip(*, depths: tuple[int, ...], widths: tuple[int, ...], text: int = 768, blocks: int = 16) -> Shapes:
    """OpenCLIP's `convnext_large_d_320`: trunk and head of the image tower, and the text tower."""
    found = {f"visual.trunk.{name}": shape for name, shape in timm(depths=depths, widths=widths).items()}
    found |= _layer("visual.head.mlp.fc1", 2 * text, widths[-1]) | {"visual.head.mlp.fc2.weight": (text, 2 * text)}
    return found | _text(text, blocks)


def openai_clip(
    *, width: int = 1024, depth: int = 24, patch: int = 14, size: int = 224, text: int = 768, blocks: int = 12
) -> Shapes:  # fmt: skip
    """OpenAI's CLIP, by default ViT-L/14."""
    found: Shapes = {"visual.class_embedding": (width,), "visual.proj": (width, text)}
    found |= {"visual.positional_embedding": ((size // patch) ** 2 + 1, width)}
    found |= {"visual.conv1.weight": (width, 3, patch, patch)}
    found |= _layer("visual.ln_pre", width) | _layer("visual.ln_post", width)
    for block in range(depth):
        found |= _resblock(f"visual.transformer.resblocks.{block}.", width)
    return found | _text(text, blocks)


def sam(
    *, width: int, depth: int, heads: int, far: tuple[int, ...], grid: int = 64, patch: int = 16, window: int = 14,
    channels: int = 256, inner: int = 2048,
) -> Shapes:  # fmt: skip
    """SAM's original release."""
    eye = "image_encoder."
    found: Shapes = {f"{eye}pos_embed": (1, grid, grid, width)} | _layer(
        f"{eye}patch_embed.proj", width, 3, patch, patch
    )
    for block in range(depth):
        name, reach = f"{eye}blocks.{block}.", 2 * (grid if block in far else window) - 1
        found |= _layer(f"{name}norm1", width) | _layer(f"{name}norm2", width)
        found |= {f"{name}attn.rel_pos_{axis}": (reach, width // heads) for axis in "hw"}
        found |= _layer(f"{name}attn.qkv", 3 * width, width) | _layer(f"{name}attn.proj", width, width)
        found |= _layer(f"{name}mlp.lin1", 4 * width, width) | _layer(f"{name}mlp.lin2", width, 4 * width)
    found |= {f"{eye}neck.0.weight": (channels, width, 1, 1), f"{eye}neck.2.weight": (channels, channels, 3, 3)}
    found |= _layer(f"{eye}neck.1", channels) | _layer(f"{eye}neck.3", channels)
    ask = "prompt_encoder."
    found |= {f"{ask}pe_layer.positional_encoding_gaussian_matrix": (2, channels // 2)}
    found |= {f"{ask}point_embeddings.{n}.weight": (1, channels) for n in range(4)}
    found |= {f"{ask}{name}.weight": (1, channels) for name in ("not_a_point_embed", "no_mask_embed")}
    found |= _layer(f"{ask}mask_downscaling.0", 4, 1, 2, 2) | _layer(f"{ask}mask_downscaling.1", 4)
    found |= _layer(f"{ask}mask_downscaling.3", 16, 4, 2, 2) | _layer(f"{ask}mask_downscaling.4", 16)
    return found | _layer(f"{ask}mask_downscaling.6", channels, 16, 1, 1) | _decoder("mask_decoder.", channels, inner)


def _decoder(name: str, width: int, inner: int) -> Shapes:
    def attention(where: str, half: int) -> Shapes:
        into = {k: v for side in "qkv" for k, v in _layer(f"{where}.{side}_proj", half, width).items()}
        return into | _layer(f"{where}.out_proj", width, half)

    def perceptron(where: str, out: int, hidden: int) -> Shapes:
        ends = _layer(f"{where}.layers.0", hidden, width) | _layer(f"{where}.layers.2", out, hidden)
        return ends | _layer(f"{where}.layers.1", hidden, hidden)

    found: Shapes = {f"{name}iou_token.weight": (1, width), f"{name}mask_tokens.weight": (4, width)}
    for layer in range(2):
        block = f"{name}transformer.layers.{layer}."
        found |= attention(f"{block}self_attn", width)
        found |= attention(f"{block}cross_attn_token_to_image", width // 2)
        found |= attention(f"{block}cross_attn_image_to_token", width // 2)
        found |= _layer(f"{block}mlp.lin1", inner, width) | _layer(f"{block}mlp.lin2", width, inner)
        found |= {k: v for n in range(1, 5) for k, v in _layer(f"{block}norm{n}", width).items()}
    found |= attention(f"{name}transformer.final_attn_token_to_image", width // 2)
    found |= _layer(f"{name}transformer.norm_final_attn", width)
    up = f"{name}output_upscaling."
    found |= {f"{up}0.weight": (width, width // 4, 2, 2), f"{up}0.bias": (width // 4,)} | _layer(f"{up}1", width // 4)
    found |= {f"{up}3.weight": (width // 4, width // 8, 2, 2), f"{up}3.bias": (width // 8,)}
    for mask in range(4):
        found |= perceptron(f"{name}output_hypernetworks_mlps.{mask}", width // 8, width)
    return found | perceptron(f"{name}iou_prediction_head", 4, 256)


def sam2(*, width: int = 96, blocks: tuple[int, ...] = (1, 2, 7, 2), inner: int = 2048) -> Shapes:
    """SAM 2's original release, by default `sam2_hiera_tiny`; of its memory only what stands for it here."""
    eye, channels, block = "image_encoder.trunk.", 256, 0
    found: Shapes = {f"{eye}pos_embed": (1, width, 7, 7), f"{eye}pos_embed_window": (1, width, 8, 8)}
    found |= _layer(f"{eye}patch_embed.proj", width, 3, 7, 7)
    for stage, count in enumerate(blocks):
        for place in range(count):
            wide = width * 2**stage
            before = wide // 2 if stage and not place else wide
            name, block = f"{eye}blocks.{block}.", block + 1
            found |= _layer(f"{name}norm1", before) | _layer(f"{name}norm2", wide)
            found |= _layer(f"{name}attn.qkv", 3 * wide, before) | _layer(f"{name}attn.proj", wide, wide)
            found |= _layer(f"{name}mlp.layers.0", 4 * wide, wide) | _layer(f"{name}mlp.layers.1", wide, 4 * wide)
            found |= _layer(f"{name}proj", wide, before) if before != wide else {}
    for n in range(4):
        found |= _layer(f"image_encoder.neck.convs.{n}.conv", channels, width * 2 ** (3 - n), 1, 1)
    marks = sam(width=8, depth=0, heads=1, far=(), channels=channels, inner=inner)
    for name, shape in marks.items():
        if not name.startswith("image_encoder."):
            found["sam_" + name.replace(".mlp.lin1", ".mlp.layers.0").replace(".mlp.lin2", ".mlp.layers.1")] = shape
    ask = "sam_mask_decoder."
    found |= _layer(f"{ask}conv_s0", 32, channels, 1, 1) | _layer(f"{ask}conv_s1", 64, channels, 1, 1)
    found |= {f"{ask}obj_score_token.weight": (1, channels), "no_mem_embed": (1, 1, channels)}
    for n, out in enumerate((channels, channels, 1)):
        found |= _layer(f"{ask}pred_obj_score_head.layers.{n}", out, channels)
    return found | {"maskmem_tpos_enc": (7, 1, 1, 64), "memory_attention.norm.weight": (channels,)}


def llama(*, width: int = 4096, inner: int = 11008, depth: int = 32, rows: int = 32000) -> Shapes:
    """Vicuna-7B, and the language model of LLaVA and LISA."""
    found: Shapes = {"model.embed_tokens.weight": (rows, width), "lm_head.weight": (rows, width)}
    found["model.norm.weight"] = (width,)
    for layer in range(depth):
        name = f"model.layers.{layer}."
        found |= {f"{name}self_attn.{side}_proj.weight": (width, width) for side in "qkvo"}
        found |= {f"{name}mlp.{side}_proj.weight": (inner, width) for side in ("gate", "up")}
        found |= {f"{name}mlp.down_proj.weight": (width, inner)}
        found |= {f"{name}{which}_layernorm.weight": (width,) for which in ("input", "post_attention")}
    return found


def clip_vision(
    *, width: int = 1024, inner: int = 4096, depth: int = 24, patch: int = 14, size: int = 336
) -> Shapes:  # fmt: skip
    """CLIP-L/14's image tower without a prefix."""
    found: Shapes = {
        "embeddings.class_embedding": (width,),
        "embeddings.patch_embedding.weight": (width, 3, patch, patch),
        "embeddings.position_embedding.weight": ((size // patch) ** 2 + 1, width),
    }
    found |= _layer("pre_layrnorm", width) | _layer("post_layernorm", width)
    for layer in range(depth):
        name = f"encoder.layers.{layer}."
        found |= {
            k: v
            for side in ("q", "k", "v", "out")
            for k, v in _layer(f"{name}self_attn.{side}_proj", width, width).items()
        }
        found |= _layer(f"{name}layer_norm1", width) | _layer(f"{name}layer_norm2", width)
        found |= _layer(f"{name}mlp.fc1", inner, width) | _layer(f"{name}mlp.fc2", width, inner)
    return found


def llava(*, language: dict[str, Any] | None = None, vision: dict[str, Any] | None = None) -> Shapes:
    """LLaVA 1.6 on Vicuna-7B, as its authors release it."""
    found = llama(**(language or {}))
    seen, width = clip_vision(**(vision or {})), found["model.norm.weight"][0]
    found |= {f"model.vision_tower.vision_tower.vision_model.{name}": shape for name, shape in seen.items()}
    found |= _layer("model.mm_projector.0", width, seen["embeddings.class_embedding"][0])
    return found | _layer("model.mm_projector.2", width, width) | {"model.image_newline": (width,)}


def lisa(
    *, language: dict[str, Any] | None = None, seen: int = 1024, marks: dict[str, Any] | None = None
) -> Shapes:  # fmt: skip
    """LISA-7B-v1: LLaMA with 4 more tokens, one linear projector, SAM ViT-H and the projector of [SEG]."""
    found = llama(**({"rows": 32004} | (language or {})))
    eye = sam(**(marks or SAM["h"]))
    width, query = found["model.norm.weight"][0], eye["mask_decoder.iou_token.weight"][1]
    found |= {f"model.visual_model.{name}": shape for name, shape in eye.items()}
    found |= _layer("model.mm_projector", width, seen) | _layer("model.text_hidden_fcs.0.0", width, width)
    return found | _layer("model.text_hidden_fcs.0.2", query, width)
