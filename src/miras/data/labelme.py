"""labelme's JSON: one file per image with labelled shapes, read as masks and written so that labelme opens it.

labelme itself is never imported. Shapes with one label make one mask together; a shape whose flags say
`{"hole": true}` is taken out of it again, which labelme shows and keeps like any flag.
"""

import base64
import binascii
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from miras.data.masks import box
from miras.errors import DataError

__all__ = ["Labelled", "Shape", "mask_shape", "polygon", "read_labelme", "written"]

_VERSION = "5.8.1"
"""Version of labelme whose format is written."""
_POINTS = {"rectangle": 2, "circle": 2, "mask": 2}


@dataclass(frozen=True)
class Shape:
    """One labelled outline, or one mask."""

    label: str
    kind: str
    """polygon, rectangle, oriented_rectangle, circle or mask; points, lines and the like have no area and are left out
    of masks."""
    points: tuple[tuple[float, float], ...]
    """(x, y) in pixels: corners; two opposite corners; a circle's centre and a point on it."""
    hole: bool = False
    pixels: np.ndarray | None = field(default=None, compare=False, repr=False)
    """(h, w) bool of a mask shape, in the box of its two points."""

    def draw(self, height: int, width: int) -> np.ndarray:
        """(H, W) bool, outlines included, as labelme fills them."""
        canvas = Image.new("1", (width, height))
        draw = ImageDraw.Draw(canvas)
        if self.kind in ("polygon", "oriented_rectangle"):
            draw.polygon(list(self.points), fill=1, outline=1)
        elif self.kind == "rectangle":
            (x, y), (other_x, other_y) = self.points
            draw.rectangle([min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)], fill=1, outline=1)
        elif self.kind == "circle":
            (x, y), (on_x, on_y) = self.points
            reach = float(np.hypot(on_x - x, on_y - y))
            draw.ellipse([x - reach, y - reach, x + reach, y + reach], fill=1, outline=1)
        drawn = np.array(canvas, dtype=bool)
        if self.kind == "mask" and self.pixels is not None:
            left, top = (round(value) for value in self.points[0])
            rows, columns = self.pixels.shape
            room = drawn[max(top, 0) : top + rows, max(left, 0) : left + columns]
            room |= self.pixels[max(-top, 0) :, max(-left, 0) :][: room.shape[0], : room.shape[1]]
        return drawn


@dataclass(frozen=True)
class Labelled:
    """All shapes of one image."""

    image: str
    """Path of the image as the file gives it, mostly relative to the file."""
    height: int
    width: int
    shapes: tuple[Shape, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else the file holds; labelme keeps it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, once each, in order."""
        return tuple(dict.fromkeys(shape.label for shape in self.shapes))

    def mask(self, label: str) -> np.ndarray | None:
        """(H, W) bool of the shapes with exactly this label; None when there is none."""
        named = [shape for shape in self.shapes if shape.label == label]
        if not named:
            return None
        mask = np.zeros((self.height, self.width), dtype=bool)
        for shape in named:
            if not shape.hole:
                mask |= shape.draw(self.height, self.width)
        for shape in named:
            if shape.hole:
                mask &= ~shape.draw(self.height, self.width)
        return mask


def read_labelme(path: str | Path) -> Labelled:
    """One labelme file. Raises DataError, naming file and shape, for what labelme would not have written."""
    path = Path(path)
    try:
        data = json.loads(_decoded(path.read_bytes()))
    except FileNotFoundError as error:
        raise DataError(f"no labelme file at {path}; check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); save it again in labelme") from error
    try:
        height, width = int(data["imageHeight"]), int(data["imageWidth"])
        shapes = data["shapes"]
        image = str(data.get("imagePath") or f"{path.stem}.jpg")
        if not isinstance(shapes, list) or height < 1 or width < 1:
            raise TypeError(f"shapes {type(shapes).__name__}, size {height} x {width}")
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(
            f"{path} should hold shapes, imageHeight and imageWidth as labelme writes them, got {error}; save it again"
        ) from error
    known = {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"}
    more = {name: value for name, value in data.items() if name not in known}
    read = tuple(_shape(shape, f"{path}, shape {index}") for index, shape in enumerate(shapes))
    return Labelled(image, height, width, read, more)


def _decoded(content: bytes) -> str:
    """labelme on Windows wrote the local code page for years."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def _shape(shape: Any, where: str) -> Shape:
    try:
        kind = shape.get("shape_type") or "polygon"
        points = tuple((float(x), float(y)) for x, y in shape["points"])
        label = shape["label"]
        if not isinstance(label, str):
            raise TypeError(f"label {label!r}")
        if not np.isfinite(np.array(points)).all():
            raise ValueError("points that are no numbers")
        if len(points) < _POINTS.get(kind, 1) or (kind in ("polygon", "oriented_rectangle") and len(points) < 3):
            raise ValueError(f"a {kind} of {len(points)} points")
        pixels = _bits(shape["mask"]) if kind == "mask" else None
    except (AttributeError, KeyError, TypeError, ValueError, OSError, binascii.Error) as error:
        raise DataError(f"{where} should have label, points and shape_type, got {error}; draw it again") from error
    hole = bool((shape.get("flags") or {}).get("hole"))
    return Shape(label, kind, points[:2] if kind in _POINTS else points, hole, pixels)


def _bits(text: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        return np.asarray(image.convert("L")) > 0


def mask_shape(label: str, mask: np.ndarray) -> Shape | None:
    """(H, W) bool → a mask shape that holds exactly its pixels; None for an empty mask."""
    if (around := box(mask)) is None:
        return None
    left, top, right, bottom = around
    corners = ((float(left), float(top)), (float(right - 1), float(bottom - 1)))
    return Shape(label, "mask", corners, pixels=mask[top:bottom, left:right])


def polygon(label: str, points: Sequence[tuple[float, float]], *, hole: bool = False) -> Shape:
    """A polygon through (x, y) points in pixels."""
    return Shape(label, "polygon", tuple(points), hole)


def written(labelled: Labelled) -> dict[str, Any]:
    """The content of a labelme file; the image stays outside, where `imagePath` points."""
    return {
        **labelled.more,
        "version": _VERSION,
        "flags": {},
        "shapes": [_plain(shape) for shape in labelled.shapes],
        "imagePath": labelled.image,
        "imageData": None,
        "imageHeight": labelled.height,
        "imageWidth": labelled.width,
    }


def _plain(shape: Shape) -> dict[str, Any]:
    content = None
    if shape.pixels is not None:
        file = io.BytesIO()
        Image.fromarray(shape.pixels.astype(np.uint8) * 255).convert("1").save(file, format="PNG")
        content = base64.b64encode(file.getvalue()).decode("ascii")
    return {
        "label": shape.label,
        "points": [list(point) for point in shape.points],
        "group_id": None,
        "description": "",
        "shape_type": shape.kind,
        "flags": {"hole": True} if shape.hole else {},
        "mask": content,
    }
