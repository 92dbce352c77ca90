"""What lies between masks: how far two outlines are apart, the middle of two, the majority of three.

Reach is counted in steps from pixel to pixel, straight and diagonal steps by turns, so that a step is about one
pixel in every direction.
"""

import math

import numpy as np

from miras.data.masks import box

__all__ = ["distance", "majority", "middle", "near"]


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """How far the outlines of two (H, W) bool masks lie apart on average, in pixels: pixels that only one of them marks
    over the mean length of the two outlines. Two empty masks give 0.
    """
    length = (_outline(first) + _outline(second)) / 2
    return int(np.count_nonzero(first ^ second)) / length if length else 0.0


def _outline(mask: np.ndarray) -> float:
    """Length of the outline in pixels, the image's border counted: sides of pixels, which are 4 / pi too many."""
    framed = np.pad(mask, 1)
    sides = np.count_nonzero(framed[1:] ^ framed[:-1]) + np.count_nonzero(framed[:, 1:] ^ framed[:, :-1])
    return sides * math.pi / 4


def near(first: np.ndarray, second: np.ndarray, steps: int) -> bool:
    """Whether every pixel that either (H, W) bool mask marks is at most so many steps from one that both mark."""
    inside = _cut(first | second)
    union, grown = (first | second)[inside], (first & second)[inside]
    for step in range(steps):
        grown = _neighbours(grown, diagonal=bool(step % 2))
    return not (union & ~grown).any()


def middle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) bool whose outline runs halfway between those of two masks that overlap.

    Pixels that both mark are in, pixels that neither marks are out; each pixel between is where it is fewer steps to.
    Where it is as many to both, the marks of both in the 3 x 3 pixels around decide, and where these are even the first
    mask: so the middle is neither wider nor narrower on average, and its outline no rougher. A piece that only one
    marks and that touches nothing of the other falls away, and a hole that only one leaves is closed. Masks that share
    no pixel have an empty middle.
    """
    union, both = first | second, first & second
    if not both.any():
        return both
    result = both.copy()
    inside = _cut(union)
    disputed, chosen = (union & ~both)[inside], _leaning(first[inside], second[inside])
    kept, dropped = both[inside], ~union[inside]
    within = result[inside]
    # both sides grow by one step at a time until nothing is left between them
    step = 0
    while disputed.any():
        from_inside, from_outside = (_neighbours(side, diagonal=bool(step % 2)) & disputed for side in (kept, dropped))
        taken = from_inside & (chosen | ~from_outside)
        lost = from_outside & ~taken
        kept, dropped = kept | taken, dropped | lost
        within |= taken
        disputed &= ~(taken | lost)
        step += 1
    return result


def _leaning(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) bool: whether most of the 18 marks around a pixel and on it say inside, the first where even."""
    marks = np.pad(first.astype(np.int8) + second, 1, mode="edge")
    rows = marks[:-2] + marks[1:-1] + marks[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return np.where(around == 9, first, around > 9)


def majority(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """(H, W) bool of the pixels that at least two of three masks mark."""
    return (first & second) | (first & third) | (second & third)


def _cut(union: np.ndarray) -> tuple[slice, slice]:
    """The box of a mask that is not empty, one pixel wider on each side where the image goes on."""
    left, top, right, bottom = box(union) or (0, 0, 0, 0)
    return slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1)


def _neighbours(mask: np.ndarray, *, diagonal: bool) -> np.ndarray:
    """(h, w) bool of the pixels of the mask and of those that touch it by a side, or by a corner as well."""
    wide = mask.copy()
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    high = wide.copy() if diagonal else mask | wide
    source = wide if diagonal else mask
    high[1:] |= source[:-1]
    high[:-1] |= source[1:]
    return high
