"""Configuration → modules. Configuration stops here and in `parts`: the modules take plain arguments."""

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.initialization import no_init_weights

from miras import tokens
from miras.data.encode import FORMATS
from miras.model.alignment import MaskProjector, SemanticAlignment
from miras.model.configuration import MirasConfig
from miras.model.language import Language
from miras.model.miras import Miras
from miras.model.parts import build_encoder, build_pixel_encoder
from miras.model.processing import MirasProcessor, byte_tokenizer
from miras.model.quantize import hush
from miras.model.sources import language_folder
from miras.model.unpadded import UNPADDED
from miras.model.vision import DualVisualEncoder, Fusion, VisionProjector

__all__ = ["build", "build_lm", "build_processor"]


def build(config: MirasConfig, processor: MirasProcessor, *, unset: Collection[str] = ()) -> Miras:
    """A model with random weights; its new tokens and LoRA are in place.

    The parts in `unset` (language, low, high, projector, pixel) are left without values, for weights that come next.
    """
    with _values("language" in unset):
        lm = build_lm(config)
    width = lm.config.hidden_size
    with _values("low" in unset):
        low = build_encoder(config.low)
    with _values("high" in unset):
        high = build_encoder(config.high) if config.high else None
    channels = high.channels if high else ()
    fusion = None
    if config.fusion != "none":
        fusion = Fusion(
            low=low.channels[-1], high=sum(_last_three(channels)), windowed=config.fusion == "windowed",
            cells=config.fusion_cells, residual=config.fusion_residual,
        )  # fmt: skip
    with _values("projector" in unset):
        projector = VisionProjector(channels=low.channels[-1], width=width, kind=config.projector)
    alignment = SemanticAlignment(
        query_width=config.query_width, heads=config.alignment_heads, residual=config.alignment_residual
    )
    language = Language(lm=_with_lora(lm, config.lora), new_tokens=len(tokens.SPECIAL))
    if not _on_meta(lm):
        language.set_rows(processor.meanings())
    mask_projector = MaskProjector(width=width, query_width=config.query_width)
    with _values("pixel" in unset):
        pixel = build_pixel_encoder(config, channels)
    return Miras(
        config,
        vision=DualVisualEncoder(
            low=low,
            high=high,
            fusion=fusion,
            projector=projector,
            positions=config.token_positions,
        ),
        language=language,
        mask_projector=mask_projector,
        alignment=None if config.alignment == "none" else alignment,
        pixel=pixel,
        processor=processor,
    )


def build_processor(config: MirasConfig) -> MirasProcessor:
    """The processor of a fresh model: the tokenizer of the language model's source, or bytes where it has none."""
    if config.sources.get("language"):
        return MirasProcessor.build(config, AutoTokenizer.from_pretrained(language_folder(config)))
    return MirasProcessor.build(config, byte_tokenizer(FORMATS[config.chat]))


def build_lm(config: MirasConfig) -> PreTrainedModel:
    """The bare language model with random weights."""
    options = dict(config.language)
    lm_config = AutoConfig.for_model(options.pop("model_type"), **options)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(lm_config, attn_implementation=UNPADDED)
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


def _last_three(channels: tuple[int, ...]) -> tuple[int, ...]:
    """The finest map is left to the pixel encoder: its cells are too many and too plain to name things by."""
    return channels[-3:]


def _on_meta(module: nn.Module) -> bool:
    return next(module.parameters()).device == torch.device("meta")
