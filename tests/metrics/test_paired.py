"""The paired permutation test: against scipy's, against all permutations, and where nothing differs."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from miras.errors import ConfigError, DataError
from miras.metrics.masks import Counts, MaskSums
from miras.metrics.paired import Permutations, p_values

Row = tuple[Counts, str]


def _of(rows: list[Row], replicates: int = 2000, seed: int = 0) -> Permutations:
    made = Permutations(replicates, seed)
    for one, unit in rows:
        made.update(one, unit, {"by_size": "fine" if unit < "image 5" else "coarse"})
    return made


def _images(count: int, seed: int, better: float = 0.0) -> list[Row]:
    """A target per image, each model's IoU drawn for itself."""
    hit = np.clip(np.random.default_rng(seed).normal(50 + 100 * better, 15, count), 0, 100).astype(int).tolist()
    return [(Counts(tp, 7, 100 - tp, 900), f"image {place}") for place, tp in enumerate(hit)]


@pytest.mark.parametrize("better", [0.0, 0.03, 0.2])
def test_agrees_with_scipy(better: float) -> None:
    first, second = _images(60, 1, better), _images(60, 2)
    peer = stats.permutation_test(
        [np.array([one.iou for one, _ in rows]) for rows in (first, second)],
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=3000, rng=0,
    )  # fmt: skip
    p = p_values(_of(first, 3000), _of(second, 3000))["giou"]
    # four standard errors of the difference of two shares of 3,000 throws
    assert p == pytest.approx(peer.pvalue, abs=4 * (2 * max(peer.pvalue, 1e-3) / 3000) ** 0.5)


def test_agrees_with_all_permutations_for_a_pooled_figure() -> None:
    first, second = _images(9, 3, 0.1), _images(9, 4)

    def apart(swaps: tuple[int, ...]) -> float:
        sides = [
            MaskSums.of_all((one, two)[swap ^ side][0] for one, two, swap in zip(first, second, swaps, strict=True))
            for side in (0, 1)
        ]
        mine, theirs = (side.compute()["f1_micro"] for side in sides)
        return float(mine - theirs)

    observed = abs(apart((0,) * 9))
    every = float(np.mean([abs(apart(swaps)) >= observed - 1e-9 for swaps in product((0, 1), repeat=9)]))
    p = p_values(_of(first, 3000), _of(second, 3000))["f1_micro"]
    assert p == pytest.approx(every, abs=4 * (every * (1 - every) / 3000) ** 0.5)


def test_equal_models_give_1() -> None:
    rows = _images(30, 5)
    values = p_values(_of(rows), _of(rows))
    assert values.pop("by_size")["fine"]["giou"] == 1
    assert values.pop("empty_accuracy") is None
    assert set(values.pop("prec_at").values()) == {1}
    assert set(values.values()) == {1}


def test_a_clear_difference_has_the_least_p_there_can_be() -> None:
    first, second = _of(_images(60, 1, 0.4)), _of(_images(60, 2))
    assert p_values(first, second)["giou"] == p_values(second, first)["giou"] == 1 / 2001
    assert p_values(first, second)["by_size"]["coarse"]["ciou"] < 0.01


def test_merging_shards_changes_nothing() -> None:
    first, second = _images(40, 1, 0.05), _images(40, 2)
    merged = _of(first[:11]) + _of(first[11:])
    assert isinstance(merged, Permutations)
    assert p_values(merged, _of(second[30:]) + _of(second[:30])) == p_values(_of(first), _of(second))


def test_targets_of_one_image_change_places_together() -> None:
    first, second = _images(8, 1, 0.1), _images(8, 2)
    apart = p_values(_of(first), _of(second))["giou"]
    often = p_values(_of(first * 20), _of(second * 20))["giou"]
    assert often == pytest.approx(apart, abs=1e-9)


def test_masks_too_many_change_places_too() -> None:
    rows = _images(30, 5)
    first, second = _of(rows), _of(rows)
    for _, unit in rows[:10]:
        first.update(Counts(0, 50, 0, 950), unit, extra=True)
    assert p_values(first, second)["giou"] < 0.01


def test_models_on_other_targets_or_with_other_coins_are_not_compared() -> None:
    with pytest.raises(DataError, match="the same targets"):
        p_values(_of(_images(9, 1)), _of(_images(8, 1)))
    with pytest.raises(ConfigError, match="one kind, number and seed"):
        p_values(_of(_images(9, 1)), _of(_images(9, 1), seed=1))
    assert p_values(Permutations(), Permutations()) == {}
