"""Pixels that two masks share, and those that one has alone, from their run lengths: no mask is drawn."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from miras.data.masks import Runs, read_runs
from miras.errors import MaskError
from miras.types import Rle

__all__ = ["Pair", "tables", "two_sizes"]

Pair = tuple[Rle | None, Rle]
"""A predicted mask, None where nothing was marked, and the true one."""

_PAIRS = 128
"""Pairs of one batch at most: enough that numpy's calls do not count."""
_LETTERS = 2**18
"""Run lengths of one batch, in letters: few enough to stay in the processor's cache."""


def tables(pairs: Iterable[Pair]) -> Iterator[np.ndarray]:
    """(n, 4) int64 tp, fp, fn and tn of some hundred pairs after the other.

    Raises MaskError when the masks of a pair are not of one size or the runs of a mask do not fill it.
    """
    # glibc gives freed memory back at once, and a page fault per 4 KiB when it is needed again is a third of the time,
    # unless it has seen a larger block come and go; this one is never touched
    np.empty(2**24, dtype=np.uint8)
    return map(_table, _batches(pairs))


def two_sizes(predicted: tuple[int, ...], target: tuple[int, ...]) -> MaskError:
    """What is wrong when two masks are not of one size."""
    return MaskError(
        f"prediction and target are (H, W) masks of one image, got {predicted} and {target}; "
        "bring the prediction to original pixels first"
    )


def _batches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    remaining = iter(pairs)
    while batch := list(islice(remaining, _PAIRS)):
        size = max(1, len(batch) * _LETTERS // max(_letters(batch), _LETTERS))
        yield from (batch[begin : begin + size] for begin in range(0, len(batch), size))


def _letters(batch: Sequence[Pair]) -> int:
    try:
        return sum(len(mask["counts"]) for pair in batch for mask in pair if mask is not None)
    except (KeyError, TypeError):
        return 0  # what is no mask is refused where it is read


def _table(batch: Sequence[Pair]) -> np.ndarray:
    both = [place for place, (predicted, _) in enumerate(batch) if predicted is not None]
    alone = [place for place, (predicted, _) in enumerate(batch) if predicted is None]
    # the pairs' masks in the same order on both sides, then the targets of pairs that have but one
    runs = read_runs([*(p for p, _ in batch if p is not None), *(batch[place][1] for place in both + alone)])
    pairs = len(both)
    different = (runs.sizes[:pairs] != runs.sizes[pairs : 2 * pairs]).any(axis=1)
    if different.any():
        place = int(different.argmax())
        raise two_sizes(*(tuple(runs.sizes[at].tolist()) for at in (place, pairs + place)))
    tp, fp = np.zeros((2, len(batch)), dtype=np.int64)
    tp[:pairs] = _overlaps(runs, pairs)
    fp[:pairs] = runs.areas[:pairs] - tp[:pairs]
    fn = runs.areas[pairs:] - tp
    counted = np.empty((len(batch), 4), dtype=np.int64)
    counted[both + alone] = np.stack([tp, fp, fn, runs.sizes[pairs:].prod(axis=1) - tp - fp - fn], axis=1)
    return counted


def _overlaps(runs: Runs, pairs: int) -> np.ndarray:
    """(pairs,) pixels that masks k and pairs + k share, for the first 2 · pairs masks of the runs; sizes agree.

    All images lie on one line, one after the other. Where a run inside begins and where it ends is sorted along that
    line for both sides together; between two neighbours both masks are inside when two beginnings are open.
    """
    if not pairs:
        return np.zeros(0, dtype=np.int64)
    middle = int(runs.first[pairs])
    stop = int(runs.first[2 * pairs]) if 2 * pairs < len(runs.first) else len(runs.bounds)
    # 2 · place, and 1 more for a beginning: an end comes before a beginning in the same place
    keys = 2 * runs.bounds[:stop]
    keys[:, 0] += 1
    keys[middle:] -= keys[middle - 1, 1]
    keys = keys.reshape(-1)
    keys.sort(kind="stable")  # two sorted halves, which this merges
    change = keys.astype(np.int8)
    change &= 1
    change *= 2
    change -= 1
    # from the end, since numpy adds up five times as fast what it reads backwards: -2 where two ends are still to come
    two_open = change[:0:-1].cumsum(dtype=np.int8) == -2
    gaps = keys[1:] - keys[:-1]
    gaps += 1  # from a beginning, which is odd, to an end
    gaps &= -two_open.view(np.int8)[::-1]
    begin = 2 * (runs.first[:pairs] + runs.first[pairs : 2 * pairs] - middle)
    return np.add.reduceat(gaps, begin, dtype=np.int64) >> 1
