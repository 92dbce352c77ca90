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

from miras.data.masks import read_runs
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
    rim = mask.copy()
    height, columns = mask.shape
    if min(height, columns) > 2 * width:
        rim[width : height - width, width : columns - width] &= ~_windows(_windows(mask, width, 0), width, 1)
    return rim


def _windows(mask: np.ndarray, width: int, axis: int) -> np.ndarray:
    """For each stretch of 2 · `width` + 1 pixels along the axis whether all are marked."""
    window, reach = 2 * width + 1, 1
    while reach < window:  # how far on all are marked is doubled until it is the window
        step = min(reach, window - reach)
        here, on = (slice(None, -step), slice(step, None)) if axis == 0 else (np.s_[:, :-step], np.s_[:, step:])
        mask = mask[here] & mask[on]
        reach += step
    return mask


def boundary_counts(predicted: Rle | None, target: Rle, ratio: float = RATIO) -> Counts:
    """The counts of the bands of two masks; None is an empty mask.

    Raises MaskError when the masks are not of one size or the runs of one do not fill it.
    """
    masks = [target] if predicted is None else [target, predicted]
    runs = read_runs(masks)
    sizes = [tuple(size) for size in runs.sizes.tolist()]
    if sizes[0] != sizes[-1]:
        raise two_sizes(sizes[-1], sizes[0])
    height, width = sizes[0]
    d, stops = boundary_width(height, width, ratio), [*runs.first[1:].tolist(), len(runs.bounds)]
    bands = [
        _placed_band(runs.bounds[since:until] - place * height * width, height, d)
        for place, (since, until) in enumerate(zip(runs.first.tolist(), stops, strict=True))
    ]
    true, marked = (int(np.count_nonzero(pixels)) for pixels, _ in (bands[0], bands[-1]))
    tp = _shared(*bands) if predicted is not None else 0
    fp = marked - tp if predicted is not None else 0
    return Counts(tp, fp, true - tp, height * width - true - fp)


def count_boundaries(pairs: Iterable[Pair], ratio: float = RATIO) -> list[Counts]:
    """The counts of the bands of many pairs, see `boundary_counts`."""
    return [boundary_counts(predicted, target, ratio) for predicted, target in pairs]


_Placed = tuple[np.ndarray, tuple[int, int]]
"""A part of an image, column by column, and the column and row where it begins."""


def _placed_band(bounds: np.ndarray, height: int, width: int) -> _Placed:
    """(R, 2) where runs begin and end → the band of their mask, drawn within its box, outside of which it has none."""
    bounds = bounds[bounds[:, 0] < bounds[:, 1]]
    if not bounds.size:
        return np.zeros((0, 0), dtype=bool), (0, 0)
    left, right = int(bounds[0, 0]) // height, -(-int(bounds[-1, 1]) // height)
    lengths = np.diff(bounds.reshape(-1) - left * height, prepend=0, append=(right - left) * height)
    columns = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(right - left, height)
    rows = np.flatnonzero(columns.any(axis=0))
    return band(columns[:, rows[0] : rows[-1] + 1], width), (left, int(rows[0]))


def _shared(first: _Placed, second: _Placed) -> int:
    """Pixels that both bands have."""
    starts = np.maximum(first[1], second[1])
    stops = np.minimum(np.add(first[1], first[0].shape), np.add(second[1], second[0].shape))
    if (starts >= stops).any():
        return 0
    parts = [
        pixels[tuple(slice(a - at, b - at) for a, b, at in zip(starts, stops, place, strict=True))]
        for pixels, place in (first, second)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))
