"""Whether the public data sets below a folder are whole: their files, their size, and samples read as training does."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from miras.errors import MirasError
from miras.sets.catalogue import CATALOGUE, known_set, missing_needs
from miras.sets.entry import Entry, Need
from miras.sets.picture import Picture, picture
from miras.sets.scene import RegionSet, TalkSet

__all__ = ["Found", "check", "published", "wanted"]

_COUNT = re.compile(r"([\d,]*\d) (\w+)")


@dataclass(frozen=True)
class Found:
    """What there is of one split of a set."""

    entry: Entry
    split: str
    missing: tuple[Need, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many of what: images, outlines; none where it was not opened."""
    broken: tuple[str, ...] = ()
    """What went wrong while it was opened or read, each with its file and place."""
    pictures: tuple[Picture, ...] = field(default=(), repr=False)
    """The samples that could be read."""

    @property
    def fewer(self) -> dict[str, tuple[int, int]]:
        """Where there is less than was published: how many there are, and how many there should be."""
        return {
            what: (self.counts[what], number)
            for what, number in published(self.entry, self.split).items()
            if self.counts.get(what, number) < number
        }

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, too few or broken."""
        return bool(self.counts) and not (self.missing or self.broken or self.fewer)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "set": self.entry.name,
            "split": self.split,
            "whole": self.whole,
            "missing": [{"path": need.path, "what": need.what} for need in self.missing],
            "counts": dict(self.counts),
            "published": self.entry.counts.get(self.split),
            "samples": len(self.pictures),
            "broken": list(self.broken),
            "where": self.entry.where,
            "licence": self.entry.licence,
        }


def published(entry: Entry, split: str) -> dict[str, int]:
    """The words of an entry as numbers: `118,287 images, 860,001 outlines` → images and outlines."""
    found = _COUNT.findall(entry.counts.get(split, ""))
    return {what: int(number.replace(",", "")) for number, what in found}


def wanted(names: Sequence[str], splits: Sequence[str]) -> list[tuple[Entry, str]]:
    """The sets and splits to look at, all where none is named; a split that a set has not is passed over.

    Raises ConfigError for a name that is unknown, or splits that none of the sets has.
    """
    entries = [known_set(name) for name in dict.fromkeys(names)] or list(CATALOGUE.values())
    pairs = [(entry, split) for entry in entries for split in entry.splits if not splits or split in splits]
    if not pairs:
        known_set(entries[0].name, splits[0])
    return pairs


def check(
    root: Path, pairs: Sequence[tuple[Entry, str]], *, samples: int, seed: int, tell: Callable[[str], None]
) -> Iterator[Found]:
    """Looks at one split after the other; `tell` hears what is being done, in words.

    Which samples are read hangs on the seed and on the size of the set alone. What is broken is written down.
    """
    for entry, split in pairs:
        if missing := missing_needs(entry, root, split):
            yield Found(entry, split, missing)
            continue
        tell(f"{entry.name} {split}: opening")
        try:
            opened = entry.open(root, split)
        except MirasError as error:
            yield Found(entry, split, broken=(str(error),))
            continue
        yield _read(entry, split, opened, samples, seed, tell)


def _read(
    entry: Entry, split: str, opened: RegionSet | TalkSet, samples: int, seed: int, tell: Callable[[str], None]
) -> Found:
    drawn = np.random.default_rng(seed).permutation(len(opened))[:samples]
    pictures, broken = [], []
    for place, item in enumerate(drawn.tolist()):
        tell(f"{entry.name} {split}: sample {place + 1} of {len(drawn)}")
        try:
            pictures.append(picture(opened, item))
        except MirasError as error:
            broken.append(str(error))
    if not len(opened):
        broken.append(f"{entry.name} {split} is empty")
    return Found(entry, split, (), _counts(entry, split, opened), tuple(broken), tuple(pictures))


def _counts(entry: Entry, split: str, opened: RegionSet | TalkSet) -> dict[str, int]:
    """As the set counts itself; else its length, which stands for what is published first."""
    own: Callable[[], dict[str, int]] | None = getattr(opened, "counts", None)
    return own() if own else {next(iter(published(entry, split)), "items"): len(opened)}
