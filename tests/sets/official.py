"""Files as the authors of data sets hand them out: photos, outlines, label images, annotation files.

Photos show boxes of one colour each and are annotated by their corners, so what a mask holds can be read off the photo.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

__all__ = [
    "BLUE",
    "GREEN",
    "RED",
    "YELLOW",
    "box",
    "labels",
    "outline",
    "packed",
    "photo",
    "runs",
    "write_coco",
    "write_json",
]

Box = tuple[int, int, int, int]
RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 170, 70), (40, 80, 200), (230, 200, 40)
GREY = (128, 128, 128)


def photo(path: Path, size: tuple[int, int], boxes: Sequence[tuple[Box, tuple[int, int, int]]], turn: int = 1) -> None:
    """A JPEG of `size` (height, width) as it is stored, with an EXIF tag that says how it is to be turned."""
    pixels = np.full((*size, 3), GREY, dtype=np.uint8)
    for (left, top, right, bottom), color in boxes:
        pixels[top:bottom, left:right] = color
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    if turn != 1:
        exif[0x0112] = turn
    image.save(path, format="JPEG", quality=100, subsampling=0, exif=exif)


def box(size: tuple[int, int], *boxes: Box) -> np.ndarray:
    """(H, W) bool of all boxes together."""
    mask = np.zeros(size, dtype=bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def outline(*boxes: Box) -> list[list[float]]:
    """COCO's polygons, one per box."""
    return [[a, b, c, b, c, d, a, d] for a, b, c, d in boxes]


def runs(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as a list, as COCO writes crowds."""
    flat = np.concatenate([[False], mask.T.reshape(-1)])
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), mask.size)
    return {"size": list(mask.shape), "counts": np.diff(ends, prepend=0).tolist()}


def packed(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as a text, as PACO and VLPart write them."""
    one = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in one["size"]], "counts": one["counts"].decode()}


def labels(path: Path, values: np.ndarray, palette: bool = False) -> None:
    """A label image: grey values, or a palette's numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    if palette:
        image.putpalette([number * 7 % 256 for number in range(768)])
    image.save(path)


def write_json(path: Path, content: Any) -> Path:
    """JSON as the sets have it: on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_coco(
    path: Path,
    images: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    categories: Mapping[int, str],
) -> Path:
    """An annotation file; annotations get the ids 1000, 1001, …"""
    return write_json(
        path,
        {
            "info": {"description": "drawn", "nested": [1, {"images": []}]},
            "licenses": [],
            "images": list(images),
            "annotations": [{"id": 1000 + place, "iscrowd": 0, **one} for place, one in enumerate(annotations)],
            "categories": [{"id": number, "name": name, "supercategory": "x"} for number, name in categories.items()],
        },
    )
