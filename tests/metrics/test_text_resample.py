"""Text figures with intervals and two models: against the figures themselves, scipy, and where nothing differs."""

import numpy as np
import pytest
from scipy import stats

from miras.errors import ConfigError, DataError
from miras.metrics.paired import Permutations
from miras.metrics.resample import Replicas, Resamples
from miras.metrics.text import COLUMNS, UNIT, figures, pair_statistics
from miras.metrics.text_resample import TextReplicas, TextResamples, text_difference, text_p_values

Row = tuple[np.ndarray, str]


def _scored(scores: np.ndarray) -> list[Row]:
    """An answer per image, of which only ROUGE-L is known."""
    rows = []
    for place, score in enumerate(scores):
        row = np.zeros(len(COLUMNS), dtype=np.int64)
        row[COLUMNS.index("answers")], row[COLUMNS.index("rouge_l")] = 1, round(score * UNIT)
        rows.append((row, f"image {place}"))
    return rows


def _of(rows: list[Row], draw: Replicas | None = None) -> TextResamples:
    made = TextResamples(draw or Resamples(300))
    for row, unit in rows:
        made.update(row, unit)
    return made


def _thrown(rows: list[Row], replicates: int = 3000, seed: int = 0) -> TextReplicas:
    made = TextReplicas(Permutations(replicates, seed))
    for row, unit in rows:
        made.update(row, unit)
    return made


def _drawn(seed: int, better: float = 0.0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(0.4 + better, 0.1, 60), 0, 1)


def test_intervals_lie_around_the_figures() -> None:
    told = ("a red cup on the table", "the cup is red", "two dogs in the snow", "a dog")
    rows = [(pair_statistics(one, other), one) for one in told for other in told]
    whole = _of(rows)
    assert np.array_equal(whole.sums[0], sum(row for row, _ in rows))
    known = figures(whole.sums[0])
    for name, interval in whole.intervals().items():
        value = known[name]
        assert (interval is None) == (value is None) and (value is None or interval is None or
                                                          interval[0] < value < interval[1])  # fmt: skip
    parts = _of(rows[:5]) + _of(rows[5:])
    assert np.array_equal(parts.sums, whole.sums) and parts.draw.units == whole.draw.units


def test_the_interval_of_a_difference_is_paired() -> None:
    scores = np.random.default_rng(1).beta(2, 2, 60)
    first, second = _of(_scored(scores * 0.9 + 0.05)), _of(_scored(scores * 0.9))
    apart = text_difference(first, second)["rouge_l"]
    assert apart == pytest.approx((0.05, 0.05, 0.05), abs=1e-6)
    interval = first.intervals()["rouge_l"]
    assert interval is not None and np.ptp(interval) > 0.05


@pytest.mark.parametrize("better", [0.0, 0.02, 0.1])
def test_p_agrees_with_scipy(better: float) -> None:
    first, second = _drawn(1, better), _drawn(2)
    peer = stats.permutation_test(
        (first, second), lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=3000, rng=0,
    )  # fmt: skip
    p = text_p_values(_thrown(_scored(first)), _thrown(_scored(second)))["rouge_l"]
    # four standard errors of the difference of two shares of 3,000 throws
    assert p == pytest.approx(peer.pvalue, abs=4 * (2 * max(peer.pvalue, 1e-3) / 3000) ** 0.5)


def test_equal_models_differ_by_nothing() -> None:
    rows = _scored(_drawn(3))
    assert text_difference(_of(rows), _of(rows))["rouge_l"] == (0, 0, 0)
    assert text_p_values(_thrown(rows, 50), _thrown(rows, 50))["rouge_l"] == 1
    assert text_p_values(_thrown(rows, 50), _thrown(rows, 50))["bertscore"] is None
    assert text_difference(_of(rows), _of(rows))["bertscore"] is None


def test_other_answers_and_other_draws_are_not_compared() -> None:
    rows = _scored(_drawn(3))
    with pytest.raises(DataError, match="the same targets"):
        text_difference(_of(rows), _of(rows[1:]))
    with pytest.raises(DataError, match="the same targets"):
        text_p_values(_thrown(rows, 50), _thrown(rows[1:], 50))
    with pytest.raises(ConfigError, match="one kind, number and seed"):
        text_p_values(_thrown(rows, 50), _thrown(rows, 50, seed=1))
    with pytest.raises(ConfigError, match="one kind, number and seed"):
        text_p_values(_of(rows), _of(rows))
