"""Sets in COCO's JSON: per image and class one region, which holds everything of that class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from miras.data.masks import area, decode
from miras.data.outlines import read_outline, united
from miras.errors import DataError
from miras.sets.index import open_index
from miras.sets.scene import Region, Scene
from miras.sets.upright import Frame, photo_frame
from miras.types import Rle

__all__ = ["OutlinedSet", "Spoken"]


@dataclass(frozen=True)
class Spoken:
    """What a category is called."""

    name: str
    whole: str | None = None
    """What it is a part of; None for what is no part."""


@dataclass
class _Drawn:
    """What an image holds of one name."""

    masks: list[Rle] = field(default_factory=list)
    crowds: list[Rle] = field(default_factory=list)


class OutlinedSet:
    """The images of an annotation file, with or without outlines, in file order.

    All outlines of a name in an image are one region; where there is one outline, that is the thing itself. Outlines of
    a crowd are what the region ignores; a name with crowds alone, or with outlines that hold no pixel, is no region.
    """

    def __init__(
        self,
        annotations: Path,
        photos: Path,
        speak: Callable[[str], Spoken],
        *,
        surely_absent: Callable[[Mapping[str, Any], Mapping[int, Spoken]], frozenset[int]] = lambda image, known: (
            frozenset()
        ),
        incomplete: Callable[[Mapping[str, Any]], frozenset[int]] = lambda image: frozenset(),
    ) -> None:
        """`photos` is the folder that `file_name` counts from, `speak` makes words of a category's name.

        `surely_absent` and `incomplete` read from an image's record which categories are known not to be there, unless
        one is outlined, and of which not everything is outlined: those are no regions.
        """
        self._index, self._photos = open_index(annotations), photos
        self._absent, self._incomplete = surely_absent, incomplete
        try:
            self._categories = {int(one["id"]): speak(str(one["name"])) for one in self._index.categories}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{annotations} has a category without id or name ({error!r}); fetch it again") from error

    def __len__(self) -> int:
        return len(self._index)

    def counts(self) -> dict[str, int]:
        """How large the set is, counted as its authors count it."""
        return {"images": len(self._index), "outlines": self._index.annotated}

    def scene(self, item: int) -> Scene:
        """Image `item`, counted from 0. Raises DataError, naming file and place, for what is broken."""
        image = self._index.image(item)
        where = f"{self._index.path}, image {image['id']}"
        try:
            photo, size = self._photos / image["file_name"], (int(image["height"]), int(image["width"]))
            incomplete, absent = self._incomplete(image), self._absent(image, self._categories)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where} should have file_name, height and width ({error!r}); fetch it again") from error
        frame = photo_frame(photo, size, where)
        drawn, seen = self._drawn(item, size, incomplete)
        regions = (self._region(spoken, things, frame) for spoken, things in drawn.items())
        there = {self._categories[number].name for number in seen}
        names = dict.fromkeys(self._categories[number].name for number in sorted(absent - seen))
        return Scene(
            photo,
            tuple(region for region in regions if region is not None),
            tuple(name for name in names if name not in there),
        )

    def _drawn(
        self, item: int, size: tuple[int, int], incomplete: frozenset[int]
    ) -> tuple[dict[Spoken, _Drawn], set[int]]:
        """Everything outlined in an image by its name, and every category that is there, whether outlined or not."""
        drawn: dict[Spoken, _Drawn] = {}
        seen = set(incomplete)
        for one in self._index.annotations(item):
            where = f"{self._index.path}, annotation {one['id']}"
            number = one.get("category_id")
            if number not in self._categories:
                raise DataError(f"{where} is of category {number!r}, which the file does not name; fetch it again")
            seen.add(number)
            mask = read_outline(one.get("segmentation"), *size, where)
            if mask is None or number in incomplete:
                continue
            things = drawn.setdefault(self._categories[number], _Drawn())
            (things.crowds if one.get("iscrowd") else things.masks).append(mask)
        return drawn, seen & set(self._categories)

    def _region(self, spoken: Spoken, things: _Drawn, frame: Frame) -> Region | None:
        if not things.masks or not area(mask := united(things.masks)):
            return None
        crowd = united(things.crowds) if things.crowds else None
        return Region(
            (spoken.name,),
            partial(_upright, frame, mask),
            "thing" if spoken.whole is None else "part",
            spoken.whole,
            None if crowd is None else partial(_around, frame, crowd, mask),
        )


def _upright(frame: Frame, mask: Rle) -> np.ndarray:
    """(H, W) bool as the upright image lies."""
    return frame.upright(decode(mask))


def _around(frame: Frame, crowd: Rle, mask: Rle) -> np.ndarray:
    """(H, W) bool: the crowd without what is outlined one by one."""
    return frame.upright(decode(crowd) & ~decode(mask))
