"""PASCAL-Part as VLPart's tools write it: 93 parts of the objects of VOC 2010.

::

    vlpart/pascal_part/train.json                                           outlines of `aeroplane:body`
    vlpart/pascal_part/VOCdevkit/VOC2010/JPEGImages/2008_000008.jpg

Everything of a part in an image is one region: both wings of every bird. What is not outlined may still be there.
"""

from pathlib import Path

from miras.sets.entry import Entry, Need
from miras.sets.outlined import OutlinedSet, Spoken

__all__ = ["PASCAL_PART", "open_pascal_part"]


def open_pascal_part(root: Path, split: str) -> OutlinedSet:
    """PASCAL-Part below the root of all sets; a split is train or val. Raises DataError for what is missing."""
    folder = root / "vlpart" / "pascal_part"
    return OutlinedSet(folder / f"{split}.json", folder / "VOCdevkit" / "VOC2010" / "JPEGImages", _speak)


def _speak(category: str) -> Spoken:
    """`potted plant:pot` → pot of a potted plant."""
    whole, _, part = category.strip().partition(":")
    return Spoken(part, whole) if part else Spoken(whole)


PASCAL_PART = Entry(
    name="pascal_part",
    title="PASCAL-Part, in VLPart's form",
    needs=(
        Need("vlpart/pascal_part/train.json", "outlines of the training split, by VLPart's tools", ("train",)),
        Need("vlpart/pascal_part/val.json", "outlines of the validation split, by VLPart's tools", ("val",)),
        Need("vlpart/pascal_part/VOCdevkit/VOC2010/JPEGImages", "photos of VOC 2010"),
    ),
    where="https://github.com/facebookresearch/VLPart/tree/main/datasets#pascal-part",
    licence="see its page; photos under Flickr's terms",
    open=open_pascal_part,
)
