"""What a batch of a run is like: images, rows of tokens, targets; from its sources, without reading them.

Lengths were measured on the annotated photos with SmolLM2's tokenizer, over 60 samples of each source. A row is as long
as one sample in ten exceeds, which is about the longest of a small batch, to which the others are padded.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from miras.config import TrainConfig
from miras.data.encode import IGNORE
from miras.model.configuration import MirasConfig
from miras.types import Batch

__all__ = ["PHRASE", "BatchShape", "batch_shape", "make_batch"]

_REAL = 0.77
"""Share of the canvas that holds real pixels: photos are 4:3 or 3:2."""
_REQUEST = 30
"""Tokens of one direct request with its answer, at the ninth decile of samples."""
_TALK = 130
"""Tokens of a conversation, before direct requests are added to it."""
_SPAN = 5
"""Tokens of `[OBJ]phrase[SEG]`."""
_OPENING = {"chatml": 0, "vicuna": 40}
"""Tokens before the first turn."""
_BYTES = 4
"""Letters per token, for a tokenizer that has one token per letter."""
_SAID = {
    "vqa": 0.0,
    "captions": 0.0,
    "llava_instruct": 0.0,
    "llava_instruct_80k": 0.0,
    "coco_captions": 0.0,
    "prist": 1.0,
}
"""Sources of conversations, and targets of each; a conversation has at most _LONG tokens."""
_LONG = 250
PHRASE = "thing"
"""What every target of such a batch is called."""


@dataclass(frozen=True)
class BatchShape:
    """The numbers of one batch."""

    images: int
    image_tokens: int
    """Of one image, those of padding alone left out."""
    text_tokens: int
    """Of one row, besides the image's."""
    trained_tokens: int
    """Of one row: those whose prediction is trained."""
    targets: int
    """Of the whole batch."""
    size: int
    """Side of the high-resolution view in pixels."""
    mask_size: int
    """Side of the masks that the loss sees."""
    cached: bool
    """Whether the language model is left out."""

    @property
    def tokens(self) -> int:
        """Of one row."""
        return self.image_tokens + self.text_tokens

    def scaled(self, share: float) -> "BatchShape":
        """With a share of its text and targets."""
        text, trained = round(share * self.text_tokens), round(share * self.trained_tokens)
        targets = max(1, round(share * self.targets))
        return replace(self, text_tokens=text, trained_tokens=trained, targets=targets)


def batch_shape(config: TrainConfig, made: MirasConfig) -> BatchShape:
    """The batch of a run, as its sources and settings make it."""
    each = {name: _text(name, config) for name in config.sources}
    shares = {name: share / sum(config.sources.values()) for name, share in config.sources.items()}
    letters = _BYTES if made.language["vocab_size"] < 1000 else 1
    text = max(tokens for tokens, _ in each.values())
    mean = sum(shares[name] * tokens for name, (tokens, _) in each.items())
    targets = sum(shares[name] * count for name, (_, count) in each.items())
    return BatchShape(
        images=config.images,
        image_tokens=round(_REAL * made.image_grid**2),
        text_tokens=round(text * letters) + _OPENING.get(made.chat, 0),
        trained_tokens=round(mean * letters / 3),
        targets=max(1, round(config.images * targets)),
        size=config.image_size,
        mask_size=config.image_size // config.mask_stride,
        cached=config.text == "cached",
    )


def _text(source: str, config: TrainConfig) -> tuple[float, float]:
    """Tokens and targets of one sample of a source."""
    most = _TALK + (_REQUEST - 3) * config.targets
    if source in ("photos", "scenes"):
        return _REQUEST * config.targets, 0.8 * config.targets
    if source == "dialogues":
        text = min(config.sequence_tokens, most)
        return text + 55, 1 + max(0.0, (text - _TALK - 10) / _REQUEST)
    if source in _SAID:
        return min(config.sequence_tokens, _LONG), _SAID[source]
    return _REQUEST * config.targets, 0.9 * config.targets  # a set of regions, or one's own


def make_batch(shape: BatchShape, made: MirasConfig) -> Batch:
    """A batch of that shape: pictures without values, ids and places with them."""
    images, rows = shape.images, 0 if shape.cached else shape.tokens
    views = made.views()
    with torch.device("meta"):
        pictures = {
            "low": torch.empty(images, 3, views.low, views.low),
            "high": torch.empty(images, 3, *(2 * [shape.size if views.high else 0])),
            "pixel": torch.empty(images, 3, views.pixel, views.pixel) if views.pixel else None,
        }
    grid, targets = made.image_grid, shape.targets
    ids = torch.zeros(images, rows, dtype=torch.long)
    ids[:, : shape.image_tokens] = made.language["vocab_size"] + 2
    labels = torch.full((images, rows), IGNORE)
    labels[:, rows - shape.trained_tokens :] = 0
    attention = torch.ones(images, rows, dtype=torch.long)
    attention[images // 2 :, rows - 1 :] = 0  # some rows are shorter, so that padding is masked
    return Batch(
        **_places(shape, rows),
        **pictures,  # type: ignore[arg-type]
        cells=(torch.arange(grid**2) < shape.image_tokens).expand(images, -1),
        content=torch.tensor([[_REAL, 1.0]]).expand(images, -1),
        input_ids=ids,
        attention_mask=attention,
        labels=labels,
        dialogue_image=torch.arange(images),
        phrases=(PHRASE,) * targets,
        colors=(None,) * targets,
    )


def _places(shape: BatchShape, rows: int) -> dict[str, Any]:
    """Where the targets of a batch stand: one behind the other in its rows."""
    side, targets = shape.mask_size, shape.targets
    where = torch.arange(targets) % shape.images
    end = torch.full((targets,), max(rows - 2, 0))
    return {
        "seg_dialogue": where.sort().values,
        "seg_position": end,
        "obj_span": torch.stack([(end - _SPAN + 1).clamp(min=0), end], 1),
        "masks": torch.ones(targets, side, side),
    }
