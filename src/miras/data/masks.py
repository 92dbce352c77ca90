"""Masks in original pixels: COCO run lengths in and out, and the project's one size rule."""

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
    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode("ascii")}


def decode(rle: Rle) -> np.ndarray:
    """COCO run lengths → (H, W) bool mask. Raises MaskError when the runs do not fill the stated size."""
    height, width = rle["size"]
    try:
        mask = coco.decode({"size": [height, width], "counts": rle["counts"].encode("ascii")})
    except (ValueError, TypeError, AttributeError, UnicodeEncodeError) as error:
        raise MaskError(f"run lengths of a {height}x{width} mask do not decode ({error}); write it again") from error
    return mask.astype(bool)


def area(rle: Rle) -> int:
    """Number of pixels of the mask."""
    return int(coco.area({"size": rle["size"], "counts": rle["counts"].encode("ascii")}))


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
