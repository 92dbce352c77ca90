"""Public data sets as training draws from them: an item's number and a seed make one `Sample`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from miras.data.images import load_image
from miras.data.phrasing import pick, say
from miras.errors import DataError
from miras.sets.instruct import Manner, instructions
from miras.sets.scene import PicturedSet, RegionSet, TalkSet
from miras.types import Dialogue, Sample, Turn

__all__ = ["Joined", "Retold", "Worded", "shortened"]

_TRIES = 100
"""Items in a row that may hold nothing to ask for."""


@dataclass(frozen=True)
class Worded:
    """The regions of each image, asked for in words; an item with none to ask for gives way to the next."""

    name: str
    """What the samples say they are from."""
    regions: RegionSet
    manner: Manner

    def __len__(self) -> int:
        return len(self.regions)

    def pictures(self) -> list[Path]:
        """See PicturedSet."""
        return [self.regions.scene(item).image for item in range(len(self))]

    def sample(self, item: int, seed: int) -> Sample:
        """See SampleSet. Raises DataError where many items in a row hold nothing, or a mask does not fit its image."""
        rng = np.random.default_rng(seed)
        for step in range(min(_TRIES, len(self))):
            scene = self.regions.scene((item + step) % len(self))
            if told := instructions(scene, rng, self.manner):
                return _fitting(Sample(load_image(scene.image), told, self.name))
        raise DataError(f"{self.name}: nothing to mark in {_TRIES} images from number {item} on; check its files")


@dataclass(frozen=True)
class Retold:
    """One of the conversations about each image; captions are asked for in words that change."""

    name: str
    talks: TalkSet
    shorten: Callable[[Dialogue], Dialogue] = lambda dialogue: dialogue

    def __len__(self) -> int:
        return len(self.talks)

    def pictures(self) -> list[Path]:
        """See PicturedSet."""
        images = (self.talks.told(item).image for item in range(len(self)))
        return [image for image in images if image is not None]

    def sample(self, item: int, seed: int) -> Sample:
        """See SampleSet. Raises DataError where many items in a row have no image, or a mask does not fit its image."""
        rng = np.random.default_rng(seed)
        for step in range(min(_TRIES, len(self))):
            told = self.talks.told((item + step) % len(self))
            if told.image is not None and told.dialogues:
                dialogue = pick(rng, told.dialogues)
                if dialogue.kind == "caption":
                    asked = Turn("user", str(say("caption_q", rng)))
                    dialogue = replace(dialogue, turns=(asked, *dialogue.turns[1:]))
                return _fitting(Sample(load_image(told.image), (self.shorten(dialogue),), self.name))
        raise DataError(f"{self.name}: no image in {_TRIES} conversations from number {item} on; check its files")


@dataclass(frozen=True)
class Joined:
    """Several sets as one, one behind the other."""

    parts: Sequence[PicturedSet]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def pictures(self) -> list[Path]:
        """See PicturedSet."""
        return [file for part in self.parts for file in part.pictures()]

    def sample(self, item: int, seed: int) -> Sample:
        """See SampleSet."""
        for part in self.parts:
            if item < len(part):
                return part.sample(item, seed)
            item -= len(part)
        raise IndexError(f"items are counted from 0 to {len(self) - 1}, got {item + len(self)}")


def shortened(dialogue: Dialogue, length: Callable[[Dialogue], int], most: int) -> Dialogue:
    """The dialogue without its last questions, until its length is `most` or one is left; one with masks as it is."""
    while not dialogue.targets and len(dialogue.turns) > 2 and length(dialogue) > most:
        dialogue = replace(dialogue, turns=dialogue.turns[:-2])
    return dialogue


def _fitting(sample: Sample) -> Sample:
    """The sample itself, when its masks have the size of its image."""
    size = list(sample.image.shape[:2])
    for dialogue in sample.dialogues:
        for target in dialogue.targets:
            if target.mask is not None and target.mask["size"] != size:
                raise DataError(
                    f"{sample.source}, {dialogue.image}: the mask of {target.phrase!r} should be {size[0]}x{size[1]} "
                    f"like its image, got {target.mask['size']}; take image and mask from one archive"
                )
    return sample
