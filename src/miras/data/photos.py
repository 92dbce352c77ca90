"""Annotated photos: a folder with `images/` and one `{split}.jsonl.gz` row per masked object.

Row fields: image, phrase, class, kind (instance or union), part, n_inst, color, pos, bbox, area, mask, source,
license. Rows of one image are gathered into one `Photo`, in file order.
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from miras.data.images import load_image
from miras.data.masks import Granularity, box, decode, encode, granularity
from miras.errors import DataError, MaskError
from miras.types import Rle

__all__ = ["Photo", "PhotoObject", "load_photos", "position"]

_FIELDS = {"image", "phrase", "class", "mask", "area"}
_LOW, _HIGH = 0.33, 0.67


def position(box: tuple[int, int, int, int], height: int, width: int) -> str:
    """Which third of a `height` x `width` image the centre of the box lies in: `top left` … `bottom right`."""
    left, top, right, bottom = box
    across, down = (left + right) / 2 / width, (top + bottom) / 2 / height
    row = "top" if down < _LOW else "bottom" if down > _HIGH else "middle"
    column = "left" if across < _LOW else "right" if across > _HIGH else "center"
    return f"{row} {column}"


@dataclass(frozen=True)
class PhotoObject:
    """One annotated thing, or part of a thing, or all things of one name, of a photo."""

    phrase: str
    """Words that pick it out among the photo's objects: `leftmost vegetation`."""
    class_name: str
    """Its class: `vegetation`."""
    mask: Rle
    area: float
    """Share of the image, 0..1."""
    union: bool = False
    """Whether the mask covers every instance of the class."""
    part: bool = False
    """Whether it is a part of a larger thing."""
    count: int | None = 1
    """Number of instances that the mask covers; None when a cut made it unknown."""
    color: str | None = None
    """Main colour, where one is clear."""
    position: str | None = None
    """Third of the image: `top left` … `middle center` … `bottom right`."""
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    """(left, top, right, bottom) in original pixels."""

    @property
    def size(self) -> Granularity:
        """fine, medium or coarse."""
        return granularity(self.area)

    def with_mask(self, mask: np.ndarray) -> "PhotoObject":
        """The same object under a new (H, W) bool mask, its area, box and position measured from it.

        Raises MaskError when the mask is empty.
        """
        if (around := box(mask)) is None:
            raise MaskError(f"the mask of {self.phrase!r} needs at least one pixel, got none; drop the object instead")
        left, top, right, bottom = around
        share = int(np.count_nonzero(mask[top:bottom, left:right])) / mask.size
        return replace(self, mask=encode(mask), area=share, box=around, position=position(around, *mask.shape))


@dataclass(frozen=True)
class Photo:
    """One photo and everything that is annotated in it."""

    path: Path
    objects: tuple[PhotoObject, ...]
    source: str = ""
    license: str = ""
    array: np.ndarray | None = field(default=None, compare=False, repr=False)
    """(H, W, 3) uint8 RGB held in memory instead of in the file at `path`."""

    @property
    def name(self) -> str:
        """File name, unique within a data set."""
        return self.path.name

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, as the array or else the masks state it."""
        if self.array is not None:
            return self.array.shape[0], self.array.shape[1]
        height, width = self.objects[0].mask["size"]
        return height, width

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises ImageError when the file is missing or broken."""
        return load_image(self.path) if self.array is None else self.array


def load_photos(root: str | Path, split: str) -> list[Photo]:
    """All photos of `{root}/{split}.jsonl.gz` (or `.jsonl`), in file order.

    Raises DataError when the file is missing or a row lacks a field; the message names the line.
    """
    root = Path(root)
    found = [path for suffix in (".jsonl.gz", ".jsonl") if (path := root / f"{split}{suffix}").is_file()]
    if not found:
        raise DataError(f"no {split}.jsonl.gz in {root}; expected a folder with images/ and one file per split")
    rows: dict[str, list[Mapping[str, Any]]] = {}
    try:
        with (gzip.open if found[0].suffix == ".gz" else open)(found[0], "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = _read_row(line, f"{found[0]}:{number}")
                rows.setdefault(row["image"], []).append(row)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{found[0]} is broken or cut off ({error}); fetch it again") from error
    return [_photo(root, image, group) for image, group in rows.items()]


def _read_row(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON ({error}); each line is one object") from error
    if not isinstance(row, dict) or (missing := _FIELDS - set(row)):
        lacks = sorted(missing) if isinstance(row, dict) else "every field"
        raise DataError(f"{where} lacks {lacks}; a row has {sorted(_FIELDS)} and may have more")
    if not isinstance(row["mask"], dict) or {"size", "counts"} - set(row["mask"]):
        raise DataError(f"{where} has a mask without size and counts; write it as COCO run lengths")
    return row


def _photo(root: Path, image: str, rows: Sequence[Mapping[str, Any]]) -> Photo:
    return Photo(root / image, tuple(map(_object, rows)), rows[0].get("source", ""), rows[0].get("license", ""))


def _object(row: Mapping[str, Any]) -> PhotoObject:
    around = row.get("bbox") or box(decode(row["mask"])) or (0, 0, 0, 0)
    return PhotoObject(
        phrase=row["phrase"],
        class_name=row["class"],
        mask=row["mask"],
        area=row["area"],
        union=row.get("kind") == "union",
        part=bool(row.get("part")),
        count=row.get("n_inst", 1),
        color=row.get("color"),
        position=row.get("pos"),
        box=(int(around[0]), int(around[1]), int(around[2]), int(around[3])),
    )
