"""Configuration → modules. Configuration stops here: the modules take plain arguments.

What only some models have (CLIP, ConvNeXt, SAM, LoRA) is imported where it is built, to keep nano small.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.initialization import no_init_weights

from miras import tokens
from miras.data.encode import CHATML, VICUNA
from miras.errors import ConfigError
from miras.model import pretrained
from miras.model.alignment import MaskProjector, SemanticAlignment
from miras.model.configuration import MirasConfig
from miras.model.decoder import MaskDecoder
from miras.model.efficientnet import EfficientNetLite
from miras.model.language import Language
from miras.model.miras import Miras
from miras.model.pixel import Pyramid, PyramidPixelEncoder
from miras.model.processing import MirasProcessor, byte_tokenizer
from miras.model.quantize import hush
from miras.model.sam import SamPixelEncoder
from miras.model.vision import ClipEncoder, ConvNextEncoder, DualVisualEncoder, Fusion, VisionProjector

__all__ = ["build", "build_lm", "build_processor"]


_Module = TypeVar("_Module", bound=nn.Module)


def build(config: MirasConfig, processor: MirasProcessor, *, unset: Collection[str] = ()) -> Miras:
    """A model with random weights; its new tokens and LoRA are in place.

    The parts in `unset` (language, low, high) are left without values, for weights that are loaded next.
    """
    with _values("language" in unset):
        lm = build_lm(config)
    width = lm.config.hidden_size
    with _values("low" in unset):
        low = _ENCODERS[_kind(config.low, _ENCODERS)](_rest(config.low))
    with _values("high" in unset):
        high = _ENCODERS[_kind(config.high, _ENCODERS)](_rest(config.high))
    fusion = Fusion(
        low=low.channels[-1], high=sum(_last_three(high.channels)), windowed=config.fusion == "windowed",
        cells=config.fusion_cells, residual=config.fusion_residual,
    )  # fmt: skip
    projector = VisionProjector(channels=low.channels[-1], width=width)
    alignment = SemanticAlignment(
        query_width=config.query_width, heads=config.alignment_heads, residual=config.alignment_residual
    )
    language = Language(lm=_with_lora(lm, config.lora), new_tokens=len(tokens.SPECIAL))
    if not _on_meta(lm):
        language.set_rows(processor.meanings())
    return Miras(
        config,
        vision=DualVisualEncoder(
            low=low,
            high=high,
            fusion=None if config.fusion == "none" else fusion,
            projector=projector,
            positions=config.token_positions,
        ),
        language=language,
        mask_projector=MaskProjector(width=width, query_width=config.query_width),
        alignment=None if config.alignment == "none" else alignment,
        pixel=_PIXEL[_kind(config.pixel, _PIXEL)](_rest(config.pixel), config, high.channels),
        processor=processor,
    )


def build_processor(config: MirasConfig) -> MirasProcessor:
    """The processor of a fresh model: the pinned language model's tokenizer, or bytes where none is pinned."""
    if config.sources.get("language"):
        return MirasProcessor.build(config, AutoTokenizer.from_pretrained(pretrained.smollm2()))
    return MirasProcessor.build(config, byte_tokenizer({"chatml": CHATML, "vicuna": VICUNA}[config.chat]))


def build_lm(config: MirasConfig) -> PreTrainedModel:
    """The bare language model with random weights."""
    options = dict(config.language)
    lm_config = AutoConfig.for_model(options.pop("model_type"), **options)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(lm_config, attn_implementation="sdpa")
    return model


def _with_lora(lm: PreTrainedModel, lora: dict[str, Any]) -> PreTrainedModel:
    if not lora:
        return lm
    hush()  # peft looks whether bitsandbytes is there, which then speaks
    from peft import LoraConfig, inject_adapter_in_model

    settings = LoraConfig(
        r=lora["r"], lora_alpha=lora["alpha"], lora_dropout=lora["dropout"], target_modules=list(lora["targets"])
    )
    inject_adapter_in_model(settings, lm)
    return lm


def _values(unset: bool) -> AbstractContextManager[None]:
    return no_init_weights() if unset else nullcontext()


def _kind(part: dict[str, Any], known: dict[str, Any]) -> str:
    if (kind := part.get("kind")) not in known:
        raise ConfigError(f"kind must be one of {sorted(known)}, got {kind!r}")
    return str(kind)


def _rest(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "kind"}


def _last_three(channels: tuple[int, ...]) -> tuple[int, ...]:
    """The finest map is left to the pixel encoder: its cells are too many and too plain to name things by."""
    return channels[-3:]


def _channels_last(module: _Module) -> _Module:
    """The memory order in which convolutions are fastest."""
    cast: Any = module  # torch's own types do not know this argument
    cast.to(memory_format=torch.channels_last)
    return module


def _on_meta(module: nn.Module) -> bool:
    return next(module.parameters()).device == torch.device("meta")


def _efficientnet(part: dict[str, Any]) -> Any:
    return _channels_last(EfficientNetLite(width=part["width"], depth=part["depth"]))


def _clip(part: dict[str, Any]) -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    options = {key: value for key, value in part.items() if key not in ("size", "layer")}
    return ClipEncoder(model=CLIPVisionModel(CLIPVisionConfig(image_size=part["size"], **options)), layer=part["layer"])


def _convnext(part: dict[str, Any]) -> Any:
    from transformers import ConvNextBackbone, ConvNextConfig

    stages = ["stage1", "stage2", "stage3", "stage4"]
    options: dict[str, Any] = {key: value for key, value in part.items() if key != "size"}
    return ConvNextEncoder(model=ConvNextBackbone(ConvNextConfig(**options | {"out_features": stages})))


def _pyramid(part: dict[str, Any], config: MirasConfig, channels: tuple[int, ...]) -> PyramidPixelEncoder:
    encoder = PyramidPixelEncoder(
        pyramid=Pyramid(
            channels=channels, width=part["width"], query_width=config.query_width,
            fine_width=part["fine_width"], depth=part["context"],
        ),
        mask_decoder=MaskDecoder(
            query_width=config.query_width, width=part["decoder_width"], fine_width=part["fine_width"],
            heads=part["heads"], depth=part["depth"],
        ),
    )  # fmt: skip
    return _channels_last(encoder)


def _sam(part: dict[str, Any], config: MirasConfig, channels: tuple[int, ...]) -> SamPixelEncoder:
    from transformers import SamMaskDecoderConfig, SamVisionConfig
    from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPositionalEmbedding, SamVisionEncoder

    options = {key: value for key, value in part.items() if key != "size"}
    vision = SamVisionConfig(image_size=part["size"], output_channels=config.query_width, **options)
    vision._attn_implementation = "sdpa"
    decoder = SamMaskDecoderConfig(hidden_size=config.query_width)
    decoder._attn_implementation = "sdpa"
    return SamPixelEncoder(
        encoder=SamVisionEncoder(vision), decoder=SamMaskDecoder(decoder), positions=SamPositionalEmbedding(vision)
    )


_ENCODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "efficientnet-lite": _efficientnet,
    "clip": _clip,
    "convnext": _convnext,
}
_PIXEL: dict[str, Callable[[dict[str, Any], MirasConfig, tuple[int, ...]], Any]] = {"pyramid": _pyramid, "sam": _sam}
