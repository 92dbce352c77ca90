"""Sources of training samples: an item's number and a seed make one `Sample`, always the same one.

Photos are balanced by listing those that hold many objects, or objects of rare classes, more often; the mixture
walks through that list. Every sample is one dialogue, so that a photo is read and encoded once for many masks.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miras.config import SOURCES, Augmentation, TrainConfig
from miras.data import augment
from miras.data.clues import extreme, same_region
from miras.data.dialogues import Vocabulary, chat, direct, mixed, multi_turn, quiz, several, unclear, vocabulary
from miras.data.habits import Habits
from miras.data.masks import encode
from miras.data.photos import Photo, PhotoObject, load_photos
from miras.data.questions import absent_name
from miras.data.scenes import Cutout, load_cutouts, mosaic, paste
from miras.sets.scene import SampleSet
from miras.tokens import write
from miras.train.public import OpenedSets, flat_ratios, open_public, sample_sets
from miras.types import Dialogue, Sample, Target, Turn

__all__ = ["DialogueSource", "PhotoSource", "Pool", "SceneSource", "make_sources", "pack"]

_LISTED = 4
"""Mean number of times that a photo is listed."""
_PICKED = {"fine": 1.5, "medium": 1.3, "coarse": 1.0}
"""How much likelier small objects are asked for."""
_SINGLED = 1.6
"""How much likelier one picked out of several, such as the leftmost wheel."""
_TRIES = 4
"""Photos that are cut or laid together anew when nothing annotated is left; then a photo is taken as it is."""

_Length = Callable[[Dialogue], int]
"""Tokens of a dialogue, those of the image not counted."""


class Pool:
    """Annotated photos, how rare their classes are, and the list that balances them."""

    def __init__(self, photos: Sequence[Photo], *, targets: int, tokens: int, length: _Length) -> None:
        self.photos = photos
        self.targets, self.tokens, self.length = targets, tokens, length
        self.vocabulary: Vocabulary = vocabulary(photos)
        self.habits = Habits(photos)
        self._counts = Counter(thing.class_name for photo in photos for thing in photo.objects)
        weights = np.array([sum(self._counts[o.class_name] ** -0.3 for o in photo.objects) for photo in photos]) ** 0.9
        ends = np.round(np.cumsum(weights) / weights.sum() * _LISTED * len(photos)).astype(int)
        self.listed = np.repeat(np.arange(len(photos)), np.diff(ends, prepend=0))
        """(items,) the number of the photo of each item."""

    def __len__(self) -> int:
        return len(self.listed)

    def pictures(self) -> list[Path]:
        """The files of all photos."""
        return [photo.path for photo in self.photos]

    def photo(self, item: int) -> Photo:
        """The photo of an item."""
        return self.photos[self.listed[item]]

    def pick(self, objects: Sequence[PhotoObject], count: int, rng: np.random.Generator) -> list[PhotoObject]:
        """Up to `count` different objects; small ones, rare classes and those singled out more often."""
        rare = np.array([self._counts.get(o.class_name, 30) ** -0.15 for o in objects])
        weights = rare * [_PICKED[o.size] * (_SINGLED if extreme(o) else 1.0) for o in objects]
        chosen = rng.choice(len(objects), min(count, len(objects)), replace=False, p=weights / weights.sum())
        return [objects[index] for index in chosen]

    def requests(self, photo: Photo, rng: np.random.Generator, first: Dialogue | None = None) -> Dialogue:
        """`first` and then direct requests in one conversation, while it is short and targets are left."""
        told = first
        for target in self.pick(photo.objects, self.targets, rng):
            added = direct(photo, target, rng)
            longer = added if told is None else pack(told, added)
            if told is not None and self.length(longer) > self.tokens:
                break
            told = longer
        if told is None:
            raise ValueError(f"{photo.name} holds no object to ask for")
        return told


def pack(first: Dialogue, second: Dialogue) -> Dialogue:
    """Both dialogues, about the same image, as one."""
    return Dialogue(
        first.turns + second.turns,
        first.targets + second.targets,
        image=first.image,
        focus=first.focus,
        kind=first.kind,
        meta=first.meta,
    )


@dataclass(frozen=True)
class PhotoSource:
    """Direct requests about one photo, changed at random."""

    pool: Pool
    changes: Augmentation

    def __len__(self) -> int:
        return len(self.pool)

    def pictures(self) -> list[Path]:
        """See `miras.train.features.Pictures`."""
        return self.pool.pictures()

    def sample(self, item: int, seed: int) -> Sample:
        """See SampleSet."""
        rng = np.random.default_rng(seed)
        photo = _flipped(self.pool.photo(item), self.changes, rng)
        absent = absent_name(photo, self.pool.vocabulary, rng) if rng.random() < self.changes.absent else None
        photo = _recoloured(_zoomed(photo, self.changes, rng), self.changes, rng)
        told = self.pool.requests(photo, rng)
        if absent:
            told = pack(told, _nothing(absent, photo))
        return Sample(photo.pixels(), (told,), "photos")


@dataclass(frozen=True)
class SceneSource:
    """Direct requests about a mosaic of photos, or about a photo with cut-outs on it."""

    pool: Pool
    changes: Augmentation
    cutouts: Sequence[Cutout]

    def __len__(self) -> int:
        return len(self.pool)

    def sample(self, item: int, seed: int) -> Sample:
        """See SampleSet."""
        rng = np.random.default_rng(seed)
        scene = self._scene(item, rng)
        photo = _recoloured(_zoomed(_flipped(scene, self.changes, rng), self.changes, rng), self.changes, rng)
        return Sample(photo.pixels(), (self.pool.requests(photo, rng),), "scenes")

    def _scene(self, item: int, rng: np.random.Generator) -> Photo:
        photo = self.pool.photo(item)
        for _ in range(_TRIES):
            if rng.random() < self.changes.mosaic:
                others = rng.integers(len(self.pool), size=int(rng.integers(1, 4)))
                scene = mosaic([photo, *(self.pool.photo(int(other)) for other in others)], rng)
            else:
                scene = paste(photo, self.cutouts, rng)
            if scene.objects:
                return scene
        return photo


@dataclass(frozen=True)
class DialogueSource:
    """One conversation of a random kind, and then direct requests while there is room in the sequence.

    Photos of a quiz are at times cut, so that a name tells less about where the thing is; then it asks for no presence.
    """

    pool: Pool
    changes: Augmentation
    kinds: dict[str, float]

    def __len__(self) -> int:
        return len(self.pool)

    def pictures(self) -> list[Path]:
        """See `miras.train.features.Pictures`."""
        return self.pool.pictures()

    def sample(self, item: int, seed: int) -> Sample:
        """See SampleSet."""
        rng = np.random.default_rng(seed)
        whole = _flipped(self.pool.photo(item), self.changes, rng)
        weights = np.array(list(self.kinds.values()))
        kind = list(self.kinds)[rng.choice(len(weights), p=weights / weights.sum())]
        photo = _zoomed(whole, self.changes, rng) if kind == "quiz" else whole
        cut = photo is not whole
        talk = self._quiz(photo, rng, presence=False) if cut else self._talk(kind, photo, rng)
        told = self.pool.requests(photo, rng, talk)
        return Sample(_recoloured(photo, self.changes, rng).pixels(), (told,), "dialogues")

    def _quiz(self, photo: Photo, rng: np.random.Generator, *, presence: bool = True) -> Dialogue | None:
        return quiz(photo, rng, self.pool.vocabulary, presence=presence, habits=self.pool.habits)

    def _talk(self, kind: str, photo: Photo, rng: np.random.Generator) -> Dialogue:
        """A dialogue of that kind; `mixed`, which every photo allows, where the photo does not allow it."""
        made: Dialogue | None = None
        if kind == "multi_turn":
            made = multi_turn(photo, self.pool.pick(photo.objects, 1, rng)[0], rng)
        elif kind == "several":
            apart = _apart(self.pool.pick(photo.objects, 2 + int(rng.integers(3)), rng))
            made = several(photo, apart, rng) if len(apart) > 1 else None
        elif kind == "chat":
            made = chat(photo, rng, self.pool.vocabulary)
        elif kind == "quiz":
            made = self._quiz(photo, rng)
        elif kind == "unclear":
            made = unclear(photo, self.pool.pick(photo.objects, 1, rng)[0], rng)
        return made or mixed(photo, rng, self.pool.vocabulary)


def make_sources(
    config: TrainConfig, length: _Length, opened: OpenedSets | None = None
) -> tuple[list[SampleSet], list[int]]:
    """The sources that a configuration names, and their ratios; `opened` are its public sets, where they are open."""
    ratios = flat_ratios(config)
    made: dict[str, SampleSet] = {
        **sample_sets(open_public(config) if opened is None else opened, config, length),
        **_of_photos([name for name in ratios if name in SOURCES], config, length),
    }
    return [made[name] for name in ratios], list(ratios.values())


def _of_photos(names: Sequence[str], config: TrainConfig, length: _Length) -> dict[str, SampleSet]:
    """The sources that are made of annotated photos, which are read where there is any."""
    if not names:
        return {}
    pool = Pool(load_photos(config.data, "train"), targets=config.targets, tokens=config.sequence_tokens, length=length)
    made: dict[str, SampleSet] = {}
    for name in names:
        if name == "photos":
            made[name] = PhotoSource(pool, config.augment)
        elif name == "scenes":
            cutouts = load_cutouts(config.cutouts) if config.cutouts else []
            made[name] = SceneSource(pool, config.augment, cutouts)
        else:
            made[name] = DialogueSource(pool, config.augment, config.dialogues)
    return made


def _apart(objects: Sequence[PhotoObject]) -> tuple[PhotoObject, ...]:
    """The objects without those that are the same region, or go by the same phrase, as one before."""
    kept: list[PhotoObject] = []
    for thing in objects:
        if not any(same_region(thing, other) or thing.phrase == other.phrase for other in kept):
            kept.append(thing)
    return tuple(kept)


def _nothing(name: str, photo: Photo) -> Dialogue:
    """A request whose true mask is empty."""
    empty = Target(name, encode(np.zeros(photo.size, bool)))
    return Dialogue((Turn("user", name), Turn("assistant", write(name))), (empty,), image=photo.name)


def _flipped(photo: Photo, changes: Augmentation, rng: np.random.Generator) -> Photo:
    return augment.flip(photo) if rng.random() < changes.flip else photo


def _zoomed(photo: Photo, changes: Augmentation, rng: np.random.Generator) -> Photo:
    drawn = rng.random()
    if drawn < changes.zoom:
        part = augment.zoom(photo, rng)
    elif drawn < changes.zoom + changes.zoom_small:
        small = [thing for thing in photo.objects if thing.size != "coarse"]
        part = augment.zoom(photo, rng, small[int(rng.integers(len(small)))]) if small else photo
    else:
        return photo
    return part if part.objects else photo


def _recoloured(photo: Photo, changes: Augmentation, rng: np.random.Generator) -> Photo:
    return augment.jitter(photo, rng) if rng.random() < changes.jitter else photo
