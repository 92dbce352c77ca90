"""Masks for the tests of mask figures: hand-made ones of 4 x 4 pixels, and random ones."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from miras.data.masks import encode
from miras.types import Rle

__all__ = ["EMPTY", "FULL", "LEFT", "ONE", "TOP", "Pair", "cases", "mask", "pair", "rle", "rles"]

EMPTY = np.zeros((4, 4), dtype=bool)
FULL = np.ones((4, 4), dtype=bool)
LEFT = np.array([[1, 1, 0, 0]] * 4, dtype=bool)
TOP = np.array([[1, 1, 1, 1]] * 2 + [[0, 0, 0, 0]] * 2, dtype=bool)
ONE = np.zeros((4, 4), dtype=bool)
ONE[0, 0] = True

Pair = tuple[np.ndarray | None, np.ndarray]
mask = arrays(bool, (3, 4))
pair: st.SearchStrategy[Pair] = st.tuples(st.none() | mask, mask)


def rle(pixels: np.ndarray | None) -> Rle | None:
    """The run lengths of a mask; None stays None."""
    return None if pixels is None else encode(pixels)


def rles(pairs: list[Pair]) -> list[tuple[Rle | None, Rle]]:
    """The run lengths of pairs of masks."""
    return [(rle(predicted), encode(target)) for predicted, target in pairs]


def cases(count: int, shape: tuple[int, int] | None = None, seed: int = 7) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random pairs of one shape or of many, every kind of mask with every kind: empty, full, one pixel, anything."""
    rng = np.random.default_rng(seed)

    def drawn(kind: int, size: tuple[int, ...]) -> np.ndarray:
        made = np.zeros(size, dtype=bool) if kind < 3 else rng.random(size) < rng.random()
        if kind == 1:
            made[:] = True
        elif kind == 2:
            made.flat[rng.integers(made.size)] = True
        return made

    for index in range(count):
        size = shape or tuple(rng.integers(1, 24, 2))
        yield drawn(index % 5, size), drawn(index // 5 % 5, size)
