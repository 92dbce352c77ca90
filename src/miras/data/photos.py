"""Annotated photos: a folder with `images/` and one `{split}.jsonl.gz` row per masked object.

Row fields: image, phrase, class, kind (instance or union), part, n_inst, color, pos, bbox, area, mask, source,
license. Rows of one image are gathered into one `Photo`, in file order.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from miras.data.images import load_image
from miras.data.masks import Granularity, granularity
from miras.errors import DataError
from miras.types import Rle

__all__ = ["Photo", "PhotoObject", "load_photos"]

_FIELDS = {"image", "phrase", "class", "mask", "area"}


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
    count: int = 1
    """Number of instances that the mask covers."""
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


@dataclass(frozen=True)
class Photo:
    """One photo and everything that is annotated in it."""

    path: Path
    objects: tuple[PhotoObject, ...]
    source: str = ""
    license: str = ""

    @property
    def name(self) -> str:
        """File name, unique within a data set."""
        return self.path.name

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, as the masks state it."""
        height, width = self.objects[0].mask["size"]
        return height, width

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises ImageError when the file is missing or broken."""
        return load_image(self.path)


def load_photos(root: str | Path, split: str) -> list[Photo]:
    """All photos of `{root}/{split}.jsonl.gz` (or `.jsonl`), in file order.

    Raises DataError when the file is missing or a row lacks a field; the message names the line.
    """
    root = Path(root)
    found = [path for suffix in (".jsonl.gz", ".jsonl") if (path := root / f"{split}{suffix}").is_file()]
    if not found:
        raise DataError(f"no {split}.jsonl.gz in {root}; expected a folder with images/ and one file per split")
    rows: dict[str, list[Mapping[str, Any]]] = {}
    with (gzip.open if found[0].suffix == ".gz" else open)(found[0], "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = _read_row(line, f"{found[0]}:{number}")
            rows.setdefault(row["image"], []).append(row)
    return [_photo(root, image, group) for image, group in rows.items()]


def _read_row(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON ({error}); each line is one object") from error
    if not isinstance(row, dict) or (missing := _FIELDS - set(row)):
        lacks = sorted(missing) if isinstance(row, dict) else "every field"
        raise DataError(f"{where} lacks {lacks}; a row has {sorted(_FIELDS)} and may have more")
    return row


def _photo(root: Path, image: str, rows: Sequence[Mapping[str, Any]]) -> Photo:
    objects = tuple(
        PhotoObject(
            phrase=row["phrase"],
            class_name=row["class"],
            mask=row["mask"],
            area=row["area"],
            union=row.get("kind") == "union",
            part=bool(row.get("part")),
            count=row.get("n_inst", 1),
            color=row.get("color"),
            position=row.get("pos"),
            box=tuple(row.get("bbox", (0, 0, 0, 0))),
        )
        for row in rows
    )
    return Photo(root / image, objects, rows[0].get("source", ""), rows[0].get("license", ""))
