"""The figure that is watched during a run: direct requests on photos never trained on, teacher-forced."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from miras.data.collate import Collator
from miras.data.dialogues import direct
from miras.data.images import Canvas
from miras.data.masks import decode
from miras.data.photos import Photo, PhotoObject
from miras.metrics.masks import Counts, Strata
from miras.model.miras import Miras
from miras.train.engine_processes import Processes
from miras.train.stages import TextMode
from miras.types import Sample

__all__ = ["Case", "draw_cases", "validate"]

Case = tuple[Photo, tuple[PhotoObject, ...]]
"""A photo and what is asked for in it."""

_SEED = 7
"""Of the choice of targets, the same for every run."""
_PHOTOS = 8
"""Photos of one batch."""


def draw_cases(photos: Sequence[Photo], targets: int) -> list[Case]:
    """`targets` of all targets, gathered by photo; all of them where there are no more."""
    everything = [(index, thing) for index, photo in enumerate(photos) for thing in photo.objects]
    chosen = np.random.default_rng(_SEED).permutation(len(everything))[:targets]
    gathered: dict[int, list[PhotoObject]] = {}
    for place in sorted(chosen):
        gathered.setdefault(everything[place][0], []).append(everything[place][1])
    return [(photos[index], tuple(things)) for index, things in gathered.items()]


@torch.no_grad()
def validate(
    model: Miras, mode: TextMode, collator: Collator, cases: Sequence[Case], processes: Processes
) -> dict[str, Any]:
    """Figures of `miras.metrics.masks`, over all cases and by size. The model is left in the mode it was in.

    The cases are shared by the processes, and each gets the figures of all of them.
    """
    strata, was_training = Strata(), model.training
    model.eval()
    for begin, counts in processes.share(range(0, len(cases), _PHOTOS)):
        chunk = cases[begin : begin + _PHOTOS]
        rng = np.random.default_rng([_SEED, begin])
        samples = [
            Sample(photo.pixels(), tuple(direct(photo, thing, rng) for thing in things)) for photo, things in chunk
        ]
        batch = mode.collate(collator, samples).to(model.device)
        logits = mode.run(model, batch, rng).mask_logits.float().cpu()
        if not counts:
            continue
        asked = [(photo, thing) for photo, things in chunk for thing in things]
        for (photo, thing), row in zip(asked, logits, strict=True):
            marked = (Canvas(*photo.size).to_original(row) > 0).numpy()
            strata.update(Counts.of(marked, decode(thing.mask)), {"by_size": thing.size})
    model.train(was_training)
    return sum(processes.gathered(strata), Strata()).compute()
