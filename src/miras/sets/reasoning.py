"""ReasonSeg as scenes: questions that have to be thought about, with the explanations that LISA's authors wrote."""

from functools import partial
from pathlib import Path

import numpy as np

from miras.data.reason_seg import Reasoned, read_reasoned, reasoned_files
from miras.errors import DataError
from miras.sets.entry import Entry, Need
from miras.sets.official import read_json
from miras.sets.scene import Region, Scene

__all__ = ["REASON_SEG", "ReasonSegSet"]


class ReasonSegSet:
    """The images of a split, each with its question in all wordings.

    A whole sentence asks for something that is not named anywhere, so its answer marks it without a name; a phrase is
    a name by itself.
    """

    def __init__(self, root: Path, split: str) -> None:
        """Raises DataError for what is missing; the files of images are read as each is asked for."""
        self._files = reasoned_files(root, split)
        self._why = _explanations(self._files[0].parents[1] / "explanatory" / f"{split}.json")

    def __len__(self) -> int:
        return len(self._files)

    def scene(self, item: int) -> Scene:
        """See RegionSet."""
        found = read_reasoned(self._files[item])
        region = Region(
            names=found.texts,
            draw=partial(_target, found),
            kind="question" if found.is_sentence else "expression",
            ignore=partial(_ignored, found) if found.ignored.any() else None,
            explanation=self._why.get(found.image.name),
        )
        return Scene(found.image, (region,))


def _target(found: Reasoned) -> np.ndarray:
    return found.target


def _ignored(found: Reasoned) -> np.ndarray:
    return found.ignored


def _explanations(path: Path) -> dict[str, str]:
    """File name of an image → why its answer is the answer; none where there is no such file."""
    if not path.is_file():
        return {}
    told: dict[str, str] = {}
    for place, one in enumerate(read_json(path, list, "a list of explanations")):
        image, why = (one.get("image"), one.get("outputs")) if isinstance(one, dict) else (None, None)
        if not isinstance(image, str) or not isinstance(why, str) or not why.strip():
            raise DataError(f"{path}, entry {place} should have image, query and outputs, all texts, got {one!r:.80}")
        told[Path(image).name] = why
    return told


REASON_SEG = Entry(
    name="reason_seg",
    title="ReasonSeg",
    needs=(
        Need("reason_seg/ReasonSeg/train", "pairs of .jpg and .json", ("train",)),
        Need("reason_seg/ReasonSeg/val", "pairs of .jpg and .json", ("val",)),
    ),
    where="https://github.com/dvlab-research/LISA",
    licence="images of OpenImages and ScanNet with their terms; annotations: Apache-2.0",
    open=ReasonSegSet,
    counts={"train": "239 images", "val": "200 images"},
)
