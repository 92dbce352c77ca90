"""Mask figures against hand-worked cases, scikit-learn and plain numpy."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from miras.errors import MaskError
from miras.metrics.masks import THRESHOLDS, Counts, MaskSums, Strata, mask_iou

EMPTY = np.zeros((4, 4), dtype=bool)
FULL = np.ones((4, 4), dtype=bool)
LEFT = np.array([[1, 1, 0, 0]] * 4, dtype=bool)
TOP = np.array([[1, 1, 1, 1]] * 2 + [[0, 0, 0, 0]] * 2, dtype=bool)
ONE = np.zeros((4, 4), dtype=bool)
ONE[0, 0] = True

Pair = tuple[np.ndarray | None, np.ndarray]
mask = arrays(bool, (3, 4))
pair: st.SearchStrategy[Pair] = st.tuples(st.none() | mask, mask)


def sums_of(pairs: Iterable[Pair]) -> MaskSums:
    sums = MaskSums()
    for predicted, target in pairs:
        sums.update(Counts.of(predicted, target))
    return sums


def test_hand_worked_figures() -> None:
    # LEFT and TOP share 4 of 12 pixels; ONE is 1 of LEFT's 8.
    figures = sums_of([(LEFT, TOP), (ONE, LEFT), (None, TOP)]).compute()
    assert figures["n"] == 3
    assert figures["giou"] == pytest.approx((4 / 12 + 1 / 8 + 0) / 3, abs=1e-12)
    assert figures["ciou"] == pytest.approx(5 / (12 + 8 + 8), abs=1e-12)
    assert figures["precision_micro"] == pytest.approx(5 / 9, abs=1e-12)
    assert figures["precision_macro"] == pytest.approx((0.5 + 1 + 0) / 3, abs=1e-12)
    assert figures["recall_micro"] == pytest.approx(5 / 24, abs=1e-12)
    assert figures["recall_macro"] == pytest.approx((0.5 + 1 / 8 + 0) / 3, abs=1e-12)
    assert figures["f1_micro"] == pytest.approx(10 / 33, abs=1e-12)
    assert figures["f1_macro"] == pytest.approx((0.5 + 2 / 9 + 0) / 3, abs=1e-12)


@pytest.mark.parametrize(
    ("predicted", "target", "expected"),
    [(EMPTY, EMPTY, 1), (None, EMPTY, 1), (EMPTY, FULL, 0), (None, FULL, 0), (FULL, EMPTY, 0), (FULL, FULL, 1)],
)
def test_empty_rule_is_the_same_for_every_figure(
    predicted: np.ndarray | None, target: np.ndarray, expected: int
) -> None:
    figures = sums_of([(predicted, target)]).compute()
    assert (figures.pop("n"), figures.pop("n_extra")) == (1, 0)
    # over targets with an empty true mask alone, the share on which nothing was marked is what every figure is
    assert (figures.pop("n_empty"), figures.pop("empty_accuracy")) == ((0, None) if target.any() else (1, expected))
    assert set(figures.pop("prec_at").values()) == {expected}
    assert set(figures.values()) == {expected}
    assert mask_iou(predicted, target) == expected


def test_no_targets_give_none() -> None:
    figures = Strata().compute()
    assert {figures.pop(name) for name in ("n", "n_empty", "n_extra")} == {0}
    assert set(figures.pop("prec_at").values()) == {None}
    assert set(figures.values()) == {None}


def test_the_example_in_the_docs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    exec(text.split("```python\n")[1].split("```")[0], {})
    assert float(capsys.readouterr().out) == pytest.approx(4 / 12 / 2, abs=1e-12)


def test_threshold_counts_the_iou_that_just_reaches_it() -> None:
    three_of_five, five = np.zeros((1, 5), dtype=bool), np.ones((1, 5), dtype=bool)
    three_of_five[0, :3] = True
    hits = sums_of([(three_of_five, five)]).compute()["prec_at"]
    assert hits == {"0.5": 1, "0.6": 1, "0.7": 0, "0.8": 0, "0.9": 0}


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(MaskError, match=r"\(2, 8\) and \(4, 4\)"):
        Counts.of(np.zeros((2, 8), dtype=bool), FULL)


def random_cases(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    for index in range(count):
        shape = tuple(rng.integers(1, 9, 2))
        predicted, target = (rng.random(shape) < rng.random() for _ in range(2))
        # The empty rule is our own and tested above; here every mask holds something.
        predicted.flat[index % predicted.size] = target.flat[(3 * index) % target.size] = True
        yield predicted, target


def test_agrees_with_scikit_learn() -> None:
    pairs = list(random_cases(300))
    figures = sums_of(pairs).compute()
    everything = [np.concatenate([p[side].ravel() for p in pairs]) for side in (0, 1)]
    peers = {"precision": precision_score, "recall": recall_score, "f1": f1_score, "iou": jaccard_score}
    names = {"iou": ("ciou", "giou")}
    for name, peer in peers.items():
        micro, macro = names.get(name, (f"{name}_micro", f"{name}_macro"))
        assert figures[micro] == pytest.approx(peer(everything[1], everything[0]), abs=1e-9)
        each = [peer(target.ravel(), predicted.ravel(), zero_division=0) for predicted, target in pairs]
        assert figures[macro] == pytest.approx(np.mean(each), abs=1e-9)


def test_agrees_with_plain_numpy() -> None:
    pairs = list(random_cases(300))
    ious = np.array([(p & t).sum() / (p | t).sum() for p, t in pairs])
    figures = sums_of(pairs).compute()
    assert figures["giou"] == pytest.approx(ious.mean(), abs=1e-9)
    for threshold in THRESHOLDS:
        assert figures["prec_at"][str(threshold)] == pytest.approx((ious >= threshold - 1e-12).mean(), abs=1e-9)
    assert [mask_iou(p, t) for p, t in pairs] == pytest.approx(list(ious), abs=1e-12)


@given(st.lists(pair, max_size=12), st.integers(0, 12))
def test_merging_shards_changes_nothing(pairs: list[Pair], cut: int) -> None:
    whole = sums_of(pairs)
    assert sums_of(pairs[:cut]) + sums_of(pairs[cut:]) == whole
    assert sums_of(pairs[cut:]) + sums_of(pairs[:cut]) == whole
    assert sums_of(reversed(pairs)).compute() == whole.compute()


def strata_of(rows: Iterable[tuple[Pair, str]]) -> Strata:
    strata = Strata()
    for (predicted, target), size in rows:
        strata.update(Counts.of(predicted, target), {"by_size": size, "parts": "part" if size == "fine" else "whole"})
    return strata


@given(st.lists(st.tuples(pair, st.sampled_from(["fine", "medium", "coarse"])), max_size=10), st.integers(0, 10))
def test_merging_shards_of_strata_changes_nothing(rows: list[tuple[Pair, str]], cut: int) -> None:
    assert strata_of(rows[:cut]) + strata_of(rows[cut:]) == strata_of(rows)


def test_strata_hold_what_belongs_to_them() -> None:
    figures = strata_of([((FULL, FULL), "fine"), ((LEFT, FULL), "coarse"), ((None, FULL), "coarse")]).compute()
    assert figures["giou"] == pytest.approx(0.5, abs=1e-12)
    assert figures["by_size"]["fine"]["giou"] == 1
    assert figures["by_size"]["coarse"] == sums_of([(LEFT, FULL), (None, FULL)]).compute()
    assert figures["parts"]["part"]["n"] == 1
    assert figures["parts"]["whole"]["ciou"] == pytest.approx(8 / 32, abs=1e-12)
    assert json.loads(json.dumps(figures)) == figures
