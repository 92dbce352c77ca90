"""Masks in the forms that clients ask for: run lengths, outlines, SVG, PNG."""

import base64
import io
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field

from miras.model.replies import Segment
from miras.serve.http.bodies import MaskBody

__all__ = ["MaskForm", "PngMask", "PolygonMask", "SvgMask", "mask_as", "rings"]

MaskForm = Literal["rle", "polygons", "svg", "png"]


class _Sized(BaseModel):
    size: list[int] = Field(min_length=2, max_length=2, description="[height, width] in pixels.")


class PolygonMask(_Sized):
    """A mask as outlines along the edges of its pixels."""

    polygons: list[list[int]] = Field(
        description="Closed rings [x, y, x, y, …]; a pixel is inside where it is within an odd number of them."
    )


class SvgMask(_Sized):
    """A mask as a picture of one path."""

    svg: str


class PngMask(_Sized):
    """A mask as a black and white PNG."""

    png: str = Field(description="A data URI.")


def mask_as(segment: Segment, form: MaskForm) -> MaskBody | PolygonMask | SvgMask | PngMask:
    """A segment's mask in a form."""
    mask = segment.mask
    size = list(mask.shape)
    if form == "polygons":
        return PolygonMask(size=size, polygons=rings(mask))
    if form == "svg":
        return SvgMask(size=size, svg=_svg(mask))
    if form == "png":
        content = io.BytesIO()
        Image.fromarray(mask).save(content, "PNG")
        return PngMask(size=size, png=f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}")
    return MaskBody(**segment.rle)


def rings(mask: np.ndarray) -> list[list[int]]:
    """The exact outlines of a mask (H, W): rings of pixel corners [x, y, x, y, …], each first along x.

    Filled by the even-odd rule they are the mask again, holes included.
    """
    around = np.pad(mask, 1).astype(np.uint8)
    # a corner of the outline is where an odd number of the four pixels around are inside
    odd = around[1:, 1:] ^ around[1:, :-1] ^ around[:-1, 1:] ^ around[:-1, :-1]
    # and where two meet only at the corner, two corners lie upon one another, which drop out of both pairings
    rows, columns = np.nonzero(odd)
    if not len(rows):
        return []
    sideways = np.empty(len(rows), dtype=np.int64)  # along a row, corners are ends of an edge in pairs
    sideways[0::2], sideways[1::2] = np.arange(1, len(rows), 2), np.arange(0, len(rows), 2)
    order = np.lexsort((rows, columns))
    upright = np.empty(len(rows), dtype=np.int64)
    upright[order[0::2]], upright[order[1::2]] = order[1::2], order[0::2]
    return _walk(np.stack((columns, rows), 1).tolist(), sideways.tolist(), upright.tolist())


def _walk(corners: list[list[int]], sideways: list[int], upright: list[int]) -> list[list[int]]:
    """Follow edges, along x and along y in turn, until each ring closes."""
    found, seen = [], [False] * len(corners)
    for start in range(len(corners)):
        ring: list[int] = []
        at = start
        while not seen[at]:
            beside = sideways[at]
            seen[at] = seen[beside] = True
            ring += [*corners[at], *corners[beside]]
            at = upright[beside]
        if ring:
            found.append(ring)
    return found


def _svg(mask: np.ndarray) -> str:
    height, width = mask.shape
    path = "".join(f"M{' '.join(map(str, ring))}Z" for ring in rings(mask))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<path fill-rule="evenodd" d="{path}"/></svg>'
    )
