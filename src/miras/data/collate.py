"""Samples → one Batch: views of the canvas, ids, labels and the index tensors that tie them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from miras.data.encode import IGNORE, Encoder
from miras.data.images import Canvas
from miras.data.masks import decode
from miras.errors import BatchError
from miras.tokens import Span
from miras.types import Batch, Dialogue, Sample, Target

__all__ = ["Collator", "Views"]


@dataclass(frozen=True)
class Views:
    """Sides in pixels of the square views that a model looks at."""

    low: int
    high: int
    grid: int
    """Image tokens per side."""
    pixel: int | None = None
    """A third view, for a pixel encoder with its own image size."""


class Collator:
    """Makes batches for one tokenizer and one set of views."""

    def __init__(self, encoder: Encoder, views: Views, *, mask_size: int) -> None:
        self.encoder, self.views, self.mask_size = encoder, views, mask_size

    def __call__(self, samples: Sequence[Sample], *, named: Sequence[bool] | None = None) -> Batch:
        """Samples → Batch; `named` says per sample whether its replies write the names of their targets.

        Raises BatchError when there is no dialogue, or a target has no mask or one of another size than its image.
        """
        if not any(sample.dialogues for sample in samples):
            raise BatchError(f"a batch needs a dialogue, got {len(samples)} samples without any; leave them out")
        canvases = [Canvas(*sample.image.shape[:2]) for sample in samples]
        image_tokens = [int(canvas.cells(self.views.grid).sum()) for canvas in canvases]
        rows, labels = list[list[int]](), list[list[int]]()
        dialogue_image, masks, targets, found = [], [], list[Target](), list[tuple[int, Span]]()
        for index, sample in enumerate(samples):
            for dialogue in sample.dialogues:
                encoded = self.encoder.dialogue(
                    dialogue, image_tokens=image_tokens[index], named=named is None or named[index]
                )
                found += [(len(rows), span) for span in encoded.spans]
                rows.append(encoded.ids)
                labels.append(encoded.labels)
                dialogue_image.append(index)
                for target in dialogue.targets:
                    masks.append(canvases[index].mask_view(_mask(target, sample, dialogue), self.mask_size))
                    targets.append(target)
        if len(found) != len(masks):
            raise BatchError(f"one mask per [SEG] is needed: {len(found)} [SEG] tokens, {len(masks)} masks")
        return Batch(
            **self._shown(samples, canvases),
            **self._wanted(masks, targets),
            input_ids=_pad(rows, self.encoder.stop_id),
            attention_mask=_pad([[1] * len(row) for row in rows], 0),
            labels=_pad(labels, IGNORE),
            dialogue_image=torch.tensor(dialogue_image),
            seg_dialogue=torch.tensor([row for row, _ in found], dtype=torch.long),
            seg_position=torch.tensor([span.end for _, span in found], dtype=torch.long),
            obj_span=torch.tensor([[span.start, span.end] for _, span in found], dtype=torch.long).reshape(-1, 2),
        )

    def masks_only(self, samples: Sequence[Sample]) -> Batch:
        """Samples → a Batch for the mask path alone: one row per image and target, no text."""
        canvases = [Canvas(*sample.image.shape[:2]) for sample in samples]
        wanted = [
            (index, target)
            for index, sample in enumerate(samples)
            for dialogue in sample.dialogues
            for target in dialogue.targets
            if target.mask is not None
        ]
        images = len(samples)
        masks = [
            canvases[index].mask_view(decode(target.mask), self.mask_size) for index, target in wanted if target.mask
        ]
        none = torch.zeros(images, 0, dtype=torch.long)
        return Batch(
            **self._shown(samples, canvases),
            **self._wanted(masks, [target for _, target in wanted]),
            input_ids=none,
            attention_mask=none,
            labels=none,
            dialogue_image=torch.arange(images),
            seg_dialogue=torch.tensor([index for index, _ in wanted], dtype=torch.long),
            seg_position=torch.zeros(len(wanted), dtype=torch.long),
            obj_span=torch.zeros(len(wanted), 2, dtype=torch.long),
        )

    def _shown(self, samples: Sequence[Sample], canvases: Sequence[Canvas]) -> dict[str, Any]:
        """The fields of a batch that hold its images."""
        return {
            "low": self._views(samples, canvases, self.views.low),
            "high": self._views(samples, canvases, self.views.high),
            "pixel": self._views(samples, canvases, self.views.pixel) if self.views.pixel else None,
            "cells": torch.stack([canvas.cells(self.views.grid) for canvas in canvases]),
            "content": torch.tensor([canvas.content for canvas in canvases]),
        }

    def _wanted(self, masks: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Any]:
        """The fields of a batch that hold its targets."""
        return {
            "masks": torch.stack(list(masks)) if masks else torch.zeros(0, self.mask_size, self.mask_size),
            "phrases": tuple(target.phrase for target in targets),
            "colors": tuple(target.color for target in targets),
        }

    @staticmethod
    def _views(samples: Sequence[Sample], canvases: Sequence[Canvas], size: int) -> Tensor:
        return torch.stack([canvas.view(sample.image, size) for canvas, sample in zip(canvases, samples, strict=True)])


def _mask(target: Target, sample: Sample, dialogue: Dialogue) -> np.ndarray:
    """(H, W) bool mask of a target, of its image's size."""
    if target.mask is None:
        raise BatchError(f"{dialogue.image}: '{target.phrase}' has no mask; leave it out of training")
    expected, got = sample.image.shape[:2], tuple(target.mask["size"])
    if got != expected:
        raise BatchError(
            f"{dialogue.image}: the mask of '{target.phrase}' should be {expected} like its image, got {got}; "
            "scale it first"
        )
    return decode(target.mask)


def _pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Ragged rows → (B, T), padded on the right."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])
