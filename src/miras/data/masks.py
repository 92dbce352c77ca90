"""Masks in original pixels: COCO run lengths in and out, and the project's one size rule."""

import operator
from collections.abc import Sequence
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
from pycocotools import mask as coco

from miras.errors import MaskError
from miras.types import Rle

__all__ = ["Granularity", "Runs", "area", "box", "decode", "encode", "granularity", "read_runs"]

Granularity = Literal["fine", "medium", "coarse"]

_FINE_BELOW = (1.6 * 32) ** 2
_MEDIUM_BELOW = (1.6 * 96) ** 2

_SMALL = 2**29
"""What is less leaves 32 bits neither as a sum of two nor when it is doubled."""


def encode(mask: np.ndarray) -> Rle:
    """(H, W) bool or 0/1 mask → COCO run lengths."""
    if mask.ndim != 2:
        raise MaskError(f"a mask has 2 axes (height, width), got shape {mask.shape}; encode one mask at a time")
    packed = coco.encode(np.asfortranarray(mask.astype(bool)).view(np.uint8))
    return {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode("ascii")}


def decode(rle: Rle) -> np.ndarray:
    """COCO run lengths → (H, W) bool mask. Raises MaskError when the runs do not fill the stated size."""
    runs = read_runs([rle])
    height, width = runs.sizes[0].tolist()
    lengths = np.diff(runs.bounds.reshape(-1), prepend=0)
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T


def area(rle: Rle) -> int:
    """Number of pixels of the mask. Raises MaskError when the runs do not fill the stated size."""
    return int(read_runs([rle]).areas[0])


class Runs(NamedTuple):
    """The runs of K masks whose pixels lie on one line, column by column and mask after mask."""

    bounds: np.ndarray
    """(R, 2) where each run inside begins and ends; the last of a mask ends with the mask, if need be at length 0."""
    first: np.ndarray
    """(K,) the row with which each mask begins."""
    areas: np.ndarray
    """(K,) pixels inside."""
    sizes: np.ndarray
    """(K, 2) height and width."""


