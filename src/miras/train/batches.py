"""Batches by number: what batch 1,234 holds depends on the seed and on nothing else, in whichever process."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from miras.config import TrainConfig
from miras.data.collate import Collator
from miras.data.mixture import Mixture, shard
from miras.model.miras import Miras
from miras.sets.scene import SampleSet
from miras.train.public import OpenedSets
from miras.train.sources import make_sources
from miras.types import Batch, Dialogue, Sample

__all__ = ["Batches", "loader", "make_batches", "named_samples"]

_AHEAD = 6
"""Batches that each process prepares in advance."""


class Batches(Dataset[Batch]):
    """Number → batch, as drawn by a seeded mixture of sources."""

    def __init__(self, config: TrainConfig, sources: Sequence[SampleSet], ratios: Sequence[int], model: Miras) -> None:
        self.config, self.sources = config, sources
        self.mixture = Mixture(sources, ratios, config.seed)
        self.alignment = model.config.alignment
        self._processor = model.processor
        self.kept: Callable[[np.ndarray], Mapping[str, Tensor]] | None = None
        """Gives what frozen encoders made of an image, where that is kept; see `miras.train.features`."""

    def __len__(self) -> int:
        return self.config.steps * self.config.accumulate

    def __getitem__(self, number: int) -> Batch:
        samples = self.samples(number)
        collator = self.collator(self.size(number))
        if self.config.text == "cached":
            return collator.masks_only(samples)
        rng = np.random.default_rng([self.config.seed, number, 1])
        return collator(samples, named=named_samples(self.alignment, len(samples), rng))

    def samples(self, number: int) -> list[Sample]:
        """What a batch is made of."""
        draws = (self.mixture[index] for index in shard(number, batch=self.config.images))
        return [self.sources[draw.source].sample(draw.item, draw.seed) for draw in draws]

    def size(self, number: int) -> int:
        """Side of a batch's high-resolution view in pixels."""
        first = number < self.config.image_size_switch * len(self)
        return self.config.image_size_start or self.config.image_size if first else self.config.image_size

    def collator(self, size: int) -> Collator:
        """A collator for another high-resolution view than the processor's own."""
        views = self._processor.views
        views = replace(views, high=size) if views.high else views
        return Collator(self._processor.encoder, views, mask_size=size // self.config.mask_stride, kept=self.kept)


def named_samples(alignment: str, count: int, rng: np.random.Generator) -> list[bool]:
    """Which of `count` samples write the names of their targets: all, none, or a random half."""
    if alignment == "half":
        return [bool(drawn) for drawn in rng.random(count) < 0.5]
    return [alignment == "full"] * count


def make_batches(config: TrainConfig, model: Miras, opened: OpenedSets | None = None) -> Batches:
    """The batches of a run; `opened` are its public data sets, where they are open already."""
    encoder = model.processor.encoder

    def length(dialogue: Dialogue) -> int:
        return len(encoder.dialogue(dialogue, image_tokens=0).ids)

    return Batches(config, *make_sources(config, length, opened), model)


def loader(batches: Batches, first: int, every: int = 1) -> Iterator[Batch]:
    """Batches number `first`, `first + every`, … in order, prepared by the configuration's workers."""
    workers, numbers = batches.config.workers, range(first, len(batches), every)
    if not workers:
        return (batches[number] for number in numbers)
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            prefetch_factor=_AHEAD,
            collate_fn=_as_is,
            worker_init_fn=_quiet,
        )
    )


def _as_is(batch: Any) -> Any:
    return batch


def _quiet(_: int) -> None:
    """One thread per process, and an interrupt is left to the main one, which ends the others in its own time."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
