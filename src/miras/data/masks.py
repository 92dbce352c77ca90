"""Masks in original pixels: COCO run lengths in and out, and the project's one size rule."""

import operator
from typing import Literal

import numpy as np
from pycocotools import mask as coco

from miras.errors import MaskError
from miras.types import Rle

__all__ = ["Granularity", "area", "box", "decode", "encode", "granularity"]

Granularity = Literal["fine", "medium", "coarse"]

_FINE_BELOW = (1.6 * 32) ** 2
_MEDIUM_BELOW = (1.6 * 96) ** 2


def encode(mask: np.ndarray) -> Rle:
    """(H, W) bool or 0/1 mask → COCO run lengths."""
    if mask.ndim != 2:
        raise MaskError(f"a mask has 2 axes (height, width), got shape {mask.shape}; encode one mask at a time")
    packed = coco.encode(np.asfortranarray(mask.astype(bool)).view(np.uint8))
    return {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode("ascii")}


def decode(rle: Rle) -> np.ndarray:
    """COCO run lengths → (H, W) bool mask. Raises MaskError when the runs do not fill the stated size."""
    runs, (height, width) = _runs(rle)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def area(rle: Rle) -> int:
    """Number of pixels of the mask. Raises MaskError when the runs do not fill the stated size."""
    return int(_runs(rle)[0][1::2].sum())


def _runs(rle: Rle) -> tuple[np.ndarray, tuple[int, int]]:
    """The lengths of the runs, outside and inside by turns, and (height, width).

    Read here and not by pycocotools, which takes runs that end early and leaves the rest of the mask to chance.
    """
    try:
        height, width = (operator.index(side) for side in rle["size"])
        letters = np.frombuffer(rle["counts"].encode("ascii"), np.uint8).astype(np.int64) - 48
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MaskError(
            f"a mask has size [height, width] and counts as text, got {rle!r:.80}; write it again"
        ) from error
    # each number is a run of 5-bit digits, lowest first; bit 5 says that more follow, bit 4 of the last is the sign
    ends = np.flatnonzero(letters & 32 == 0)
    starts = np.append(0, ends[:-1] + 1)
    wrong = (
        letters.size == 0 or letters.min() < 0 or letters.max() > 63 or not ends.size or ends[-1] != letters.size - 1
    )
    if not wrong and (ends - starts).max() < 8:
        digits = (letters & 31) << 5 * (np.arange(letters.size) - np.repeat(starts, ends - starts + 1))
        runs = np.add.reduceat(digits, starts) - np.where(letters[ends] & 16, 1 << 5 * (ends - starts + 1), 0)
        # from the fourth on, a number is the difference to the run before the last
        runs[1::2], runs[2::2] = runs[1::2].cumsum(), runs[2::2].cumsum()
        if runs.min() >= 0 and runs.sum() == height * width and min(height, width) >= 0:
            return runs, (height, width)
    raise MaskError(f"run lengths of a {height}x{width} mask do not fill it; write it again")


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
