"""ADE20K as SceneParse-150 has it: a class for every pixel, 100 of things and 50 of stuff.

::

    ade20k/annotations/training/ADE_train_00000001.png    an image of class numbers from 1, 0 for other objects
    ade20k/images/training/ADE_train_00000001.jpg

Pixels of other objects are ignored, as in the set's own evaluation.
"""

from pathlib import Path

from miras.sets.entry import Entry, Need
from miras.sets.labelled import LabelledSet, read_classes

__all__ = ["ADE20K", "open_ade20k"]

_FOLDERS = {"train": "training", "val": "validation"}


def open_ade20k(root: Path, split: str) -> LabelledSet:
    """SceneParse-150 below the root of all sets; a split is train or val. Raises DataError for what is missing."""
    folder = root / "ade20k"
    return LabelledSet(
        folder / "annotations" / _FOLDERS[split], folder / "images" / _FOLDERS[split], read_classes("ade20k")
    )


ADE20K = Entry(
    name="ade20k",
    title="ADE20K, SceneParse-150",
    needs=(
        Need("ade20k/annotations/training", "label images of the training split", ("train",)),
        Need("ade20k/images/training", "photos of the training split", ("train",)),
        Need("ade20k/annotations/validation", "label images of the validation split", ("val",)),
        Need("ade20k/images/validation", "photos of the validation split", ("val",)),
    ),
    where="http://sceneparsing.csail.mit.edu",
    licence="annotations BSD-3-Clause, photos for non-commercial research and education",
    open=open_ade20k,
    counts={"train": "20,210 images", "val": "2,000 images"},
)
