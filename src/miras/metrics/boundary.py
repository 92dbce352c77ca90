"""Boundary IoU: the IoU of the two outlines, each a band inside its mask (Cheng et al. 2021).

The band of a mask is what an erosion takes away: the pixels with one that is not marked, or lies outside the image, at
most d rows and d columns away. d is 2 % of the image's diagonal, rounded, at least 1, as in the authors' code. A band
is empty only where its mask is, so the empty rule of `miras.metrics.masks` holds as it stands, and so do its sums: put
the counts of bands into a `MaskSums` of their own, whose `giou` is the mean boundary IoU and whose `ciou` is that of
all bands together.
"""

import math
from collections.abc import Iterable

import numpy as np

from miras.data.masks import box, decode, read_runs
from miras.errors import ConfigError
from miras.metrics.masks import Counts
from miras.metrics.overlap import Pair, two_sizes
from miras.types import Rle

__all__ = ["RATIO", "band", "boundary_counts", "boundary_width", "count_boundaries"]

RATIO = 0.02
"""Width of the band as a share of the image's diagonal."""


def boundary_width(height: int, width: int, ratio: float = RATIO) -> int:
    """Pixels that the band of an image's masks is wide, at least 1."""
    if not ratio > 0:
        raise ConfigError(f"the band of a boundary IoU is wider than 0, got the ratio {ratio}; {RATIO} is usual")
    return max(1, round(ratio * math.hypot(height, width)))


def band(mask: np.ndarray, width: int) -> np.ndarray:
    """(H, W) bool mask → (H, W) bool: its pixels at most `width` rows and columns from one outside it."""
    return mask & ~_eroded(_eroded(mask, width).T, width).T


def _eroded(mask: np.ndarray, width: int) -> np.ndarray:
    """What keeps its `width` neighbours to both sides in its column, outside the mask being unmarked."""
    height = len(mask)
    kept = np.zeros_like(mask, order="C")
    if height <= 2 * width:
        return kept
    # how far down all are marked is doubled until it is the whole window
    run, reach = mask.copy(order="C"), 1
    while reach < 2 * width + 1:
        step = min(reach, 2 * width + 1 - reach)
        run = run[:-step] & run[step:]
        reach += step
    kept[width : height - width] = run
    return kept


def boundary_counts(predicted: Rle | None, target: Rle, ratio: float = RATIO) -> Counts:
    """The counts of the bands of two masks; None is an empty mask.

    Raises MaskError when the masks are not of one size or the runs of one do not fill it.
    """
    height, width = read_runs([target]).sizes[0].tolist()
    if predicted is not None and (size := read_runs([predicted]).sizes[0].tolist()) != [height, width]:
        raise two_sizes(tuple(size), (height, width))
    d = boundary_width(height, width, ratio)
    bands = [_placed_band(mask, d) for mask in (predicted, target) if mask is not None]
    areas = [int(np.count_nonzero(marked)) for marked, _ in bands]
    tp = _shared(*bands) if len(bands) == 2 else 0
    predicted_area = areas[0] if len(bands) == 2 else 0
    fp, fn = predicted_area - tp, areas[-1] - tp
    return Counts(tp, fp, fn, height * width - tp - fp - fn)


def count_boundaries(pairs: Iterable[Pair], ratio: float = RATIO) -> list[Counts]:
    """The counts of the bands of many pairs, see `boundary_counts`."""
    return [boundary_counts(predicted, target, ratio) for predicted, target in pairs]


_Placed = tuple[np.ndarray, tuple[int, int]]
"""A part of an image, and the row and column where it begins."""


def _placed_band(rle: Rle, width: int) -> _Placed:
    """The band of a mask within the mask's box, outside of which it has none."""
    mask = decode(rle)
    left, top, right, bottom = box(mask) or (0, 0, 0, 0)
    return band(mask[top:bottom, left:right], width), (top, left)


def _shared(first: _Placed, second: _Placed) -> int:
    """Pixels that both bands have."""
    starts = np.maximum(first[1], second[1])
    stops = np.minimum(np.add(first[1], first[0].shape), np.add(second[1], second[0].shape))
    if (starts >= stops).any():
        return 0
    parts = [
        marked[tuple(slice(a - at, b - at) for a, b, at in zip(starts, stops, place, strict=True))]
        for marked, place in (first, second)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))
