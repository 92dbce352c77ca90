"""What a stage starts from, what it trains, and how its batches run through the model."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from miras.config import PARTS, TrainConfig, plain
from miras.data.collate import Collator
from miras.errors import ConfigError
from miras.model.checkpoint import EMBEDDED, fresh, load
from miras.model.configuration import preset
from miras.model.efficientnet import EfficientNetLite
from miras.model.miras import Miras
from miras.model.processing import MirasProcessor
from miras.train.naming import Naming
from miras.train.phrases import PhraseStates
from miras.train.state import LAST, lay_over, read
from miras.types import Batch, ModelOutput, Sample

__all__ = [
    "CachedText",
    "JointText",
    "TextMode",
    "choose_parts",
    "frozen_stages",
    "halve_frozen",
    "recompute",
    "start_model",
]

_BLOCKS = {"_Block", "CLIPEncoderLayer", "ConvNextLayer", "SamVisionLayer"}
"""The repeated modules of encoders: what one of them computes inside is not kept for the backward pass."""

_HALF = re.compile(r"language\.lm\.|vision\.(low|high)\.model\.|pixel\.encoder\.")
"""Weights of language models and towers that take pixels and states of any precision."""


def start_model(config: TrainConfig) -> Miras:
    """The model that a run begins with: a preset's pretrained parts, an earlier run's weights, or a saved model.

    Raises ConfigError when `init` names neither of the latter two.
    """
    torch.manual_seed(config.seed)
    if config.init is None:
        model = fresh(
            preset(str(config.preset), **config.model), half=_halved(config), quantized=config.quantize is not None
        )
    elif (last := Path(config.init) / LAST).is_file():
        kept = read(last)
        model = start_model(replace(plain(kept["config"]), quantize=config.quantize))
        lay_over(model, kept["weights"] | kept["ema"])
    elif any((folder / "config.json").is_file() for folder in (Path(config.init), EMBEDDED / config.init)):
        model = load(config.init, quantized=config.quantize is not None).float()
    else:
        raise ConfigError(f"init should hold {LAST} or config.json, {config.init} has neither; name an earlier run")
    if not model.config.high:
        return model
    model.config.high = {**model.config.high, "size": config.image_size}
    old = model.processor
    model.processor = MirasProcessor(old.tokenizer, chat=old.chat, views=replace(old.views, high=config.image_size))
    return model


def _halved(config: TrainConfig) -> Callable[[str], bool] | None:
    """Which pretrained weights are kept in bf16 from the first: in that precision, those that stay frozen."""
    if config.precision != "bf16":
        return None
    trained = [PARTS[part] for part in config.parts]
    return lambda name: bool(_HALF.match(name)) and not any(re.match(pattern, name) for pattern in trained)


def choose_parts(model: Miras, parts: Iterable[str]) -> dict[str, list[nn.Parameter]]:
    """Freeze all but the named parts; gives the parameters of each. Raises ConfigError for a part it does not have."""
    model.requires_grad_(False)
    chosen: dict[str, list[nn.Parameter]] = {}
    for part in parts:
        chosen[part] = [weight for name, weight in model.named_parameters() if re.match(PARTS[part], name)]
        if not chosen[part]:
            raise ConfigError(f"parts.{part} is nothing that this model has; leave it out")
        for weight in chosen[part]:
            weight.requires_grad_(True)
    model.frozen_stages = frozen_stages(parts) if isinstance(model.vision.high, EfficientNetLite) else 0
    return chosen


def frozen_stages(parts: Iterable[str]) -> int:
    """How many stages of the high-resolution encoder lie before the first that is trained."""
    stages = [f"high_stage{stride}" for stride in (4, 8, 16, 32)]
    return next((index for index, stage in enumerate(stages) if stage in parts), len(stages))


def halve_frozen(model: Miras, device: torch.device) -> None:
    """Keep frozen weights in bf16, on a CPU those of the language model alone; what is trained stays in fp32.

    On a GPU, autocast brings weights and inputs of an operation to one precision; a CPU computes without it.
    """
    for weight in (model if device.type == "cuda" else model.language.lm).parameters():
        if not weight.requires_grad and weight.is_floating_point():  # not those in 4 bits
            weight.data = weight.data.to(torch.bfloat16)


def recompute(model: Miras) -> None:
    """Compute inner states again in the backward pass: of the language model, and of encoders that are trained."""
    model.language.lm.activation_checkpointing_enable({"use_reentrant": False})
    for encoder in (model.vision.low, model.vision.high, model.pixel):
        for block in encoder.modules():
            if type(block).__name__ in _BLOCKS and any(weight.requires_grad for weight in block.parameters()):
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)


class TextMode(Protocol):
    """How samples become batches and batches run, with or without the language model."""

    def collate(self, collator: Collator, samples: Sequence[Sample]) -> Batch:
        """Samples for validation → a batch."""

    def run(self, model: Miras, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        """One teacher-forced pass."""


class JointText:
    """The whole model; with `naming`, image tokens are compared with the words for what they show as well."""

    def __init__(self, naming: Naming | None = None) -> None:
        self.naming = naming

    def collate(self, collator: Collator, samples: Sequence[Sample]) -> Batch:
        """See TextMode."""
        return collator(samples)

    def run(self, model: Miras, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        """See TextMode."""
        output: ModelOutput = model(batch)
        return replace(output, naming=_named(self.naming, output, batch))


class CachedText:
    """The mask path alone: queries come from text states that were computed before, each in a random context.

    With `naming`, image tokens are made too and compared with the words for what they show.
    """

    def __init__(self, states: PhraseStates, naming: Naming | None = None) -> None:
        self.states = states
        self.naming = naming
        self._contexts = states.first.shape[1] - 1

    def collate(self, collator: Collator, samples: Sequence[Sample]) -> Batch:
        """See TextMode."""
        return collator.masks_only(samples)

    def run(self, model: Miras, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        """See TextMode."""
        targets = len(batch.phrases)
        states, span = self.states.pick(batch.phrases, rng.integers(self._contexts, size=targets))
        device = batch.high.device
        maps = model.maps(batch)
        queries = model.queries(states, torch.arange(targets, device=device), span.to(device))
        mask_logits, iou = model.mark_batch(queries, batch, maps)
        silent = mask_logits.new_zeros(0, 1)
        tokens = model.image_tokens(batch, maps) if self.naming else None
        output = ModelOutput(silent, batch.seg_dialogue[:0], mask_logits, iou, tokens)
        return replace(output, naming=_named(self.naming, output, batch))


def _named(naming: Naming | None, output: ModelOutput, batch: Batch) -> torch.Tensor | None:
    return None if naming is None or output.image_tokens is None else naming(output.image_tokens, batch)
