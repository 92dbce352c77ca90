"""Intervals that stream: no order and no shard changes a bit, and they agree with scipy's bootstrap and with chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from miras.errors import ConfigError, DataError
from miras.metrics.masks import Counts, MaskSums
from miras.metrics.resample import EVERYTHING, Resamples, difference

Row = tuple[Counts, str, dict[str, str]]
counted = st.builds(Counts, *[st.integers(0, 9)] * 4)
rows: st.SearchStrategy[list[Row]] = st.lists(
    st.tuples(
        counted, st.sampled_from("abcd"), st.sampled_from(["fine", "coarse"]).map(lambda size: {"by_size": size})
    ),
    max_size=10,
)


def _of(rows: list[Row], replicates: int = 20, seed: int = 0) -> Resamples:
    made = Resamples(replicates, seed)
    for one, unit, labels in rows:
        made.update(one, unit, labels)
    return made


def _same(first: Resamples, second: Resamples) -> bool:
    return (
        first.units == second.units
        and first.sums.keys() == second.sums.keys()
        and all(np.array_equal(first.sums[place], second.sums[place]) for place in first.sums)
    )


def _images(count: int, seed: int, better: float = 0.0) -> list[Row]:
    """One target of 100 pixels per image, marked with no pixel too much, its IoU drawn around 0.5."""
    drawn = np.random.default_rng(seed).beta(2, 2, count)
    hit = np.clip(np.round(100 * (drawn + better)), 0, 100).astype(int).tolist()
    return [(Counts(tp, 0, 100 - tp, 900), f"image {place}", {}) for place, tp in enumerate(hit)]


@given(rows, st.integers(0, 10))
def test_merging_shards_changes_nothing(rows: list[Row], cut: int) -> None:
    whole = _of(rows)
    assert _same(_of(rows[:cut]) + _of(rows[cut:]), whole)
    assert _same(_of(rows[cut:]) + _of(rows[:cut]), whole)
    assert _same(_of(rows[::-1]), whole)


def test_a_unit_weighs_the_same_everywhere_and_units_differ() -> None:
    one, other = Resamples(1000), Resamples(1000)
    assert np.array_equal(one.weights("a"), other.weights("a"))
    assert not np.array_equal(one.weights("a"), one.weights("b"))
    assert not np.array_equal(one.weights("a"), Resamples(1000, seed=1).weights("a"))
    # the same on every machine and in every version
    assert Resamples(12).weights("image 1").tolist() == [0, 1, 2, 1, 0, 0, 1, 1, 3, 0, 0, 1]


def test_weights_are_poisson_with_mean_1() -> None:
    drawn = np.concatenate([Resamples(1000).weights(f"image {place}") for place in range(100)])
    seen = np.bincount(np.minimum(drawn, 5), minlength=6)
    expected = 1e5 * np.append(stats.poisson.pmf(range(5), 1), stats.poisson.sf(4, 1))
    assert stats.chisquare(seen, expected).pvalue > 1e-3


@given(rows)
def test_the_first_sums_are_the_figures_themselves(rows: list[Row]) -> None:
    expected = MaskSums.of_all(one for one, _, _ in rows).compute()
    expected |= {f"prec_at@{threshold}": share for threshold, share in expected.pop("prec_at").items()}
    expected = {name: value for name, value in expected.items() if not name.startswith("n")}
    for figures in _of(rows).figures().values() if rows else ():
        assert set(figures) == set(expected)
    if rows:
        first = {name: values[0] for name, values in _of(rows).figures()[EVERYTHING].items()}
        assert {name: None if np.isnan(value) else value for name, value in first.items()} == pytest.approx(
            expected, abs=1e-9
        )


def test_agrees_with_scipys_bootstrap() -> None:
    rows = _images(400, seed=2)
    ious = np.array([one.iou for one, _, _ in rows])
    low, high = _of(rows, 4000).intervals()["giou"]
    peer = stats.bootstrap((ious,), np.mean, n_resamples=4000, method="percentile", rng=0).confidence_interval
    # the ends of both lie within what 4,000 replicates leave to chance, about 4 % of the interval
    assert low == pytest.approx(peer.low, abs=0.06 * (peer.high - peer.low))
    assert high == pytest.approx(peer.high, abs=0.06 * (peer.high - peer.low))


def test_alike_targets_of_one_image_make_the_interval_wider() -> None:
    rows = _images(30, seed=3)
    together = [(one, unit, labels) for one, unit, labels in rows for _ in range(9)]
    apart = [(one, f"{unit} {place}", labels) for one, unit, labels in rows for place in range(9)]
    widths = [np.ptp(_of(some, 1000).intervals()["giou"]) for some in (rows, together, apart)]
    assert widths[1] == pytest.approx(widths[0], abs=1e-12)
    assert widths[2] < 0.5 * widths[1]


def test_the_interval_of_a_difference_is_paired() -> None:
    first, second = _of(_images(200, 4, better=0.02), 1000), _of(_images(200, 4), 1000)
    apart = difference(first, second)["giou"]
    own = np.ptp(first.intervals()["giou"])
    assert apart.low <= apart.value <= apart.high
    assert apart.low > 0 and apart.high - apart.low < 0.2 * own
    assert difference(first, first)["giou"] == (0, 0, 0)


def test_strata_have_intervals_of_their_own() -> None:
    rows = [(one, unit, {"by_size": "fine" if one.tp < 50 else "coarse"}) for one, unit, _ in _images(60, 5)]
    intervals = _of(rows, 200).intervals()
    fine = [row for row in rows if row[2]["by_size"] == "fine"]
    assert intervals["by_size"]["fine"] == _of(fine, 200).intervals()["by_size"]["fine"]
    assert set(intervals["by_size"]["fine"]["prec_at"]) == {"0.5", "0.6", "0.7", "0.8", "0.9"}
    assert intervals["by_size"]["fine"]["giou"][1] < intervals["giou"][0] < intervals["by_size"]["coarse"]["giou"][0]


def test_what_was_not_measured_has_no_interval() -> None:
    assert Resamples().intervals() == {}
    intervals = _of(_images(20, 6)).intervals()
    assert intervals["empty_accuracy"] is None
    apart = difference(_of(_images(20, 6)), _of(_images(20, 7)))
    assert apart["empty_accuracy"] is None and apart["giou"] is not None


def test_masks_too_many_do_not_change_what_was_asked() -> None:
    first, second = _of(_images(20, 6)), _of(_images(20, 6))
    first.update(Counts(0, 50, 0, 950), "image 3", extra=True)
    assert difference(first, second)["giou"].value < 0


def test_models_on_other_targets_or_other_draws_are_not_compared() -> None:
    one = _of(_images(20, 6))
    with pytest.raises(DataError, match="the same targets"):
        difference(one, _of(_images(19, 6)))
    with pytest.raises(ConfigError, match="one kind, number and seed"):
        difference(one, _of(_images(20, 6), seed=1))
    with pytest.raises(ConfigError, match="one kind, number and seed"):
        one + _of(_images(20, 6), replicates=21)
    with pytest.raises(ConfigError, match="at least 1"):
        Resamples(0)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        one.intervals(95)


@pytest.mark.slow
def test_ninety_five_of_a_hundred_intervals_hold_the_true_figure() -> None:
    held = 0
    for seed in range(400):
        low, high = _of([(one, f"{seed} {unit}", {}) for one, unit, _ in _images(80, seed)], 400).intervals()["giou"]
        held += low <= 0.5 <= high
    assert 0.91 <= held / 400 <= 0.98
