"""COCO's `segmentation` as masks: polygons, run lengths as a list, run lengths as a text."""

from collections.abc import Sequence
from typing import Any

from pycocotools import mask as coco

from miras.errors import DataError
from miras.types import Rle

__all__ = ["read_outline", "united"]

_FAR = 1e6
"""Pixels from which on a corner is a mistake: drawn, it would take all memory."""


def read_outline(outline: Any, height: int, width: int, where: str) -> Rle | None:
    """The pixels of all polygons, or of all run lengths, together; None where nothing is drawn.

    Raises DataError, which begins with `where`, for an outline of another form or of another size.
    """
    if outline in (None, [], {}):
        return None
    try:
        if isinstance(outline, dict) or isinstance(outline[0], dict):
            lengths = [_packed(one, height, width) for one in (outline if isinstance(outline, list) else [outline])]
        else:
            lengths = coco.frPyObjects([_corners(one) for one in outline], height, width)
        merged = coco.merge(lengths)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{where}: segmentation should be polygons [x, y, x, y, …] or run lengths {{size, counts}} of a "
            f"{height}x{width} image ({error}); fetch the file again"
        ) from error
    return Rle(size=[height, width], counts=merged["counts"].decode("ascii"))


def united(masks: Sequence[Rle]) -> Rle:
    """The pixels that at least one of the masks holds; there is at least one, and all are of one size."""
    if len(masks) == 1:
        return masks[0]
    merged = coco.merge(list(masks))
    return Rle(size=[int(side) for side in merged["size"]], counts=merged["counts"].decode("ascii"))


def _corners(outline: Any) -> list[float]:
    """A polygon's x, y, x, y, …; pycocotools would take four numbers for a box, drop an odd one, and die of a NaN."""
    corners = [float(value) for value in outline]
    if not all(abs(corner) < _FAR for corner in corners):
        raise ValueError(f"a corner that is no number, or further away than {_FAR:,.0f} pixels")
    if len(corners) < 6 or len(corners) % 2:
        raise ValueError(f"a polygon of {len(corners)} numbers")
    return corners


def _packed(outline: Any, height: int, width: int) -> Any:
    """Run lengths as pycocotools packs them, from counts given as a list, a text or bytes."""
    if [int(side) for side in outline["size"]] != [height, width]:
        raise ValueError(f"run lengths of size {outline['size']}")
    counts = outline["counts"]
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts) < 0:
            raise ValueError(f"runs of {sum(counts)} pixels")
        return coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": counts if isinstance(counts, bytes) else counts.encode("ascii")}
