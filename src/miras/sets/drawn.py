"""Masks as people hand them in: run lengths, polygons or a PNG, checked against the image that they belong to."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from miras.data.images import image_size
from miras.data.masks import area, encode
from miras.data.outlines import read_outline
from miras.errors import DataError, ImageError, MaskError
from miras.types import Rle

__all__ = ["read_mask"]

_SLACK = 1.0
"""Pixels by which a corner may lie outside the image."""


def read_mask(mask: Any, folder: Path, image: str) -> Rle:
    """Run lengths of a mask in any form, as large as its image and not empty.

    Paths are relative to `folder`. Raises ImageError for the image, DataError for the mask.
    """
    height, width = _size(folder / image)
    if isinstance(mask, str):
        read = _png(folder / mask)
    elif isinstance(mask, dict):
        _check_size(mask.get("size"), [height, width], image)
        read = _lengths(mask, height, width)
    else:
        read = _polygons(mask, height, width)
    _check_size(read["size"], [height, width], image)
    if not area(read):
        raise DataError(f"the mask on {image} should hold a pixel, got none; leave out what is not there")
    return read


@lru_cache(maxsize=1024)
def _size(path: Path) -> tuple[int, int]:
    return image_size(path)


def _check_size(size: Any, expected: list[int], image: str) -> None:
    if size != expected:
        raise DataError(f"the mask should have size {expected} like {image}, upright, got {size!r:.40}; scale it")


def _lengths(mask: dict[str, Any], height: int, width: int) -> Rle:
    """COCO's run lengths of that size, as text or as a list of numbers."""
    try:
        if isinstance(mask["counts"], str):
            area(read := Rle(size=[height, width], counts=mask["counts"]))
            return read
        packed = read_outline(mask, height, width, "the mask")
    except (KeyError, TypeError, ValueError, IndexError, MaskError, DataError) as error:
        raise DataError(
            f"a mask of run lengths should have size [{height}, {width}] and counts that fill it, got {mask!r:.80}"
        ) from error
    assert packed is not None
    return packed


def _polygons(outline: Any, height: int, width: int) -> Rle:
    """A list of polygons, each x, y, x, y, … of three corners or more; what several enclose counts once."""
    wanted = f"a list of polygons [x, y, x, y, …] with 0 ≤ x ≤ {width} and 0 ≤ y ≤ {height}"
    try:
        corners = [np.array(one, dtype=float).reshape(-1, 2) for one in outline]
        for one in corners:  # before they are drawn: a corner that is no number, or far away, takes all memory
            if not ((one >= -_SLACK).all() and (one <= [width + _SLACK, height + _SLACK]).all()):
                raise ValueError("a corner outside")
        drawn = read_outline([one.ravel().tolist() for one in corners], height, width, "the mask")
        if drawn is None:
            raise ValueError("no polygon")
    except (TypeError, ValueError, DataError) as error:
        raise DataError(f"the mask should be {wanted}, got {outline!r:.80}") from error
    return drawn


def _png(path: Path) -> Rle:
    """A PNG that is 0 outside the mask, in whatever mode."""
    try:
        with Image.open(path) as image:
            if image.format != "PNG":
                raise DataError(f"the mask {path} should be a PNG, got {image.format}, whose edges are not exact")
            bands = image.getbands()
            pixels = np.asarray(image)
    except FileNotFoundError as error:
        raise DataError(f"no mask at {path}; paths are relative to the JSONL") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"the mask {path} is no image that Pillow reads ({error}); save it again as PNG") from error
    marked = np.atleast_3d(pixels > 0)
    if bands[-1] == "A":
        marked = marked[..., :-1] & marked[..., -1:]
    return encode(np.asarray(marked.any(axis=2)))
