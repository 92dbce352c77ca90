"""The figure that is watched during a run: masks of conversations never trained on, teacher-forced."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from miras.config import OWN, TrainConfig
from miras.data.collate import Collator
from miras.data.dialogues import direct
from miras.data.images import Canvas
from miras.data.masks import area, decode, granularity
from miras.data.photos import Photo, PhotoObject, load_photos
from miras.errors import ConfigError
from miras.metrics.masks import Counts, Strata
from miras.model.miras import Miras
from miras.sets.catalogue import open_set
from miras.sets.own import read_own
from miras.sets.scene import PicturedSet
from miras.train.engine_processes import Processes
from miras.train.public import OpenedSets, sample_sets
from miras.train.stages import TextMode
from miras.types import Sample

__all__ = ["Cases", "PhotoCases", "SetCases", "draw_cases", "make_cases", "validate"]

_SEED = 7
"""Of the choice of targets, the same for every run."""
_PHOTOS = 8
"""Photos of one batch."""


class Cases(Protocol):
    """Images with what is asked for in them."""

    def __len__(self) -> int: ...

    def sample(self, number: int, rng: np.random.Generator) -> Sample:
        """An image with its requests, counted from 0; words that are drawn, are drawn from `rng`."""


@dataclass(frozen=True)
class PhotoCases:
    """Direct requests about annotated photos."""

    cases: Sequence[tuple[Photo, tuple[PhotoObject, ...]]]

    def __len__(self) -> int:
        return len(self.cases)

    def pictures(self) -> list[Path]:
        """See `miras.train.features.Pictures`."""
        return [photo.path for photo, _ in self.cases]

    def sample(self, number: int, rng: np.random.Generator) -> Sample:
        """See Cases."""
        photo, things = self.cases[number]
        return Sample(photo.pixels(), tuple(direct(photo, thing, rng) for thing in things))


@dataclass(frozen=True)
class SetCases:
    """Items of a public data set or of a JSONL, in the words of one seed."""

    set: PicturedSet
    items: Sequence[int]

    def __len__(self) -> int:
        return len(self.items)

    def pictures(self) -> Sequence[Path]:
        """See `miras.train.features.Pictures`; of the whole set, since an item without a mask gives way to the next."""
        return self.set.pictures()

    def sample(self, number: int, rng: np.random.Generator) -> Sample:
        """See Cases."""
        return self.set.sample(self.items[number], _SEED)


def make_cases(config: TrainConfig) -> Cases | None:
    """What a configuration validates on; None for nothing.

    Without `val`, that is the photos where they are a source, and else nothing. Raises ConfigError for what has no
    masks, DataError for files that are missing or broken.
    """
    asked = config.val or ("photos" if {"photos", "scenes", "dialogues"} & set(config.sources) else None)
    if asked is None or not config.val_targets:
        return None
    if asked == "photos":
        return draw_cases(load_photos(config.data, "val"), config.val_targets)
    if asked.endswith((".jsonl", ".json")):
        found: OpenedSets = {OWN: read_own(Path(asked))}
    elif config.sets is None:
        raise ConfigError(f"val should be photos, a .jsonl or, where sets is set, a public data set, got {asked}")
    else:
        found = {asked: open_set(asked, config.sets, "val")}
    [samples] = sample_sets(found, config).values()
    return _set_cases(samples, config.val_targets, asked)


def draw_cases(photos: Sequence[Photo], targets: int) -> PhotoCases:
    """`targets` of all targets, gathered by photo; all of them where there are no more."""
    everything = [(index, thing) for index, photo in enumerate(photos) for thing in photo.objects]
    chosen = np.random.default_rng(_SEED).permutation(len(everything))[:targets]
    gathered: dict[int, list[PhotoObject]] = {}
    for place in sorted(chosen):
        gathered.setdefault(everything[place][0], []).append(everything[place][1])
    return PhotoCases([(photos[index], tuple(things)) for index, things in gathered.items()])


def _set_cases(samples: PicturedSet, targets: int, name: str) -> SetCases:
    """Items by chance until `targets` masks are asked for; those that ask for none are left out."""
    items, found = [], 0
    for item in np.random.default_rng(_SEED).permutation(len(samples)).tolist():
        if found >= targets:
            break
        if asked := sum(len(dialogue.targets) for dialogue in samples.sample(item, _SEED).dialogues):
            items.append(item)
            found += asked
    if not items:
        raise ConfigError(f"val={name} holds no mask to validate on; name another, or set val_targets=0")
    return SetCases(samples, items)


@torch.no_grad()
def validate(model: Miras, mode: TextMode, collator: Collator, cases: Cases, processes: Processes) -> dict[str, Any]:
    """Figures of `miras.metrics.masks`, over all cases and by size. The model is left in the mode it was in.

    The cases are shared by the processes, and each gets the figures of all of them.
    """
    strata, was_training = Strata(), model.training
    model.eval()
    for begin, counts in processes.share(range(0, len(cases), _PHOTOS)):
        rng = np.random.default_rng([_SEED, begin])
        samples = [cases.sample(number, rng) for number in range(begin, min(begin + _PHOTOS, len(cases)))]
        batch = mode.collate(collator, samples).to(model.device)
        logits = mode.run(model, batch, rng).mask_logits.float().cpu()
        if not counts:
            continue
        asked = [
            (Canvas(*sample.image.shape[:2]), target.mask)
            for sample in samples
            for dialogue in sample.dialogues
            for target in dialogue.targets
        ]
        for (canvas, mask), row in zip(asked, logits, strict=True):
            assert mask is not None  # or there would be no batch
            marked = (canvas.to_original(row) > 0).numpy()
            size = granularity(area(mask) / (canvas.height * canvas.width))
            strata.update(Counts.of(marked, decode(mask)), {"by_size": size})
    model.train(was_training)
    return sum(processes.gathered(strata), Strata()).compute()
