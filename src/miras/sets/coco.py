"""COCO's instances of 2017: 80 classes of things, all of which are outlined wherever they are.

::

    coco/annotations/instances_train2017.json    images, outlines, categories
    coco/train2017/000000000009.jpg

Everything of a class in an image is one region, crowds excepted, which it ignores. What is not outlined at all is known
not to be there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from miras.sets.entry import Entry, Need
from miras.sets.outlined import OutlinedSet, Spoken

__all__ = ["COCO", "open_coco"]


def open_coco(root: Path, split: str) -> OutlinedSet:
    """COCO below the root of all sets; a split is train or val. Raises DataError for what is missing or broken."""
    folder = root / "coco"
    annotations = folder / "annotations" / f"instances_{split}2017.json"
    return OutlinedSet(annotations, folder / f"{split}2017", Spoken, surely_absent=_all)


def _all(image: Mapping[str, Any], categories: Mapping[int, Spoken]) -> frozenset[int]:
    return frozenset(categories)


COCO = Entry(
    name="coco",
    title="COCO 2017, instances",
    needs=(
        Need("coco/annotations/instances_train2017.json", "outlines of the training split", ("train",)),
        Need("coco/train2017", "photos of the training split", ("train",)),
        Need("coco/annotations/instances_val2017.json", "outlines of the validation split", ("val",)),
        Need("coco/val2017", "photos of the validation split", ("val",)),
    ),
    where="https://cocodataset.org/#download",
    licence="annotations CC BY 4.0, photos under Flickr's terms",
    open=open_coco,
    counts={"train": "118,287 images, 860,001 outlines", "val": "5,000 images, 36,781 outlines"},
)
