"""PACO-LVIS: 75 classes of objects and 456 of their parts, on photos of COCO.

::

    vlpart/paco/annotations/paco_lvis_v1_train.json    outlines of `bottle` and of `bottle:cap`
    coco/train2017/000000000009.jpg                    as `file_name` has it, below coco/

Everything of a class in an image is one region, and so is everything of a part: all caps of all bottles. An image says
itself which classes are surely not there (`neg_category_ids`) and of which not everything is outlined
(`not_exhaustive_category_ids`): these are no regions, since what is missing would count as wrong.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from miras.sets.entry import Entry, Need
from miras.sets.outlined import OutlinedSet, Spoken

__all__ = ["PACO", "open_paco"]


def open_paco(root: Path, split: str) -> OutlinedSet:
    """PACO-LVIS below the root of all sets; a split is train or val. Raises DataError for what is missing or broken."""
    annotations = root / "vlpart" / "paco" / "annotations" / f"paco_lvis_v1_{split}.json"
    return OutlinedSet(annotations, root / "coco", _speak, surely_absent=_negative, incomplete=_incomplete)


def _speak(category: str) -> Spoken:
    """`trash_can:lid` → lid of a trash can; `car_(automobile)` → car."""
    whole, _, part = category.partition(":")
    return Spoken(_plain(part), _plain(whole)) if part else Spoken(_plain(whole))


def _plain(name: str) -> str:
    return name.split("_(")[0].replace("_", " ").strip()


def _negative(image: Mapping[str, Any], categories: Mapping[int, Spoken]) -> frozenset[int]:
    named = frozenset(image.get("neg_category_ids") or ())
    return frozenset(number for number in named if number in categories and categories[number].whole is None)


def _incomplete(image: Mapping[str, Any]) -> frozenset[int]:
    return frozenset(image.get("not_exhaustive_category_ids") or ())


PACO = Entry(
    name="paco",
    title="PACO-LVIS",
    needs=(
        Need("vlpart/paco/annotations/paco_lvis_v1_train.json", "outlines of the training split", ("train",)),
        Need("vlpart/paco/annotations/paco_lvis_v1_val.json", "outlines of the validation split", ("val",)),
        Need("coco/train2017", "photos of COCO"),
    ),
    where="https://github.com/facebookresearch/paco#dataset-setup",
    licence="see its page; photos under Flickr's terms",
    open=open_paco,
    counts={"train": "45,790 images, 612,188 outlines", "val": "2,410 images, 31,739 outlines"},
)
