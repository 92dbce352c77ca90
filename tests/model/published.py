"""Small stand-ins for published checkpoints, written by transformers itself in its own layout."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    CLIPVisionConfig,
    ConvNextConfig,
    ConvNextForImageClassification,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    Qwen3Config,
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
    SamConfig,
    SamMaskDecoderConfig,
    SamModel,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from miras.data.encode import FORMATS
from miras.model.backbones import COLOURS
from miras.model.configuration import MirasConfig
from miras.model.processing import byte_tokenizer

_OURS = {"kind", "size", "layer", "shuffle", "colours", "decoder", "model_type"}


def stir(module: nn.Module, seed: int) -> None:
    """Random values everywhere, also where a new model has zeros and ones, which would hide their use."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            spread = 0.3 if weight.ndim < 2 or "embed" in name else weight[0].numel() ** -0.5
            offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weight.copy_(offset + spread * torch.randn(weight.shape, generator=generator))


def _theirs(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in _OURS}


def llava(config: MirasConfig) -> LlavaForConditionalGeneration:
    """LLaVA with the sizes of a configuration's parts."""
    options: dict[str, Any] = {
        "vision_config": CLIPVisionConfig(image_size=config.low["size"], **_theirs(config.low)),
        "text_config": LlamaConfig(**_theirs(config.language)),
        "image_token_id": 5,
    }
    return LlavaForConditionalGeneration(LlavaConfig(**options, vision_feature_layer=-2)).eval()


def internvl(config: MirasConfig) -> InternVLForConditionalGeneration:
    """InternVL, likewise."""
    vision = InternVLVisionConfig(image_size=config.low["size"], **_theirs(config.low))
    text = Qwen3Config(**_theirs(config.language))
    return InternVLForConditionalGeneration(
        InternVLConfig(vision_config=vision, text_config=text, image_token_id=5, tie_word_embeddings=False)
    ).eval()


def convnext(config: MirasConfig) -> ConvNextForImageClassification:
    """ConvNeXt as it is published, with its classifier."""
    options: dict[str, Any] = _theirs(config.high) | {"num_labels": 3}
    return ConvNextForImageClassification(ConvNextConfig(**options)).eval()


def sam(config: MirasConfig) -> SamModel:
    """SAM, likewise."""
    width, size = config.query_width, config.pixel["size"]
    vision = SamVisionConfig(image_size=size, output_channels=width, num_pos_feats=width // 2, **_theirs(config.pixel))
    prompting: dict[str, Any] = {"hidden_size": width, "image_size": size, "image_embedding_size": size // 16}
    prompts = SamPromptEncoderConfig(**prompting)
    decoder = SamMaskDecoderConfig(hidden_size=width, **config.pixel.get("decoder", {}))
    return SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)).eval()


def sam2(config: MirasConfig) -> Sam2Model:
    """SAM 2 with the high-resolution encoder as its backbone, and one mask token that answers."""
    part, width, size = _theirs(config.high), config.query_width, config.high["size"]
    vision = Sam2VisionConfig(
        backbone_config=Sam2HieraDetConfig(image_size=[size] * 2, **part),
        backbone_channel_list=part["embed_dim_per_stage"][::-1],
        backbone_feature_sizes=[[size // stride] * 2 for stride in (4, 8, 16)],
        fpn_hidden_size=width,
    )
    decoder = Sam2MaskDecoderConfig(
        hidden_size=width, dynamic_multimask_via_stability=False, **config.pixel.get("decoder", {})
    )
    prompts = Sam2PromptEncoderConfig(hidden_size=width, image_size=size)
    return Sam2Model(
        Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    ).eval()


def publish(model: PreTrainedModel, folder: Path, *, colours: str, chat: str | None = None) -> Path:
    """Write a checkpoint in several shards, with what says how its colours were normalised, and a tokenizer."""
    model.save_pretrained(folder, max_shard_size="60KB")
    mean, std = COLOURS[colours]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    if chat:
        tokenizer = byte_tokenizer(FORMATS[chat])
        tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
        tokenizer.save_pretrained(folder)
    return folder
