"""What a data set knows of one image, whatever its files look like: regions that can be asked for, or conversations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from miras.types import Dialogue, Sample

__all__ = ["PicturedSet", "Region", "RegionSet", "SampleSet", "Scene", "TalkSet", "Told"]


@dataclass(frozen=True)
class Region:
    """One thing to mark, or all that goes by one name, and the words for it."""

    names: tuple[str, ...]
    """A class name; or everything that people said of it, each of which singles it out."""
    draw: Callable[[], np.ndarray] = field(repr=False, compare=False)
    """Gives (H, W) bool in the pixels of the upright image; called when the mask is needed. May raise DataError."""
    kind: Literal["thing", "stuff", "part", "expression", "question"]
    """A countable class, one that is not, a part of something, a phrase that people said, or a question to think of."""
    whole: str | None = None
    """What a part belongs to: `dog` of a dog's ear."""
    ignore: Callable[[], np.ndarray] | None = field(default=None, repr=False, compare=False)
    """Gives (H, W) bool of pixels that are neither right nor wrong, such as those of a crowd; None for none."""
    explanation: str | None = None
    """Why this is the answer, where the set says so."""
    count: int | None = None
    """How many things of its class lie under the mask, where the set says so."""


@dataclass(frozen=True)
class Scene:
    """One image and everything in it that can be asked for."""

    image: Path
    regions: tuple[Region, ...]
    absent: tuple[str, ...] = ()
    """Classes of the set that are known not to be there."""


@dataclass(frozen=True)
class Told:
    """One image, or none, and conversations about it as the set holds them."""

    image: Path | None
    dialogues: tuple[Dialogue, ...]


@runtime_checkable
class RegionSet(Protocol):
    """A data set of images with regions."""

    def __len__(self) -> int: ...

    def scene(self, item: int) -> Scene:
        """Image `item`, counted from 0. Raises DataError, naming file and place, for what is broken."""


class TalkSet(Protocol):
    """A data set of conversations."""

    def __len__(self) -> int: ...

    def told(self, item: int) -> Told:
        """Entry `item`, counted from 0. Raises DataError, naming file and place, for what is broken."""


class SampleSet(Protocol):
    """What training draws from: either of them, put into words."""

    def __len__(self) -> int: ...

    def sample(self, item: int, seed: int) -> Sample:
        """The sample of an item; the seed decides all that is random about it."""


class PicturedSet(SampleSet, Protocol):
    """One that shows images as they are in their files."""

    def pictures(self) -> Sequence[Path]:
        """The files of all images that its samples may show."""