def read_runs(rles: Sequence[Rle]) -> Runs:
    """The runs of many masks, read at once, which is many times as fast as one by one where masks are small.

    Raises MaskError for the first mask whose runs do not fill its size. Read here and not by pycocotools, which takes
    runs that end early and leaves the rest of the mask to chance.
    """
    if not rles:
        none = np.zeros((0, 2), dtype=np.int64)
        return Runs(none, none[:, 0], none[:, 0], none)
    try:
        given, texts = [rle["size"] for rle in rles], [rle["counts"] for rle in rles]
        sides = list(map(operator.index, chain.from_iterable(given)))
        letters = np.frombuffer("".join(texts).encode("ascii"), np.uint8) - 48
        understood = set(map(len, given)) == {2}
        sizes = np.array(sides if understood else [], dtype=np.int64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        understood = False
    runs = _runs(letters, np.cumsum(list(map(len, texts))), sizes) if understood else None
    if runs is not None:
        return runs
    if len(rles) > 1:
        for rle in rles:
            read_runs([rle])
    if not understood:
        raise MaskError(f"a mask has size [height, width] and counts as text, got {rles[0]!r:.80}; write it again")
    height, width = sizes[0].tolist()
    raise MaskError(f"run lengths of a {height}x{width} mask do not fill it; write it again")


def _runs(letters: np.ndarray, stops: np.ndarray, sizes: np.ndarray) -> Runs | None:
    """(L,) uint8 letters of K masks, (K,) where each ends and its size → their runs; None where some are wrong."""
    wrong = not letters.size or letters.max() > 63 or (letters[stops - 1] & 32).any()
    if wrong or sizes.min() < 0 or sizes.max() >= 2**24 or (read := _numbers(letters)) is None:
        return None
    numbers, ends = read
    until = ends.searchsorted(stops)
    since = np.append(0, until[:-1])
    rows = (until - since + 1) >> 1
    if rows.min() < 1:
        return None
    pixels = sizes.prod(axis=1)
    line = pixels.cumsum()
    lengths = np.empty((rows.sum(), 2), dtype=numbers.dtype if line[-1] < _SMALL else np.int64)
    after = rows.cumsum()
    first, odd = after - rows, (until - since) % 2 == 1
    lengths[after[odd] - 1, 1] = 0
    flat = lengths.reshape(-1)
    for begin, end, place in zip(since.tolist(), until.tolist(), (2 * first).tolist(), strict=True):
        flat[place : place + end - begin] = numbers[begin:end]
    lengths = _summed(lengths, first, rows, odd)
    # seen without a sign, a negative length is a huge one
    unsigned = f"u{lengths.itemsize}"
    if lengths.view(unsigned).max() > pixels.max():
        return None
    areas = np.add.reduceat(lengths[:, 1], first, dtype=lengths.dtype).astype(np.int64)
    bounds = lengths.reshape(-1).cumsum(dtype=lengths.dtype).reshape(-1, 2)
    if (bounds[after - 1, 1] != line).any() or bounds.view(unsigned).max() > line[-1]:
        return None
    return Runs(bounds, first, areas, sizes)


def _numbers(letters: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The numbers that the letters write, and where each ends; None where one has more than 8 letters.

    A letter is a digit of 5 bits, the lowest first; bit 5 says that more follow, bit 4 of the last is the sign. Nearly
    all numbers have at most three letters: these are read for all letters at once, in 16 bits.
    """
    values = letters.astype(np.int16)
    digits, more = values & 31, values >> 5
    np.bitwise_xor(digits, 16, out=values)
    values -= 16
    goes_on = more[:-1]
    for back in (1, 2):
        # 32 · value + digit, where the number goes on that far
        step = 31 * values[back:]
        step += digits[:-back]
        step *= goes_on
        values[back:] += step
        goes_on = goes_on[1:] & more[: -back - 1]
    ends = np.flatnonzero(letters < 32)
    at = np.flatnonzero(goes_on > more[3:]) + 3
    longer, going = values[at].astype(np.int64), np.arange(len(at))
    for back in range(3, 8):
        places = at[going] - back
        longer[going] = 32 * longer[going] + digits[places]
        going = going[(places > 0) & (more[places - 1] == 1)]
    if going.size:
        return None
    small = int(np.abs(longer).max(initial=0)) < _SMALL
    numbers = values.take(ends, mode="clip").astype(np.int32 if small else np.int64)  # the places need no check
    numbers[ends.searchsorted(at)] = longer
    return numbers, ends


def _summed(numbers: np.ndarray, first: np.ndarray, rows: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Numbers → run lengths: from a mask's fourth on, a number is the difference to the run before the last.

    So each column is a running sum, once what the mask before leaves behind is taken off where a mask begins.
    """
    left = np.add.reduceat(numbers, first, axis=0, dtype=numbers.dtype)
    start, several = numbers[first, 0], rows > 1
    # the 0 that fills up a last row is made the end of its sum
    numbers[(first + rows)[odd] - 1, 1] -= left[odd, 1]
    left[odd, 1] = 0
    left[several, 0] -= start[several]
    numbers[first[1:]] -= left[:-1]
    numbers[first[several] + 1, 0] -= start[several]  # the first run outside belongs to no sum
    # numpy adds up five times as fast what does not lie in one piece, so the caller gets it with gaps
    apart = np.empty((2 * len(numbers), 2), dtype=numbers.dtype)[:, 0].reshape(-1, 2)
    return numbers.cumsum(axis=0, dtype=numbers.dtype, out=apart)


def box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of the mask's pixels, right and bottom outside; None when empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def granularity(share: float) -> Granularity:
    """Size class of a mask that covers `share` (0..1) of its image.

    The share is taken to a 1024 x 1024 image and compared with (1.6·32)² and (1.6·96)² pixels (paper, table 2).
    """
    pixels = share * 1024**2
    if pixels < _FINE_BELOW:
        return "fine"
    return "medium" if pixels < _MEDIUM_BELOW else "coarse"
