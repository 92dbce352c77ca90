"""What the shapes of weights tell of a model: transformers' configuration for them, and whether they are all there."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    ConvNextConfig,
    ConvNextModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    SamConfig,
    SamModel,
)

from miras.errors import CheckpointError

__all__ = ["check", "clip_config", "configuration", "convnext_config", "llama_config", "sam_config"]

_SHOWN = 6
_HEAD_WIDTH = 64
"""Channels per attention head of every CLIP."""
_LLAMA = (
    "num_attention_heads", "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "rope_theta",
    "rope_scaling", "rope_parameters", "bos_token_id", "eos_token_id", "pad_token_id", "hidden_act", "head_dim",
)  # fmt: skip
"""What shapes do not tell of a LlamaForCausalLM."""


def configuration(part: str, state: Mapping[str, Tensor], given: Mapping[str, Any]) -> PreTrainedConfig:
    """The configuration of a part's transformers module; `given` is the original's config.json, which Llama needs.

    Raises CheckpointError where the weights that tell the sizes are missing.
    """
    makers = {"high": convnext_config, "pixel": sam_config, "low": clip_config}
    try:
        return llama_config(state, given) if part == "language" else makers[part](state)
    except KeyError as error:
        raise CheckpointError(
            f"{error.args[0]} should be among the weights, it is missing; fetch the whole checkpoint"
        ) from error


def check(part: str, state: Mapping[str, Tensor], config: PreTrainedConfig) -> None:
    """Raise CheckpointError unless the weights are, in name and shape, those of the part's transformers module."""
    kinds: dict[str, Any] = {
        "language": LlamaForCausalLM, "low": CLIPVisionModel, "high": ConvNextModel, "pixel": SamModel,
    }  # fmt: skip
    with torch.device("meta"):
        wanted: dict[str, Tensor] = kinds[part](config).state_dict()
    if part == "language" and config.tie_word_embeddings:
        wanted.pop("lm_head.weight", None)
    problems = [f"missing {name}" for name in wanted if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in wanted]
    problems += [
        f"{name} should be {tuple(wanted[name].shape)}, got {tuple(tensor.shape)}"
        for name, tensor in state.items()
        if name in wanted and wanted[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CheckpointError(
            f"the weights of {part} should be those of {kinds[part].__name__}: {'; '.join(problems[:_SHOWN])}{more}; "
            "fetch the whole checkpoint"
        )


def convnext_config(state: Mapping[str, Tensor]) -> ConvNextConfig:
    """Depths and widths of a ConvNextModel."""
    depths = [_count(state, f"encoder.stages.{n}.layers.") for n in range(_count(state, "encoder.stages."))]
    widths = [len(state[f"encoder.stages.{n}.layers.0.dwconv.weight"]) for n in range(len(depths))]
    # the originals divide by a variance plus 1e-6 in every norm, transformers' default for the last is 1e-12
    return ConvNextConfig(depths=depths, hidden_sizes=widths, num_stages=len(depths), layer_norm_eps=1e-6)


def clip_config(state: Mapping[str, Tensor]) -> CLIPVisionConfig:
    """Sizes of a CLIPVisionModel; each of its heads has 64 channels or is the only one."""
    patches = state["embeddings.patch_embedding.weight"]  # (C, 3, p, p)
    width, size = patches.shape[0], patches.shape[-1]
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=len(state["encoder.layers.0.mlp.fc1.weight"]),
        num_hidden_layers=_count(state, "encoder.layers."),
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        patch_size=size,
        image_size=isqrt(len(state["embeddings.position_embedding.weight"]) - 1) * size,
    )


def llama_config(state: Mapping[str, Tensor], given: Mapping[str, Any]) -> LlamaConfig:
    """A LlamaForCausalLM's: sizes from the weights, heads and positions from config.json."""
    given = given.get("text_config", given)
    if "num_attention_heads" not in given:
        raise CheckpointError(
            "config.json should lie beside a language model's weights: its attention heads cannot be told from them, "
            "got none; fetch it too"
        )
    rows, width = state["model.embed_tokens.weight"].shape
    return LlamaConfig(
        vocab_size=rows,
        hidden_size=width,
        intermediate_size=len(state["model.layers.0.mlp.gate_proj.weight"]),
        num_hidden_layers=_count(state, "model.layers."),
        tie_word_embeddings="lm_head.weight" not in state,
        **{name: given[name] for name in _LLAMA if given.get(name) is not None},
    )


def sam_config(state: Mapping[str, Tensor]) -> SamConfig:
    """A SamModel's: ViT-B, L, H or any other; its mask decoder has SAM's 8 heads."""
    _, grid, _, width = state["vision_encoder.pos_embed"].shape
    patch = state["vision_encoder.patch_embed.projection.weight"].shape[-1]
    layers = _count(state, "vision_encoder.layers.")
    reach = [len(state[f"vision_encoder.layers.{n}.attn.rel_pos_h"]) // 2 + 1 for n in range(layers)]
    channels = len(state["vision_encoder.neck.conv1.weight"])
    vision = {
        "hidden_size": width, "num_hidden_layers": layers, "image_size": grid * patch, "patch_size": patch,
        "num_attention_heads": width // state["vision_encoder.layers.0.attn.rel_pos_h"].shape[1],
        "mlp_dim": len(state["vision_encoder.layers.0.mlp.lin1.weight"]), "output_channels": channels,
        "window_size": min(reach), "global_attn_indexes": [n for n, far in enumerate(reach) if far > min(reach)],
        "num_pos_feats": state["shared_image_embedding.positional_embedding"].shape[1],
    }  # fmt: skip
    block = "mask_decoder.transformer.layers."
    decoder = {
        "hidden_size": channels, "num_hidden_layers": _count(state, block),
        "mlp_dim": len(state[f"{block}0.mlp.lin1.weight"]),
        "attention_downsample_rate": channels // len(state[f"{block}0.cross_attn_token_to_image.q_proj.weight"]),
        "num_multimask_outputs": len(state["mask_decoder.mask_tokens.weight"]) - 1,
        "iou_head_hidden_dim": len(state["mask_decoder.iou_prediction_head.proj_in.weight"]),
        "layer_norm_eps": 1e-5,  # the original's, where transformers' default is 1e-6
    }  # fmt: skip
    prompts = {
        "hidden_size": channels, "image_size": grid * patch, "patch_size": patch,
        "mask_input_channels": len(state["prompt_encoder.mask_embed.conv2.weight"]),
        "num_point_embeddings": _count(state, "prompt_encoder.point_embed."),
    }  # fmt: skip
    return SamConfig(vision_config=vision, mask_decoder_config=decoder, prompt_encoder_config=prompts)


def _count(state: Mapping[str, Tensor], before: str) -> int:
    """One more than the largest number behind some words; 0 where none stands there."""
    numbers = (name.removeprefix(before).partition(".")[0] for name in state if name.startswith(before))
    return max((int(number) + 1 for number in numbers if number.isdigit()), default=0)
