"""What is told of a data set before it is read: its files, where they come from, its terms and its size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from miras.sets.scene import RegionSet, TalkSet

__all__ = ["Entry", "Need"]


@dataclass(frozen=True)
class Need:
    """A file or a folder that a data set needs, below the root of all sets."""

    path: str
    """Relative path; `*` stands for any name."""
    what: str
    """In a few words: `photos`, `outlines of the validation split`."""
    splits: tuple[str, ...] = ()
    """The splits that need it; none for all of them."""


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue."""

    name: str
    """As settings and commands name it: coco, refcoco+, llava_instruct."""
    title: str
    needs: tuple[Need, ...]
    where: str
    """Address of its official page."""
    licence: str
    """In a few words, those of the images and those of the annotations where they differ."""
    open: Callable[[Path, str], RegionSet | TalkSet] = field(repr=False, compare=False)
    """(root of all sets, split) → the set. Raises DataError for what is missing."""
    splits: tuple[str, ...] = ("train", "val")
    counts: Mapping[str, str] = field(default_factory=dict)
    """Split → its published size in words: `118,287 images, 860,001 outlines`."""
