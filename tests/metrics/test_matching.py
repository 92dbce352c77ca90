"""Several masks for several targets: who is whose partner, and that writing more masks never pays."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metrics.drawing import EMPTY, FULL, LEFT, ONE, TOP, mask

from miras.data.masks import encode
from miras.errors import MaskError
from miras.metrics.masks import Counts, MaskSums, mask_iou
from miras.metrics.matching import Matching, match
from miras.types import Rle


def _matched(predicted: list[np.ndarray], targets: list[np.ndarray]) -> Matching:
    return match([encode(one) for one in predicted], [encode(one) for one in targets])


def _sums(matching: Matching) -> MaskSums:
    sums = MaskSums.of_all(matching.counts)
    for one in matching.extra_counts:
        sums.update(one, extra=True)
    return sums


def test_the_order_of_the_masks_does_not_matter() -> None:
    matching = _matched([TOP, LEFT], [LEFT, TOP])
    assert matching.partners == (1, 0)
    assert [one.iou for one in matching.counts] == [1, 1]
    assert matching.extra == matching.extra_counts == ()


def test_the_sum_is_greatest_and_not_the_first_choice() -> None:
    # FULL is nearest to both; LEFT takes it, since TOP has ONE to fall back on and LEFT has nothing
    corner = np.zeros((4, 4), dtype=bool)
    corner[0, 3] = True
    assert _matched([FULL, corner], [LEFT, TOP]).partners == (0, 1)
    assert _matched([corner, FULL], [TOP, LEFT]).partners == (0, 1)


def test_a_target_without_a_partner_is_met_with_an_empty_mask() -> None:
    matching = _matched([TOP], [LEFT, TOP, ONE])
    assert matching.partners == (None, 0, None)
    assert matching.counts == (Counts.of(None, LEFT), Counts.of(TOP, TOP), Counts.of(None, ONE))
    assert _matched([], [LEFT, ONE]).counts == (Counts.of(None, LEFT), Counts.of(None, ONE))


def test_a_mask_too_many_counts_as_a_target_with_nothing_there() -> None:
    matching = _matched([ONE, LEFT], [LEFT])
    assert (matching.partners, matching.extra) == ((1,), (0,))
    assert matching.extra_counts == (Counts.of(ONE, EMPTY),)
    figures = _sums(matching).compute()
    assert (figures["n"], figures["n_extra"], figures["giou"], figures["precision_micro"]) == (2, 1, 0.5, 8 / 9)
    assert _matched([LEFT], []).extra_counts == (Counts.of(LEFT, EMPTY),)


def test_one_wrong_mask_for_one_target_is_one_target() -> None:
    matching = _matched([~LEFT], [LEFT])
    assert matching.partners == (0,) and matching.extra == ()
    assert matching.counts == (Counts.of(~LEFT, LEFT),)


def test_masks_without_a_pixel_are_no_targets() -> None:
    assert _matched([LEFT, EMPTY, EMPTY], [LEFT]).extra == ()
    assert _matched([EMPTY], [EMPTY]).counts == (Counts.of(None, EMPTY),)
    assert _matched([], []) == ((), (), (), ())


@pytest.mark.parametrize("places", list(permutations(range(3))))
def test_equal_sums_follow_the_reading_order(places: tuple[int, ...]) -> None:
    apart = [np.eye(4, dtype=bool)[[row]].repeat(4, axis=0) & (np.arange(4) == row)[:, None] for row in range(4)]
    # three targets in the first row of pixels, three masks that hit none of them
    assert _matched([apart[3]] * 3, [apart[place] for place in places]).partners == (0, 1, 2)
    assert _matched([LEFT, LEFT, LEFT], [LEFT, LEFT]).partners == (0, 1)
    assert _matched([LEFT], [LEFT, LEFT]).partners == (0, None)


@given(st.lists(mask, max_size=4), st.lists(mask, max_size=4))
def test_no_other_pairing_has_a_greater_sum(predicted: list[np.ndarray], targets: list[np.ndarray]) -> None:
    matching = _matched(predicted, targets)
    pairs = [(column, row) for row, column in enumerate(matching.partners) if column is not None]
    assert len(pairs) == len({column for column, _ in pairs}) == min(len(predicted), len(targets))
    got = sum(mask_iou(predicted[column], targets[row]) for column, row in pairs)
    iou = np.array([[mask_iou(one, two) for two in targets] for one in predicted]).reshape(len(predicted), len(targets))
    if len(predicted) > len(targets):
        iou = iou.T
    ways = permutations(range(iou.shape[1]), len(iou))
    assert got >= max(sum(iou[row, column] for row, column in enumerate(way)) for way in ways) - 1e-8


@given(st.lists(mask, max_size=3), st.lists(mask, min_size=1, max_size=3))
def test_writing_one_more_mask_than_there_are_targets_never_pays(
    predicted: list[np.ndarray], targets: list[np.ndarray]
) -> None:
    if len(predicted) >= len(targets):
        fewer, more = (_sums(_matched(some, targets)).compute() for some in (predicted[: len(targets)], predicted))
        best = max(
            _sums(_matched([predicted[place] for place in some], targets)).compute()["giou"]
            for some in permutations(range(len(predicted)), len(targets))
        )
        assert more["giou"] <= best + 1e-9
        assert more["n"] >= fewer["n"] == len(targets)


def test_masks_of_two_sizes_are_refused() -> None:
    wide: Rle = encode(np.ones((2, 8), dtype=bool))
    with pytest.raises(MaskError, match="of one image"):
        match([wide, encode(LEFT)], [encode(LEFT)])
