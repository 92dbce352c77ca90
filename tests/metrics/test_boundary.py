"""Boundary IoU: bands by hand, against erosion step by step, and its sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_erosion
from tests.metrics.drawing import EMPTY, FULL, LEFT, ONE, TOP, Pair, cases, pair, rle, rles

from miras.data.masks import encode
from miras.errors import ConfigError, MaskError
from miras.metrics.boundary import band, boundary_counts, boundary_width, count_boundaries
from miras.metrics.masks import Counts, MaskSums


def _peer(mask: np.ndarray, ratio: float = 0.02) -> np.ndarray:
    """The band as the authors' code has it: as many erosions by 3 x 3 as the band is wide, zeros around the image."""
    height, width = mask.shape
    steps = max(1, round(float(ratio * np.sqrt(height**2 + width**2))))
    kept = binary_erosion(np.pad(mask, 1), np.ones((3, 3)), iterations=steps)
    return mask & ~kept[1:-1, 1:-1]


def test_the_band_of_a_full_image_is_its_rim() -> None:
    assert band(FULL, 1).tolist() == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    assert band(FULL, 2).all()
    assert not band(EMPTY, 1).any()


def test_hand_worked_bands() -> None:
    # 2 % of the diagonal of 4 x 4 is 0.1, so the band is 1 wide; LEFT and TOP are all band, FULL is its rim of 12
    assert boundary_counts(encode(LEFT), encode(TOP)) == (4, 4, 4, 4)
    assert boundary_counts(encode(LEFT), encode(FULL)) == (6, 2, 6, 2)
    figures = MaskSums.of_all(count_boundaries(rles([(LEFT, TOP), (LEFT, FULL)]))).compute()
    assert figures["giou"] == pytest.approx((4 / 12 + 6 / 14) / 2, abs=1e-12)
    assert figures["ciou"] == pytest.approx(10 / 26, abs=1e-12)


@pytest.mark.parametrize(
    ("predicted", "target", "expected"),
    [(EMPTY, EMPTY, 1), (None, EMPTY, 1), (EMPTY, ONE, 0), (None, ONE, 0), (ONE, EMPTY, 0), (ONE, ONE, 1)],
)
def test_empty_rule(predicted: np.ndarray | None, target: np.ndarray, expected: int) -> None:
    assert boundary_counts(rle(predicted), encode(target)).iou == expected


def test_width_is_two_per_cent_of_the_diagonal() -> None:
    assert boundary_width(1024, 1024) == 29
    assert boundary_width(300, 400) == 10
    assert boundary_width(4, 4) == 1
    with pytest.raises(ConfigError, match="wider than 0"):
        boundary_width(4, 4, 0.0)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=30)), st.integers(1, 9))
def test_the_band_is_what_erosion_takes_away(mask: np.ndarray, width: int) -> None:
    filled = mask | np.roll(mask, 1, 0) | np.roll(mask, 1, 1)
    kept = binary_erosion(np.pad(filled, 1), np.ones((3, 3)), iterations=width)[1:-1, 1:-1]
    assert np.array_equal(band(filled, width), filled & ~kept)


@pytest.mark.parametrize("ratio", [0.02, 0.2])
def test_random_pairs_agree_with_erosion_step_by_step(ratio: float) -> None:
    pairs: list[Pair] = [*cases(100), *_blobs(60)]
    expected = [
        Counts.of(None if predicted is None else _peer(predicted, ratio), _peer(target, ratio))
        for predicted, target in pairs
    ]
    assert count_boundaries(rles(pairs), ratio) == expected
    assert sum(one.iou not in (0, 1) for one in expected) > 50


def _blobs(count: int) -> list[Pair]:
    """Discs with holes, some cut by the border of the image, some not marked."""
    rng, (y, x) = np.random.default_rng(3), np.indices((90, 120))

    def disc() -> np.ndarray:
        distance = np.hypot(y - rng.integers(90), x - rng.integers(120))
        return (distance < rng.integers(5, 60)) & (distance > rng.integers(0, 12))

    return [(None if place % 7 == 0 else disc(), disc()) for place in range(count)]


@given(st.lists(pair, max_size=8), st.integers(0, 8))
def test_merging_shards_changes_nothing(pairs: list[Pair], cut: int) -> None:
    counted = count_boundaries(rles(pairs))
    assert MaskSums.of_all(counted[cut:]) + MaskSums.of_all(counted[:cut]) == MaskSums.of_all(counted)


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(MaskError, match=r"\(2, 8\) and \(4, 4\)"):
        boundary_counts(encode(np.zeros((2, 8), dtype=bool)), encode(TOP))
