"""Which predicted mask stands for which target, one to one, where a reply holds several.

The pairs are those with the greatest sum of IoU. As many pairs are made as there can be: a mask that hits nothing is
still the answer to some target, so that one wrong mask for one target counts as one target, as it does without any
matching. Between equal sums, masks and targets in the same place of the reading order are paired.

A target without a partner is met with an empty mask. A predicted mask without a partner is *extra*: it counts as one
more target whose true mask is empty, so its IoU is 0 and its pixels are marked wrongly, and a reply never gains by
writing more masks. An extra mask without a pixel marks nothing and is no target.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from miras.metrics.masks import Counts, count_all
from miras.types import Rle

__all__ = ["Matching", "match"]

_TIE = 1e-9
"""What the reading order weighs at most against the sum of IoU."""


class Matching(NamedTuple):
    """Who is whose partner in one reply."""

    partners: tuple[int | None, ...]
    """For each target the place of its mask among the predicted ones, None where it has none."""
    counts: tuple[Counts, ...]
    """For each target, what its partner makes of it."""
    extra: tuple[int, ...]
    """Places of the predicted masks without a partner, those without a pixel left out."""
    extra_counts: tuple[Counts, ...]
    """For each extra mask, what it makes of a target whose true mask is empty."""


def match(predicted: Sequence[Rle], targets: Sequence[Rle]) -> Matching:
    """Pair the masks of one reply with its targets, see above.

    Raises MaskError when the masks are not all of one size or the runs of one do not fill it.
    """
    table = count_all((mask, target) for target in targets for mask in predicted)
    each = [table[row * len(predicted) : (row + 1) * len(predicted)] for row in range(len(targets))]
    iou = np.array([[one.iou for one in row] for row in each]).reshape(len(targets), len(predicted))
    partner = _assigned(iou)
    alone = iter(count_all((None, target) for row, target in enumerate(targets) if row not in partner))
    counts = tuple(each[row][partner[row]] if row in partner else next(alone) for row in range(len(targets)))
    rest = [place for place in range(len(predicted)) if place not in partner.values()]
    # with the sides changed, what is missed is what is marked too much
    missed = count_all((None, predicted[place]) for place in rest)
    extra = [(place, Counts(0, one.fn, 0, one.tn)) for place, one in zip(rest, missed, strict=True) if one.fn]
    return Matching(
        tuple(partner.get(row) for row in range(len(targets))),
        counts,
        tuple(place for place, _ in extra),
        tuple(one for _, one in extra),
    )


def _assigned(iou: np.ndarray) -> dict[int, int]:
    """(targets, predicted) IoU → place of the mask by the place of its target."""
    if not iou.size:
        return {}
    rows, columns = np.indices(iou.shape)
    value = iou - _TIE * ((rows - columns) / max(iou.shape)) ** 2 / max(iou.shape)
    if 1 in iou.shape:
        best = int(value.argmax())
        return {int(rows.flat[best]): int(columns.flat[best])}
    from scipy.optimize import linear_sum_assignment  # only where there is a choice between several pairings

    return {int(row): int(column) for row, column in zip(*linear_sum_assignment(value, maximize=True), strict=True)}
