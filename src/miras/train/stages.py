"""What a stage starts from, what it trains, and how its batches run through the model."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from miras.config import PARTS, TrainConfig, plain
from miras.data.collate import Collator
from miras.errors import ConfigError
from miras.model.checkpoint import fresh, load
from miras.model.configuration import preset
from miras.model.efficientnet import EfficientNetLite
from miras.model.miras import Miras
from miras.model.processing import MirasProcessor
from miras.train.naming import Naming
from miras.train.phrases import PhraseStates
from miras.train.state import LAST, lay_over, read
from miras.types import Batch, ModelOutput, Sample

__all__ = ["CachedText", "JointText", "TextMode", "choose_parts", "frozen_stages", "halve_language", "start_model"]


def start_model(config: TrainConfig) -> Miras:
    """The model that a run begins with: a preset's pretrained parts, an earlier run's weights, or a saved model.

    Raises ConfigError when `init` names neither of the latter two.
    """
    torch.manual_seed(config.seed)
    if config.init is None:
        model = fresh(preset(str(config.preset), **config.model), quantized=config.quantize is not None)
    elif (last := Path(config.init) / LAST).is_file():
        kept = read(last)
        model = start_model(replace(plain(kept["config"]), quantize=config.quantize))
        lay_over(model, kept["weights"] | kept["ema"])
    elif (Path(config.init) / "config.json").is_file():
        model = load(config.init, quantized=config.quantize is not None).float()
    else:
        raise ConfigError(f"init should hold {LAST} or config.json, {config.init} has neither; name an earlier run")
    model.config.high = {**model.config.high, "size": config.image_size}
    old = model.processor
    model.processor = MirasProcessor(old.tokenizer, chat=old.chat, views=replace(old.views, high=config.image_size))
    return model


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


def halve_language(model: Miras) -> None:
    """Keep the frozen weights of the language model in bf16; what is trained stays in fp32."""
    for weight in model.language.lm.parameters():
        if not weight.requires_grad and weight.is_floating_point():  # not those in 4 bits
            weight.data = weight.data.to(torch.bfloat16)


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
        high = model.vision.high
        maps = high(batch.high, model.frozen_stages) if model.frozen_stages else high(batch.high)
        queries = model.queries(states, torch.arange(targets, device=device), span.to(device))
        mask_logits, iou = model.mark_batch(queries, batch, maps)
        silent = mask_logits.new_zeros(0, 1)
        tokens = model.vision(batch.low, maps, batch.content) if self.naming else None
        output = ModelOutput(silent, batch.seg_dialogue[:0], mask_logits, iou, tokens)
        return replace(output, naming=_named(self.naming, output, batch))


def _named(naming: Naming | None, output: ModelOutput, batch: Batch) -> torch.Tensor | None:
    return None if naming is None or output.image_tokens is None else naming(output.image_tokens, batch)
