"""Encoders by the `kind` that a configuration names: what they are made of is imported where they are built.

A part's dictionary holds its `kind`, `size` and what its builder takes; everything else is passed on to the
configuration of transformers under its own names.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from miras.errors import ConfigError
from miras.model.backbones import COLOURS, ClipEncoder, ConvNextEncoder, HieraEncoder, InternVitEncoder
from miras.model.configuration import MirasConfig
from miras.model.decoder import MaskDecoder
from miras.model.efficientnet import EfficientNetLite
from miras.model.pixel import Pyramid, PyramidPixelEncoder
from miras.model.sam import SamPixelEncoder
from miras.model.sam2 import Sam2PixelEncoder

__all__ = ["build_encoder", "build_pixel_encoder"]

_Module = TypeVar("_Module", bound=nn.Module)
_OURS = {"kind", "size", "layer", "shuffle", "colours", "decoder"}


def build_encoder(part: dict[str, Any]) -> Any:
    """A backbone with random weights. Raises ConfigError for a kind or colours that are not known."""
    if (colours := part.get("colours", "imagenet")) not in COLOURS:
        raise ConfigError(f"colours must be one of {sorted(COLOURS)}, got {colours!r}")
    return _pick(part, _ENCODERS)(part, colours)


def build_pixel_encoder(config: MirasConfig, channels: tuple[int, ...]) -> Any:
    """A pixel encoder with its mask decoder; `channels` are those of the high-resolution encoder's maps."""
    return _pick(config.pixel, _PIXEL)(config.pixel, config.query_width, channels)


def _pick(part: dict[str, Any], known: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    if (kind := part.get("kind")) not in known:
        raise ConfigError(f"kind must be one of {sorted(known)}, got {kind!r}")
    return known[kind]


def _theirs(part: dict[str, Any]) -> dict[str, Any]:
    """What is left for transformers."""
    return {key: value for key, value in part.items() if key not in _OURS}


def _channels_last(module: _Module) -> _Module:
    """The memory order in which convolutions are fastest."""
    cast: Any = module  # torch's own types do not know this argument
    cast.to(memory_format=torch.channels_last)
    return module


def _efficientnet(part: dict[str, Any], _: str) -> EfficientNetLite:
    return _channels_last(EfficientNetLite(width=part["width"], depth=part["depth"]))


def _clip(part: dict[str, Any], colours: str) -> ClipEncoder:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    model = CLIPVisionModel(CLIPVisionConfig(image_size=part["size"], **_theirs(part)))
    return ClipEncoder(model=model, layer=part["layer"], colours=colours)


def _internvit(part: dict[str, Any], colours: str) -> InternVitEncoder:
    from transformers import InternVLVisionConfig, InternVLVisionModel

    model = InternVLVisionModel(InternVLVisionConfig(image_size=part["size"], **_theirs(part)))
    return InternVitEncoder(model=model, shuffle=part["shuffle"], colours=colours)


def _convnext(part: dict[str, Any], colours: str) -> ConvNextEncoder:
    from transformers import ConvNextBackbone, ConvNextConfig

    stages = ["stage1", "stage2", "stage3", "stage4"]
    options: dict[str, Any] = _theirs(part) | {"out_features": stages}
    model = ConvNextBackbone(ConvNextConfig(**options))
    # no pretrained ConvNeXt has these norms; the fusion has one of its own over all maps
    model.hidden_states_norms = nn.ModuleDict({stage: nn.Identity() for stage in stages})
    return ConvNextEncoder(model=model, colours=colours)


def _hiera(part: dict[str, Any], colours: str) -> HieraEncoder:
    from transformers import Sam2HieraDetConfig
    from transformers.models.sam2.modeling_sam2 import Sam2HieraDetModel

    config = Sam2HieraDetConfig(image_size=[part["size"]] * 2, **_theirs(part))
    return HieraEncoder(model=Sam2HieraDetModel(config), colours=colours)


def _pyramid(part: dict[str, Any], query_width: int, channels: tuple[int, ...]) -> PyramidPixelEncoder:
    encoder = PyramidPixelEncoder(
        pyramid=Pyramid(
            channels=channels, width=part["width"], query_width=query_width,
            fine_width=part["fine_width"], depth=part["context"],
        ),
        mask_decoder=MaskDecoder(
            query_width=query_width, width=part["decoder_width"], fine_width=part["fine_width"],
            heads=part["heads"], depth=part["depth"],
        ),
    )  # fmt: skip
    return _channels_last(encoder)


def _sam(part: dict[str, Any], query_width: int, _: tuple[int, ...]) -> SamPixelEncoder:
    from transformers import SamMaskDecoderConfig, SamVisionConfig
    from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPositionalEmbedding, SamVisionEncoder

    vision = SamVisionConfig(
        image_size=part["size"], output_channels=query_width, num_pos_feats=query_width // 2, **_theirs(part)
    )
    decoder = SamMaskDecoderConfig(hidden_size=query_width, **part.get("decoder", {}))
    vision._attn_implementation = decoder._attn_implementation = "sdpa"
    return SamPixelEncoder(
        encoder=SamVisionEncoder(vision), decoder=SamMaskDecoder(decoder), positions=SamPositionalEmbedding(vision)
    )


def _sam2(part: dict[str, Any], query_width: int, channels: tuple[int, ...]) -> Sam2PixelEncoder:
    from transformers import Sam2MaskDecoderConfig, Sam2PromptEncoderConfig, Sam2VisionConfig
    from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder, Sam2PositionalEmbedding, Sam2VisionNeck

    neck = Sam2VisionConfig(backbone_channel_list=list(channels[::-1]), fpn_hidden_size=query_width, **_theirs(part))
    decoder = Sam2MaskDecoderConfig(
        hidden_size=query_width, dynamic_multimask_via_stability=False, **part.get("decoder", {})
    )
    decoder._attn_implementation = "sdpa"
    return Sam2PixelEncoder(
        neck=Sam2VisionNeck(neck),
        decoder=Sam2MaskDecoder(decoder),
        positions=Sam2PositionalEmbedding(Sam2PromptEncoderConfig(hidden_size=query_width)),
    )


_ENCODERS: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "efficientnet-lite": _efficientnet,
    "clip": _clip,
    "internvit": _internvit,
    "convnext": _convnext,
    "hiera": _hiera,
}
_PIXEL: dict[str, Callable[[dict[str, Any], int, tuple[int, ...]], Any]] = {
    "pyramid": _pyramid,
    "sam": _sam,
    "sam2": _sam2,
}
