"""Figures: beside numpy, scipy and scikit-learn, and intervals that behave."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from miras.evaluate.judge.figures import Figure, band, kappa, mean, spearman

CLASSES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


def test_a_mean_leaves_out_what_is_not_known() -> None:
    figure = mean([1.0, None, 3.0, 5.0], ["a", "a", "b", "c"])
    assert (figure.value, figure.n, figure.missing) == (3.0, 3, 1)
    assert figure.low is not None and figure.high is not None and 1 <= figure.low < 3 < figure.high <= 5
    assert mean([None], ["a"]) == Figure(None, None, None, 0, 1) and mean([], []) == Figure(None, None, None, 0)
    assert mean([2.0, 4.0], ["a", "a"]) == Figure(3.0, None, None, 2)  # one image says nothing about others


def test_the_interval_is_that_of_a_normal_mean() -> None:
    rng = random.Random(0)
    values = [rng.gauss(3, 1) for _ in range(400)]
    figure = mean(values, [str(number) for number in range(400)])
    half = 1.96 * statistics.stdev(values) / math.sqrt(400)
    assert figure.low == pytest.approx(statistics.fmean(values) - half, abs=0.02)
    assert figure.high == pytest.approx(statistics.fmean(values) + half, abs=0.02)
    assert figure == mean(values, [str(number) for number in range(400)])
    assert figure != mean(values, [str(number) for number in range(400)], seed=1)


def test_an_interval_is_wider_where_conversations_share_an_image() -> None:
    rng = random.Random(0)
    values = [base + rng.gauss(0, 0.1) for base in [rng.gauss(3, 1) for _ in range(50)] for _ in range(8)]
    alone = mean(values, [str(number) for number in range(400)])
    together = mean(values, [str(number // 8) for number in range(400)])
    assert alone.value == together.value and None not in (alone.low, alone.high, together.low, together.high)
    assert together.high - together.low > 2 * (alone.high - alone.low)  # type: ignore[operator]


@pytest.mark.parametrize(("low", "high", "differs"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False),
                                                      (0.0, 0.0, False), (None, None, None)])  # fmt: skip
def test_what_differs_from_nothing(low: float | None, high: float | None, differs: bool | None) -> None:
    assert Figure(0.0, low, high, 2).differs is differs


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20))
def test_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = ([float(one[side]) for one in pairs] for side in (0, 1))
    figure = spearman(first, second, ["one image"] * len(pairs))
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert figure.value is None
    else:
        assert figure.value == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_rank_correlation_has_an_interval_and_leaves_out_what_is_not_known() -> None:
    rng = random.Random(0)
    first = [rng.random() for _ in range(60)]
    second: list[float | None] = [one + rng.gauss(0, 0.3) for one in first]
    second[7] = None
    figure = spearman(first, second, [str(number) for number in range(60)])
    assert figure.n == 59 and figure.missing == 1
    assert figure.value is not None and figure.low is not None and figure.high is not None
    assert 0.2 < figure.low < figure.value < figure.high < 1


@given(CLASSES, st.booleans())
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]], quadratic: bool) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    found = kappa(first, second, quadratic=quadratic)
    if len({*first, *second}) == 1:
        assert found is None
    else:
        weights = "quadratic" if quadratic else None
        expected = cohen_kappa_score(first, second, labels=[0, 1, 2], weights=weights)
        assert found == pytest.approx(expected, abs=1e-12)


def test_kappa_by_hand() -> None:
    # both say 0, 1, 2 once each: chance agrees in a third, they in one of three
    assert kappa([0, 1, 2], [0, 2, 1]) == pytest.approx(0.0)
    assert kappa([], []) is None and kappa([1, 1], [1, 1]) is None and kappa([0, 2], [0, 2]) == 1.0


@pytest.mark.parametrize(
    ("score", "expected"), [(0, 0), (1, 0), (1.49, 0), (1.5, 1), (3, 1), (3.49, 1), (3.5, 2), (5, 2)]
)
def test_bands(score: float, expected: int) -> None:
    assert band(score) == expected
