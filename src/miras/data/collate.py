"""Samples → one Batch: views of the canvas, ids, labels and the index tensors that tie them together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from miras.data.encode import IGNORE, Encoded, Encoder, Row, row
from miras.data.images import Canvas
from miras.data.masks import decode
from miras.errors import BatchError
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
    """Makes batches for one tokenizer and one set of views.

    With `pack` the dialogues about an image stand in one row behind one opening, each as if it were alone, wherever
    the batch has fewer tokens so, its padding counted. `kept` gives what frozen encoders made of an image, which then
    takes the place of its views.
    """

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        *,
        mask_size: int,
        pack: bool = True,
        kept: Callable[[np.ndarray], Mapping[str, Tensor]] | None = None,
    ) -> None:
        self.encoder, self.views, self.mask_size, self.pack, self.kept = encoder, views, mask_size, pack, kept

    def __call__(self, samples: Sequence[Sample], *, named: Sequence[bool] | None = None) -> Batch:
        """Samples → Batch; `named` says per sample whether its replies write the names of their targets.

        Raises BatchError when there is no dialogue, or a target has no mask or one of another size than its image.
        """
        if not any(sample.dialogues for sample in samples):
            raise BatchError(f"a batch needs a dialogue, got {len(samples)} samples without any; leave them out")
        canvases = [Canvas(*sample.image.shape[:2]) for sample in samples]
        told = list[dict[int, Encoded]]()
        dialogue_image, masks, targets = list[int](), list[Tensor](), list[Target]()
        frames = list[Canvas]()
        for index, (sample, canvas) in enumerate(zip(samples, canvases, strict=True)):
            count, names = int(canvas.cells(self.views.grid).sum()), named is None or named[index]
            encoded = [self.encoder.dialogue(each, image_tokens=count, named=names) for each in sample.dialogues]
            told.append(dict(enumerate(encoded, len(dialogue_image))))
            dialogue_image += [index] * len(encoded)
            for dialogue in sample.dialogues:
                for target in dialogue.targets:
                    masks.append(canvas.mask_view(_mask(target, sample, dialogue), self.mask_size))
                    targets.append(target)
                    frames.append(canvas)
        written = self._written([each for each in told if each])
        if (found := len(written["seg_dialogue"])) != len(masks):
            raise BatchError(f"one mask per [SEG] is needed: {found} [SEG] tokens, {len(masks)} masks")
        return Batch(
            **self._shown(samples, canvases),
            **self._wanted(masks, targets, frames),
            **written,
            dialogue_image=torch.tensor(dialogue_image),
        )

    def _written(self, told: Sequence[Mapping[int, Encoded]]) -> dict[str, Any]:
        """The fields of a batch that hold its text, from the numbered dialogues about each image."""
        rows = [row({number: each}) for dialogues in told for number, each in dialogues.items()]
        packed = [row(dialogues) for dialogues in told]
        shared = self.pack and len(packed) < len(rows) and _tokens(packed) <= _tokens(rows)
        rows = packed if shared else rows
        found = [span for each in rows for span in each.spans]
        return {
            "input_ids": _pad([each.ids for each in rows], self.encoder.stop_id),
            "attention_mask": _pad([[1] * len(each.ids) for each in rows], 0),
            "labels": _pad([each.labels for each in rows], IGNORE),
            "block": _pad([each.block for each in rows], -1) if shared else None,
            "seg_dialogue": torch.tensor([dialogue for dialogue, _ in found], dtype=torch.long),
            "seg_position": torch.tensor([span.end for _, span in found], dtype=torch.long),
            "obj_span": torch.tensor([[span.start, span.end] for _, span in found], dtype=torch.long).reshape(-1, 2),
        }

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
            **self._wanted(masks, [target for _, target in wanted], [canvases[index] for index, _ in wanted]),
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
        about = {
            "cells": torch.stack([canvas.cells(self.views.grid) for canvas in canvases]),
            "content": torch.tensor([canvas.content for canvas in canvases]),
        }
        if self.kept is not None:
            found, none = [self.kept(sample.image) for sample in samples], torch.zeros(len(samples), 3, 0, 0)
            features = {name: torch.stack([each[name] for each in found]) for name in found[0]}
            return about | {"low": none, "high": none, "features": features}
        return about | {
            "low": self._views(samples, canvases, self.views.low),
            "high": self._views(samples, canvases, self.views.high),
            "pixel": self._views(samples, canvases, self.views.pixel) if self.views.pixel else None,
        }

    def _wanted(self, masks: Sequence[Tensor], targets: Sequence[Target], frames: Sequence[Canvas]) -> dict[str, Any]:
        """The fields of a batch that hold its targets, each in the frame of its canvas."""
        none = torch.zeros(self.mask_size, self.mask_size)
        ignored = [
            none if target.ignore is None else canvas.mask_view(decode(target.ignore), self.mask_size)
            for target, canvas in zip(targets, frames, strict=True)
        ]
        return {
            "masks": torch.stack(list(masks)) if masks else none.new_zeros(0, *none.shape),
            "ignored": torch.stack(ignored) if any(target.ignore for target in targets) else None,
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


def _tokens(rows: Sequence[Row]) -> int:
    """Tokens of a batch of these rows, its padding counted."""
    return len(rows) * max(len(each.ids) for each in rows)


def _pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Ragged rows → (B, T), padded on the right."""
    longest = max(map(len, rows))
    return torch.tensor([[*each, *[value] * (longest - len(each))] for each in rows])
