"""Controls: what a figure would be if the model did not read the phrase, or did not look."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from miras.data.masks import decode
from miras.evaluate.photos.targets import PhotoCase
from miras.metrics.masks import Counts, MaskSums, counts
from miras.types import Rle

__all__ = ["MAX_OVERLAP", "centre_box", "centre_box_giou", "other_phrase", "other_phrases"]

MAX_OVERLAP = 0.5
"""Another phrase counts as other only when the two true masks have a lower IoU than this."""


def other_phrases(cases: Sequence[PhotoCase], *, seed: int) -> dict[int, PhotoCase]:
    """For each case's index another case of its photo, of another class and with another mask, seeded.

    Cases whose photo offers none are absent.
    """
    by_photo: dict[int, list[PhotoCase]] = {}
    for case in cases:
        by_photo.setdefault(case.photo_index, []).append(case)
    chosen = {}
    for neighbours in by_photo.values():
        for case in neighbours:
            others = [
                other
                for other in neighbours
                if other.target.class_name != case.target.class_name
                and counts(other.target.mask, case.target.mask).iou < MAX_OVERLAP
            ]
            if others:
                chosen[case.index] = others[int(np.random.default_rng([seed, case.index, 2]).integers(len(others)))]
    return chosen


def other_phrase(cases: Sequence[PhotoCase], direct: Mapping[int, Rle | None], *, seed: int) -> dict[str, Any]:
    """Score each target against the direct prediction that the same photo's other phrase got.

    `direct` holds the predicted mask of every case by its index, None where nothing was marked. Beside
    the figure stand: `_direct`, direct gIoU on the same targets; `_drop`, how much lower the control is;
    `_perfect`, what a faultless model would get, since true masks overlap; `_n`; `_left_out`.
    """
    others = other_phrases(cases, seed=seed)
    swapped, own, perfect = MaskSums(), MaskSums(), MaskSums()
    for case in cases:
        if (other := others.get(case.index)) is None:
            continue
        target = case.target.mask
        swapped.update(counts(direct[other.index], target))
        own.update(counts(direct[case.index], target))
        perfect.update(counts(other.target.mask, target))
    control, same = swapped.compute()["giou"], own.compute()["giou"]
    return {
        "other_phrase": control,
        "other_phrase_direct": same,
        "other_phrase_drop": None if same is None else same - control,
        "other_phrase_perfect": perfect.compute()["giou"],
        "other_phrase_n": own.targets,
        "other_phrase_left_out": len(cases) - own.targets,
    }


def centre_box(height: int, width: int, share: float) -> np.ndarray:
    """(H, W) bool: the centred box of the image's own proportions that covers `share` (0..1) of it."""
    mask = np.zeros((height, width), dtype=bool)
    rows, columns = (max(1, round(side * share**0.5)) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    mask[top : top + rows, left : left + columns] = True
    return mask


def centre_box_giou(cases: Sequence[PhotoCase]) -> float | None:
    """gIoU of one answer to everything: the centred box as large as the mean target."""
    if not cases:
        return None
    share = float(np.mean([case.target.area for case in cases]))
    sums = MaskSums()
    for case in cases:
        target = decode(case.target.mask)
        height, width = target.shape
        sums.update(Counts.of(centre_box(height, width, share), target))
    figure: float = sums.compute()["giou"]
    return figure
