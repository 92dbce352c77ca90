"""Who may annotate: candidates mark a batch whose masks are known, and pass when enough of theirs are like them.

A trial is a folder with `trial.json`, `records.json` and `tasks/{person}/`, every candidate with the same images. The
paper asks for an accuracy of 80 % (appendix B.1) and leaves open of what: here of targets whose IoU with the known mask
reaches a threshold. A target that is not given counts as an empty mask.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from miras.annotate.collect import Remark, collect
from miras.annotate.plan import RECORDS, TASKS, Item, Record, by_image, check_people, check_stems, items
from miras.annotate.project import given_out, new_folder
from miras.annotate.tasks import Sheet, image_sizes, write_tasks
from miras.errors import ConfigError, DataError
from miras.files import made_beside, write_json
from miras.metrics.masks import MaskSums, counts
from miras.types import Rle

__all__ = ["PASS_IOU", "PASS_SHARE", "TRIAL", "Score", "export_trial", "score_trial"]

TRIAL = "trial.json"
"""Name in a trial's folder."""

PASS_SHARE = 0.80
"""Share of targets that a candidate has to get right (paper, appendix B.1)."""
PASS_IOU = 0.80
"""IoU with the known mask from which a target is right: what the paper asks of two annotators."""


@dataclass(frozen=True)
class Score:
    """How one candidate did."""

    person: str
    targets: int
    right: int
    """Targets whose IoU with the known mask reaches the threshold."""
    iou: float
    """Mean IoU with the known masks."""
    passed: bool
    remarks: tuple[Remark, ...]


def export_trial(
    records: Sequence[Record],
    out: Path,
    images: Path,
    *,
    people: Sequence[str],
    tell: Callable[[], None] = lambda: None,
) -> None:
    """Writes a trial for the candidates over records with known masks, which are not in their folders.

    Raises ConfigError for names that make no folder, DataError when `out` holds something, when a record has no mask
    or two records have different masks for one label of an image; then nothing is written.
    """
    new_folder(out)
    check_people(people)
    if not people:
        raise ConfigError("a trial needs at least one candidate, got none; name them")
    known = _known(records)
    names = list(dict.fromkeys(item.image for item in known))
    check_stems(names)
    sizes = image_sizes(names, images, tell)
    for item, mask in known.items():
        if tuple(mask["size"]) != sizes[item.image]:
            raise DataError(
                f"the mask of {item.label!r} on {item.image} is {mask['size'][0]} x {mask['size'][1]} pixels, its "
                f"image {sizes[item.image][0]} x {sizes[item.image][1]}; give the image that it was drawn on"
            )
    sheets = [Sheet(name, sizes[name], wanted) for name, wanted in by_image(records).items()]
    with made_beside(out, replacing=[]) as folder:
        write_json(folder / TRIAL, {"people": list(people)})
        write_json(folder / RECORDS, list(records))
        for person in people:
            write_tasks(folder / TASKS / person, sheets, records, lambda name: images / name)


def score_trial(
    folder: Path, returned: Path | None = None, *, iou: float = PASS_IOU, share: float = PASS_SHARE
) -> list[Score]:
    """How each candidate did. Raises DataError when the folder is no trial or a candidate's folder is missing."""
    if not 0 < iou <= 1 or not 0 < share <= 1:
        raise ConfigError(f"the IoU and the share to pass are in 0..1 and not 0, got {iou} and {share}; choose others")
    try:
        people = [str(name) for name in json.loads((folder / TRIAL).read_text(encoding="utf-8"))["people"]]
    except FileNotFoundError as error:
        raise DataError(f"no {TRIAL} in {folder}; give the folder that `miras annotate trial` wrote") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / TRIAL} is no trial ({error!r}); write it again") from error
    records = given_out(folder)
    return [_score((returned or folder / TASKS) / person, person, records, iou, share) for person in people]


def _score(folder: Path, person: str, records: Sequence[Record], iou: float, share: float) -> Score:
    known = _known(records)
    sizes = {item.image: (mask["size"][0], mask["size"][1]) for item, mask in known.items()}
    work = collect(folder, person, by_image(records), records, sizes, all_due=True)
    sums, right = MaskSums(), 0
    for item, mask in known.items():
        one = counts(work.masks.get(item), mask)
        sums.update(one)
        right += one.iou >= iou
    # shares are compared as whole numbers of targets, so that 4 of 5 reach 0.8
    passed = right >= round(share * len(known), 9)
    return Score(person, len(known), right, float(sums.compute()["giou"]), passed, work.remarks)


def _known(records: Sequence[Record]) -> dict[Item, Rle]:
    known: dict[Item, Rle] = {}
    for item, numbers in items(records).items():
        for number in numbers:
            if (mask := records[number].get("mask")) is None:
                raise DataError(f"record {number} has no mask to compare with; leave it out or give it one")
            if known.setdefault(item, mask) != mask:
                raise DataError(f"record {number} has another mask for {item.label!r} than one before it; keep one")
    if not known:
        raise DataError("a trial needs at least one record, got none; give some with masks")
    return known
