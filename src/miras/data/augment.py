"""Changes to an annotated photo that keep every annotation true: mirror, cut, zoom, recolour, resize.

Each function takes a `Photo` and gives a new one with its pixels in memory. Masks, areas, boxes and positions
are measured again; words that would no longer hold are swapped or their objects dropped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from miras.data.masks import area, decode
from miras.data.masks import box as box_of
from miras.data.photos import Photo, PhotoObject
from miras.errors import DataError

__all__ = ["crop", "flip", "jitter", "remain", "resize", "scale", "scaled_mask", "zoom"]

_SIDES = re.compile(r"\b(left|right)(?=(?:most|wards?|hand|handed)?\b)", re.IGNORECASE)
_OTHER = {"left": "right", "right": "left"}
_LUMA = np.array([0.299, 0.587, 0.114])

_MIN_VISIBLE = 0.4
"""Objects that keep less of themselves than this share are dropped."""
_MIN_PIXELS = 16
"""Objects with fewer pixels than this are dropped."""
_WHOLE = 0.9
"""`leftmost`, `largest` … stay true while every object of the class keeps at least this share."""
_STRETCH = (0.8, 1.25)
"""Smallest and largest aspect of a zoom, relative to the aspect of the photo."""
_TRIES = 8
"""Random crops looked at before a photo is left as it is."""


def flip(photo: Photo) -> Photo:
    """The mirror image; `left` and `right` change places in phrases and classes."""
    objects = tuple(
        replace(
            thing.with_mask(decode(thing.mask)[:, ::-1]),
            phrase=_swap_sides(thing.phrase),
            class_name=_swap_sides(thing.class_name),
        )
        for thing in photo.objects
    )
    return replace(photo, objects=objects, array=np.ascontiguousarray(photo.pixels()[:, ::-1]))


def _swap_sides(words: str) -> str:
    return _SIDES.sub(lambda match: _OTHER[match[1].lower()], words)


def crop(photo: Photo, box: tuple[int, int, int, int]) -> Photo:
    """The part of the photo inside `box` (left, top, right, bottom; right and bottom outside).

    What becomes of the objects is said at `remain`. Raises DataError for a box that is empty or reaches outside.
    """
    left, top, right, bottom = box
    height, width = photo.size
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise DataError(f"a crop of {photo.name} lies inside (0, 0, {width}, {height}), got {box}; clip it first")
    masks = [decode(thing.mask)[top:bottom, left:right] for thing in photo.objects]
    pixels = np.ascontiguousarray(photo.pixels()[top:bottom, left:right])
    return replace(photo, objects=remain(photo.objects, masks), array=pixels)


@dataclass(frozen=True)
class _Cut:
    """An object, what is left of its mask, and the share of its pixels that this is."""

    thing: PhotoObject
    mask: np.ndarray
    pixels: int
    visible: float

    @property
    def kept(self) -> bool:
        return self.visible >= _MIN_VISIBLE and self.pixels >= _MIN_PIXELS


def remain(objects: Sequence[PhotoObject], masks: Sequence[np.ndarray]) -> tuple[PhotoObject, ...]:
    """The objects whose words still hold when only `masks`, each (H, W) bool in one new frame, is left of them.

    Objects that keep under 40 % of themselves or under 16 px are dropped. `leftmost car` and the like stay only
    while every car keeps at least 90 %. A union that loses a pixel has count None, unless all that is left of it
    is one annotated instance: then it becomes that instance under the plain name.
    """
    cuts = []
    for thing, mask in zip(objects, masks, strict=True):
        pixels = int(np.count_nonzero(mask))
        cuts.append(_Cut(thing, mask, pixels, pixels / max(1, area(thing.mask))))
    alone = {cut.thing.class_name: one for cut in cuts if (one := _only_instance(cut, cuts))}
    changed = {cut.thing.class_name for cut in cuts if not cut.kept or cut.visible < _WHOLE} | set(alone)
    left = []
    for cut in cuts:
        thing = cut.thing
        if thing.union and (one := alone.get(thing.class_name)):
            left.append(replace(thing.with_mask(one.mask), union=False, count=1, color=one.thing.color))
        elif cut.kept and (thing.phrase == thing.class_name or thing.class_name not in changed):
            count = None if thing.union and cut.visible < 1 else thing.count
            left.append(replace(thing.with_mask(cut.mask), count=count))
    return tuple(left)


def _only_instance(union: _Cut, cuts: Sequence[_Cut]) -> _Cut | None:
    """The instance that makes up all that is left of a union that was cut, if there is one."""
    if not union.thing.union or union.visible == 1:
        return None
    for cut in cuts:
        same = cut.thing.class_name == union.thing.class_name and not cut.thing.union and cut.pixels == union.pixels
        if same and cut.kept and np.array_equal(cut.mask, union.mask):
            return cut
    return None


def zoom(photo: Photo, rng: np.random.Generator, target: PhotoObject | None = None) -> Photo:
    """A random crop of 35 to 100 % of each side that keeps at least one object; the photo itself if none does.

    With a target, the crop holds all of it and shows it 2 to 5 times as long on the same canvas, less where it
    would not fit; an object of its class is kept, under the plain name where `leftmost` or the like fell away.
    """
    height, width = photo.size
    inside = target.box if target else (width, height, 0, 0)
    low, high = (1 / 5, 1 / 2) if target else (0.35, 1.0)
    for _ in range(_TRIES):
        part = crop(photo, _random_box(rng, (height, width), rng.uniform(low, high), low, inside))
        if any(target is None or thing.class_name == target.class_name for thing in part.objects):
            return part
    return photo


def _random_box(
    rng: np.random.Generator, size: tuple[int, int], share: float, low: float, inside: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """A box of about `share` of each side, at least `low`, that holds all of `inside`."""
    stretch = np.exp(rng.uniform(*np.log(_STRETCH)) / 2)
    least = max((inside[3] - inside[1]) / size[0], (inside[2] - inside[0]) / size[1] / _STRETCH[1], low)
    down = min(1.0, max(share / stretch, least))
    across = min(1.0, max(share * stretch, low, (inside[2] - inside[0]) / size[1], down * _STRETCH[0]))
    edges = []
    for side, part, first, last in ((size[1], across, inside[0], inside[2]), (size[0], down, inside[1], inside[3])):
        length = min(side, max(1, int(np.ceil(part * side))))
        start = int(rng.integers(max(0, last - length), min(first, side - length) + 1))
        edges.append((start, start + length))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def jitter(photo: Photo, rng: np.random.Generator) -> Photo:
    """Brightness, contrast and saturation changed by up to 25 %, at times a slight blur; colours keep their names."""
    brightness, contrast, saturation = rng.uniform(0.75, 1.25, size=3)
    pixels = photo.pixels()
    mean = float(pixels[::8, ::8].mean()) * brightness
    mix = contrast * brightness * (saturation * np.eye(3) + (1 - saturation) * _LUMA)
    matrix = np.column_stack([mix, np.full(3, (1 - contrast) * mean)])
    image = Image.fromarray(pixels).convert("RGB", tuple(matrix.flatten().tolist()))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
    return replace(photo, array=np.asarray(image))


def resize(photo: Photo, height: int, width: int) -> Photo:
    """The photo at `height` x `width` pixels; objects left without a pixel are dropped."""
    if height < 1 or width < 1:
        raise DataError(f"{photo.name} needs at least 1 x 1 pixels, got {height} x {width}; ask for a larger size")
    pixels = Image.fromarray(photo.pixels()).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    masks = [(thing, scaled_mask(decode(thing.mask), height, width)) for thing in photo.objects]
    objects = tuple(thing.with_mask(mask) for thing, mask in masks if mask.any())
    return replace(photo, objects=objects, array=np.asarray(pixels))


def scaled_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) bool mask → the (height, width) bool mask of the pixels that it covers by half or more."""
    scaled = np.zeros((height, width), bool)
    if (around := box_of(mask)) is None:
        return scaled
    down, across = height / mask.shape[0], width / mask.shape[1]
    # only the surroundings of the object are resized, on the grid of the whole and as wide as the filter reaches
    reach, drop = 1 + int(np.ceil(across)), 1 + int(np.ceil(down))
    left, right = max(0, int(around[0] * across) - reach), min(width, int(np.ceil(around[2] * across)) + reach)
    top, bottom = max(0, int(around[1] * down) - drop), min(height, int(np.ceil(around[3] * down)) + drop)
    source = (left / across, top / down, min(right / across, mask.shape[1]), min(bottom / down, mask.shape[0]))
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    part = image.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=source)
    scaled[top:bottom, left:right] = np.asarray(part) > 127
    return scaled


def scale(photo: Photo, longest: int) -> Photo:
    """The photo resized, aspect kept, so that its longest side has `longest` pixels."""
    height, width = photo.size
    factor = longest / max(height, width)
    return resize(photo, *(max(min(longest, 1), round(side * factor)) for side in (height, width)))
