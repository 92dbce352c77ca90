"""PRIST as cases: the authors' dialogues, with images and masks where a folder of them is given."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from miras.data.labelme import read_labelme
from miras.data.masks import encode
from miras.data.prist import load
from miras.errors import DataError
from miras.evaluate.benchmarks.wanted import Drawn, Wanted
from miras.evaluate.cases import Case
from miras.types import Dialogue, Rle, Target

__all__ = ["prist_cases"]


def prist_cases(name: str, wanted: Wanted) -> Drawn:
    """Every record of `{split}.json`, in file order; its id is its image and its place in the file.

    An image is named only where the folder of images holds it. A mask is the record's own, or else that of the shapes
    in `{masks}/{image}.json` whose label is exactly the focus. What is not there is null and counted.
    """
    dialogues = load(_file(wanted.data, wanted.split))
    counts = Counter[str]()
    about: dict[str, Any] = {
        "benchmark": name,
        "split": wanted.split,
        "suite": wanted.suite,
        "images": None if wanted.images is None else str(wanted.images.resolve()),
        "prompt": "the record's own questions",
        "answer": "the record's own answers, its focus written before the last [SEG]",
        "counts": counts,
    }
    for folder in (wanted.images, wanted.masks):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{folder} is no folder; give the one that holds a file for each img_id")
    return Drawn(about, _cases(dialogues, wanted, counts))


def _file(data: Path, split: str) -> Path:
    path = data / f"{split}.json" if data.is_dir() else data
    if not path.is_file():
        raise DataError(f"no PRIST file at {path}; give its folder with the split that it is named after, or the file")
    return path


def _cases(dialogues: Sequence[Dialogue], wanted: Wanted, counts: Counter[str]) -> Iterator[Case]:
    for place, dialogue in enumerate(dialogues):
        stem = Path(str(dialogue.image)).stem
        target = dialogue.targets[0]
        mask = target.mask or _labelled(wanted.masks, stem, target.phrase)
        there = wanted.images is not None and (wanted.images / str(dialogue.image)).is_file()
        counts.update(dialogues=1, without_image=not there, without_mask=mask is None)
        known = replace(dialogue, image=dialogue.image if there else None, targets=(Target(target.phrase, mask),))
        yield Case(f"{stem}-{place}", known)


def _labelled(folder: Path | None, stem: str, focus: str) -> Rle | None:
    """The mask of the shapes so labelled; None where there is no file, no such shape, or nothing drawn."""
    path = None if folder is None else folder / f"{stem}.json"
    if path is None or not path.is_file():
        return None
    mask = read_labelme(path).mask(focus)
    return None if mask is None or not mask.any() else encode(mask)
