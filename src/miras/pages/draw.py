"""Masks on photos: each in its own colour with a two-tone outline and a label, on images of any size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from miras.data.masks import box
from miras.errors import ImageError, MaskError
from miras.files import printable, write_beside

__all__ = ["PALETTE", "overlay", "save_png"]

PALETTE = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233), (240, 228, 66),
)  # fmt: skip
"""Okabe and Ito's colours, which people with any kind of colour blindness tell apart; dark ones come early."""

_PIXELS_PER_LINE = 500
_OUTLINED_FROM = 64


def overlay(
    image: np.ndarray,
    masks: Sequence[np.ndarray],
    names: Sequence[str] | None = None,
    opacity: float = 0.5,
    *,
    first: int = 0,
) -> np.ndarray:
    """(H, W, 3) uint8 image and (H, W) bool masks → (H, W, 3) uint8 with the masks painted on it.

    Later masks lie over earlier ones. The outline lies inside the mask, so pixels outside every mask change only
    under a label. Images under 64 pixels get no outline. `first` is the palette colour of the first mask. Raises
    ImageError or MaskError when shapes do not fit.
    """
    _check(image, masks, names)
    painted = image.copy()
    longest = max(image.shape[:2])
    width = max(1, round(longest / _PIXELS_PER_LINE)) if longest >= _OUTLINED_FROM else 0
    for index, mask in enumerate(masks):
        color = PALETTE[(first + index) % len(PALETTE)]
        _paint(painted, mask.astype(bool), color, opacity=opacity, width=width)
    if names is None:
        return painted
    return _label(painted, [box(mask) for mask in masks], names, first=first)


def save_png(path: Path, array: np.ndarray) -> Path:
    """Writes (H, W, 3) uint8, or an (H, W) bool mask as black and white, in one step."""
    pixels = array.astype(np.uint8) * 255 if array.dtype == bool else array
    with write_beside(path) as beside:
        Image.fromarray(pixels).save(beside, format="PNG")
    return path


def _check(image: np.ndarray, masks: Sequence[np.ndarray], names: Sequence[str] | None) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(f"an overlay needs an (H, W, 3) uint8 image, got {image.shape} {image.dtype}; load it first")
    for mask in masks:
        if mask.shape != image.shape[:2]:
            raise MaskError(f"a mask of {mask.shape} does not fit an image of {image.shape[:2]}; use original pixels")
    if names is not None and len(names) != len(masks):
        raise MaskError(f"one name per mask is needed: {len(masks)} masks, {len(names)} names")


def _paint(image: np.ndarray, mask: np.ndarray, color: tuple[int, int, int], *, opacity: float, width: int) -> None:
    bounds = box(mask)
    if bounds is None:
        return
    left, top, right, bottom = bounds
    inside, region = mask[top:bottom, left:right], image[top:bottom, left:right]
    tone = np.array(color, dtype=np.float32)
    region[inside] = (region[inside] * (1 - opacity) + tone * opacity).round().astype(np.uint8)
    if width:
        # a light and a dark line side by side: one of them stands out whatever the photo shows there
        shrunk = _shrink(inside, width)
        region[inside & ~shrunk] = 255
        region[shrunk & ~_shrink(shrunk, width)] = (tone * 0.7).astype(np.uint8)


def _shrink(mask: np.ndarray, pixels: int) -> np.ndarray:
    """(h, w) bool without the pixels nearer than `pixels` to its edge; what lies outside the array is not mask."""
    height, width = mask.shape
    size = 2 * pixels + 1
    padded = np.pad(mask, pixels)
    rows = padded[:height].copy()
    for offset in range(1, size):
        rows &= padded[offset : offset + height]
    kept = rows[:, :width].copy()
    for offset in range(1, size):
        kept &= rows[:, offset : offset + width]
    return kept


def _label(
    image: np.ndarray, boxes: Sequence[tuple[int, int, int, int] | None], names: Sequence[str], *, first: int
) -> np.ndarray:
    height, width = image.shape[:2]
    size = round(np.clip(max(height, width) * 0.026, 11, max(11, min(height, width) * 0.12)))
    font = ImageFont.load_default(size)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    taken: list[tuple[float, float, float, float]] = []
    for index, (bounds, name) in enumerate(zip(boxes, names, strict=True)):
        text = _fit(printable(name).replace("\n", " "), font, width - 1.4 * size)
        if bounds is None or not text:
            continue
        color = PALETTE[(first + index) % len(PALETTE)]
        plate = _place(bounds, (font.getlength(text) + size * 0.9, size * 1.5), (width, height), taken)
        taken.append(plate)
        line = max(1, size // 14)
        draw.rounded_rectangle(plate, radius=size * 0.4, fill=color, outline="white", width=line)
        ink = "black" if np.dot(color, (0.299, 0.587, 0.114)) > 125 else "white"
        draw.text(((plate[0] + plate[2]) / 2, (plate[1] + plate[3]) / 2), text, fill=ink, font=font, anchor="mm")
    return np.asarray(picture)


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """The text, cut with an ellipsis to `room` pixels; empty when not even one letter fits."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return f"{text.rstrip()}…" if text else ""


def _place(
    bounds: tuple[int, int, int, int],
    size: tuple[float, float],
    room: tuple[int, int],
    taken: Sequence[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a label: above its mask where there is room, inside its top else, over no other."""
    (wide, high), gap = size, size[1] * 0.2
    left = min(max(0.0, (bounds[0] + bounds[2] - wide) / 2), max(0.0, room[0] - wide - 1))
    lowest = max(0.0, room[1] - high - 1)
    top = bounds[1] - high - gap if bounds[1] >= high + gap else min(bounds[1] + gap, lowest)
    while (other := _overlapped((left, top, left + wide, top + high), taken)) and other[3] + gap <= lowest:
        top = other[3] + gap
    return left, top, left + wide, top + high


def _overlapped(
    plate: tuple[float, float, float, float], taken: Sequence[tuple[float, float, float, float]]
) -> tuple[float, float, float, float] | None:
    for other in taken:
        if plate[0] < other[2] and other[0] < plate[2] and plate[1] < other[3] and other[1] < plate[3]:
            return other
    return None
