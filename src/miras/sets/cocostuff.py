"""COCO-Stuff: COCO's photos with a class for every pixel, 80 of things and 91 of stuff.

::

    cocostuff/train2017/000000000009.png    an image of class numbers from 0, 255 where there is none
    coco/train2017/000000000009.jpg

Classes with a hyphen in their name (`wall-brick`, `building-other`) are not asked for, as LISA does it. Pixels without
a class are ignored.
"""

from pathlib import Path

from miras.sets.entry import Entry, Need
from miras.sets.labelled import LabelledSet, read_classes

__all__ = ["COCOSTUFF", "open_cocostuff"]


def open_cocostuff(root: Path, split: str) -> LabelledSet:
    """COCO-Stuff below the root of all sets; a split is train or val. Raises DataError for what is missing."""
    photos = f"{split}2017"
    return LabelledSet(root / "cocostuff" / photos, root / "coco" / photos, read_classes("cocostuff"))


COCOSTUFF = Entry(
    name="cocostuff",
    title="COCO-Stuff, 164K",
    needs=(
        Need("cocostuff/train2017", "label images of the training split", ("train",)),
        Need("coco/train2017", "photos of the training split", ("train",)),
        Need("cocostuff/val2017", "label images of the validation split", ("val",)),
        Need("coco/val2017", "photos of the validation split", ("val",)),
    ),
    where="https://github.com/nightrome/cocostuff#downloads",
    licence="annotations CC BY 4.0, photos under Flickr's terms",
    open=open_cocostuff,
    counts={"train": "118,287 images", "val": "5,000 images"},
)
