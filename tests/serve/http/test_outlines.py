"""Masks in the forms that clients ask for."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from miras.model.replies import Segment
from miras.serve.http.outlines import PngMask, SvgMask, mask_as, rings


def filled(outlines: list[list[int]], height: int, width: int) -> np.ndarray:
    """What rings enclose by the even-odd rule: a pixel's middle looks left and counts the edges along y it meets."""
    mask = np.zeros((height, width), dtype=bool)
    for ring in outlines:
        corners = list(zip(ring[::2], ring[1::2], strict=True))
        for (x, y), (to_x, to_y) in zip(corners, [*corners[1:], corners[0]], strict=True):
            assert (x == to_x) != (y == to_y), "an edge runs along one axis and is never empty"
            if x == to_x:
                mask[min(y, to_y) : max(y, to_y), x:] ^= True
    return mask


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_outlines_enclose_the_mask(mask: np.ndarray) -> None:
    assert np.array_equal(filled(rings(mask), *mask.shape), mask)


def test_a_frame_has_two_rings() -> None:
    mask = np.ones((4, 5), dtype=bool)
    mask[1:3, 1:4] = False
    assert sorted(rings(mask)) == [[0, 0, 5, 0, 5, 4, 0, 4], [1, 1, 4, 1, 4, 3, 1, 3]]


def test_a_png_is_the_mask() -> None:
    mask = np.eye(3, 4, dtype=bool)
    made = mask_as(Segment("thing", mask, 0.5), "png")
    assert isinstance(made, PngMask)
    with Image.open(io.BytesIO(base64.b64decode(made.png.partition(",")[2]))) as image:
        assert np.array_equal(np.asarray(image), mask)


@pytest.mark.parametrize("height", [2, 3])
def test_an_svg_has_the_image_s_size(height: int) -> None:
    made = mask_as(Segment("thing", np.ones((height, 4), dtype=bool), 0.5), "svg")
    assert isinstance(made, SvgMask)
    assert f'viewBox="0 0 4 {height}"' in made.svg
    assert f'd="M0 0 4 0 4 {height} 0 {height}Z"' in made.svg
