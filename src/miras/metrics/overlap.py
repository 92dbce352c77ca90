"""How many pixels two masks share, from their run lengths: no mask is drawn."""

import numpy as np

from miras.data.masks import Runs

__all__ = ["overlaps"]


def overlaps(runs: Runs, pairs: int) -> np.ndarray:
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
