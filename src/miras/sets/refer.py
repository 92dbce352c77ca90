"""RefCLEF, RefCOCO, RefCOCO+ and RefCOCOg as scenes: what people said of things, gathered by image."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from miras import tokens
from miras.data.masks import decode
from miras.data.outlines import read_outline
from miras.data.refcoco import IMAGES, PARTITIONS, Ref, load_refs
from miras.sets.entry import Entry, Need
from miras.sets.official import Present, none_left
from miras.sets.packed import Packed
from miras.sets.scene import Region, Scene

__all__ = ["REFCLEF", "REFCOCO", "REFCOCOG", "REFCOCO_PLUS", "ReferSet"]


class ReferSet:
    """One set of referring expressions; all sentences of a ref name its region."""

    def __init__(self, root: Path, name: str, split: str) -> None:
        """Reads `refs(…).p`, as data alone, and `instances.json`. Raises DataError for what is missing or broken."""
        base = root if (root / name).is_dir() else root / "refer_seg"
        self.images = base / IMAGES[name]
        self.left_out: Counter[str] = Counter()
        """Why refs were left out → how many."""
        gathered: dict[str, list[dict[str, Any]]] = {}
        sizes: dict[str, tuple[int, int]] = {}
        present = Present()
        for ref in load_refs(root, name, PARTITIONS[name][0], split):
            said = [one.text for one in ref.expressions if _says_something(one.text)]
            why = self._why_not(ref, said, present)
            if why:
                self.left_out[why] += 1
                continue
            sizes[ref.image] = ref.size
            gathered.setdefault(ref.image, []).append({"said": said, "outline": ref.outline, "where": ref.where})
        if not gathered:
            raise none_left(base / name, self.left_out)
        self._records = Packed({"image": name, "size": sizes[name], "refs": refs} for name, refs in gathered.items())

    def __len__(self) -> int:
        return len(self._records)

    def scene(self, item: int) -> Scene:
        """See RegionSet. Masks raise DataError for a broken outline."""
        record = self._records[item]
        regions = [
            Region(
                tuple(one["said"]), partial(_draw, one["outline"], tuple(record["size"]), one["where"]), "expression"
            )
            for one in record["refs"]
        ]
        return Scene(self.images / record["image"], tuple(regions))

    def _why_not(self, ref: Ref, said: list[str], present: Present) -> str | None:
        if ref.crowd:
            return "of a crowd"
        if ref.outline in (None, [], {}):
            return "without an outline"
        if not said:
            return "without words"
        return None if self.images / ref.image in present else "without an image file"


def _says_something(text: str) -> bool:
    return any(letter.isalnum() for letter in text) and not any(token in text for token in tokens.SPECIAL)


def _draw(outline: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """(H, W) bool of an outline."""
    mask = read_outline(outline, *size, where)
    return np.zeros(size, dtype=bool) if mask is None else decode(mask)


def _entry(name: str, title: str, licence: str, counts: dict[str, str], photos: str) -> Entry:
    folder = f"refer_seg/{name}"
    needs = (
        Need(f"{folder}/refs({PARTITIONS[name][0]}).p", "who is meant by which sentences"),
        Need(f"{folder}/instances.json", "outlines"),
        Need(f"refer_seg/{IMAGES[name]}", photos),
    )
    return Entry(
        name=name,
        title=title,
        needs=needs,
        where="https://github.com/lichengunc/refer",
        licence=licence,
        open=lambda root, split: ReferSet(root, name, split),
        counts=counts,
    )


_COCO = "images: their owners' on Flickr; annotations: Apache-2.0, outlines CC BY 4.0"
_PHOTOS = "photos of COCO 2014"

REFCLEF = _entry(
    "refclef",
    "RefCLEF",
    "images: IAPR TC-12, free for research; annotations: Apache-2.0",
    {},
    "photos of SAIAPR TC-12",
)
REFCOCO = _entry(
    "refcoco", "RefCOCO", _COCO, {"train": "16,994 images, 42,404 refs", "val": "1,500 images, 3,811 refs"}, _PHOTOS
)
REFCOCO_PLUS = _entry(
    "refcoco+", "RefCOCO+", _COCO, {"train": "16,992 images, 42,278 refs", "val": "1,500 images, 3,805 refs"}, _PHOTOS
)
REFCOCOG = _entry(
    "refcocog", "RefCOCOg", _COCO, {"train": "21,899 images, 42,226 refs", "val": "1,300 images, 2,573 refs"}, _PHOTOS
)
