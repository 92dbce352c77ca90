"""Agreement against hand-worked masks, scikit-learn, plain numpy and scipy's bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap
from sklearn.metrics import cohen_kappa_score, jaccard_score

from miras.annotate.agreement import GATES, Agreement, agreement, cohen_kappa
from miras.annotate.collect import Work
from miras.annotate.plan import Group, Item
from miras.data.masks import encode, granularity

GROUP = Group("G1", ("ann", "bob"), "cem", ())
Pairs = list[tuple[str, np.ndarray | None, np.ndarray | None]]


def agreed(pairs: Pairs, **more: int) -> Agreement:
    """The agreement over (image, first mask, second mask); None is a mask that was not given."""
    items = [Item(image, str(n)) for n, (image, _, _) in enumerate(pairs)]
    first, second = (
        Work(name, {item: encode(mask) for item, mask in zip(items, masks, strict=True) if mask is not None})
        for name, masks in (("ann", [pair[1] for pair in pairs]), ("bob", [pair[2] for pair in pairs]))
    )
    return agreement(GROUP, items, first, second, **more)


def values(found: Agreement) -> dict[str, float | None]:
    return {name: figure.value for name, figure in found.figures.items()}


LEFT = np.array([[1, 1, 0, 0]] * 4, dtype=bool)
TOP = np.array([[1, 1, 1, 1]] * 2 + [[0, 0, 0, 0]] * 2, dtype=bool)
EMPTY, FULL = np.zeros((4, 4), dtype=bool), np.ones((4, 4), dtype=bool)


def test_hand_worked_figures() -> None:
    # LEFT and TOP: 4 both, 4 and 4 alone, 4 neither: IoU 4/12, kappa 0; with LEFT twice over 32 pixels:
    # po = 24/32, pe = 1/2, so kappa 1/2
    found = agreed([("a", LEFT, TOP), ("b", LEFT, LEFT)])
    assert (found.images, found.items, found.missing) == (2, 2, 0)
    assert values(found) == pytest.approx(
        {"iou": (1 / 3 + 1) / 2, "iou_pooled": 12 / 20, "kappa_pixels": 0.5, "kappa_mean": 0.5, "kappa_items": 1}
    )


@pytest.mark.parametrize(
    ("first", "second", "iou", "pixels", "classes"),
    [
        (EMPTY, EMPTY, 1, 1, 1),
        (FULL, FULL, 1, 1, 1),
        (EMPTY, FULL, 0, 0, 0),
        (FULL, EMPTY, 0, 0, 0),
        (FULL, LEFT, 0.5, 0, 1),
    ],
)
def test_empty_rules(first: np.ndarray, second: np.ndarray, iou: float, pixels: float, classes: float) -> None:
    found = agreed([("a", first, second)])
    assert values(found) == {
        "iou": iou, "iou_pooled": iou, "kappa_pixels": pixels, "kappa_mean": pixels, "kappa_items": classes,
    }  # fmt: skip
    assert all(figure.low is None and figure.high is None for figure in found.figures.values())  # one image alone


def test_nothing_gives_none_and_what_is_not_given_is_counted() -> None:
    found = agreed([("a", LEFT, None), ("b", None, None)])
    assert (found.items, found.missing) == (0, 2)
    assert set(values(found).values()) == {None}
    assert set(found.passes().values()) == {None}
    with_one = agreed([("a", LEFT, None), ("a", LEFT, LEFT)])
    assert (with_one.items, with_one.missing) == (1, 1)
    assert values(with_one)["iou"] == 1


def test_gates_are_reached_at_the_gate() -> None:
    four_of_five = np.zeros((1, 5), dtype=bool)
    four_of_five[0, :4] = True
    found = agreed([("a", four_of_five, np.ones((1, 5), dtype=bool))])
    assert values(found)["iou"] == 0.8 == GATES["iou"]
    assert found.passes()["iou"] is True
    assert found.passes()["kappa_pixels"] is False
    assert found.passes({"kappa_items": 0.75}) == {"kappa_items": True}


def random_pairs(count: int, seed: int = 3) -> Pairs:
    rng = np.random.default_rng(seed)
    pairs: Pairs = []
    for n in range(count):
        # sizes from fine to coarse, and an absent one here and there
        share = rng.choice([0, 0.001, 0.01, 0.1], p=[0.1, 0.3, 0.3, 0.3])
        first = rng.random((60, 50)) < share
        second = first ^ (rng.random((60, 50)) < share / 3)
        pairs.append((str(n // 3), first, second if rng.random() > 0.1 else rng.random((60, 50)) < 0.05))
    return pairs


def test_agrees_with_scikit_learn_and_plain_numpy() -> None:
    pairs = random_pairs(120)
    found = values(agreed(pairs))
    firsts, seconds = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (1, 2))  # type: ignore[union-attr]
    assert found["kappa_pixels"] == pytest.approx(cohen_kappa_score(firsts, seconds), abs=1e-9)
    assert found["iou_pooled"] == pytest.approx(jaccard_score(firsts, seconds), abs=1e-9)
    assert found["iou_pooled"] == pytest.approx((firsts & seconds).sum() / (firsts | seconds).sum(), abs=1e-9)

    def size(mask: np.ndarray | None) -> str:
        assert mask is not None
        return granularity(mask.mean()) if mask.any() else "absent"

    classes = [[size(mask) for mask in side] for side in zip(*[pair[1:] for pair in pairs], strict=True)]
    assert len(set(classes[0])) == 4
    assert found["kappa_items"] == pytest.approx(cohen_kappa_score(*classes), abs=1e-9)
    filled = [pair for pair in pairs if pair[1].any() or pair[2].any()]  # type: ignore[union-attr]
    each = agreed(filled)
    ious = [jaccard_score(pair[1].ravel(), pair[2].ravel()) for pair in filled]  # type: ignore[union-attr]
    kappas = [cohen_kappa_score(pair[1].ravel(), pair[2].ravel()) for pair in filled]  # type: ignore[union-attr]
    assert values(each)["iou"] == pytest.approx(np.mean(ious), abs=1e-9)
    assert values(each)["kappa_mean"] == pytest.approx(np.mean(kappas), abs=1e-9)


@given(arrays(np.int64, (4, 4), elements=st.integers(0, 9)))
def test_kappa_of_any_table(table: np.ndarray) -> None:
    ratings = [pair for pair, count in np.ndenumerate(table) for _ in range(count)]
    found = float(cohen_kappa(table))
    if not ratings:
        assert np.isnan(found)
    elif len({rating for pair in ratings for rating in pair}) == 1:
        assert found == 1
    else:
        labels = list(range(4))
        assert found == pytest.approx(cohen_kappa_score(*zip(*ratings, strict=True), labels=labels), abs=1e-9)


def test_intervals_are_scipys_where_every_image_has_one_item() -> None:
    pairs = [(str(n), first, second) for n, (_, first, second) in enumerate(random_pairs(80)) if first.any()]  # type: ignore[union-attr]
    ious = np.array([(a & b).sum() / (a | b).sum() for _, a, b in pairs])  # type: ignore[operator]
    found = agreed(pairs, draws=20_000).figures["iou"]
    theirs = bootstrap((ious,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1))
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.004)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.004)
    assert found == agreed(pairs, draws=20_000).figures["iou"] != agreed(pairs, draws=20_000, seed=1).figures["iou"]


def test_items_of_one_image_are_drawn_together() -> None:
    pairs = random_pairs(90)
    apart = agreed([(str(n), first, second) for n, (_, first, second) in enumerate(pairs)]).figures["iou"]
    alike = agreed([(str(n % 2), LEFT, LEFT if n % 2 else TOP) for n in range(90)]).figures["iou"]
    assert (alike.low, alike.high) == (pytest.approx(1 / 3), 1)  # both draws of the same image are not rare
    assert apart.low is not None and apart.high is not None and apart.high - apart.low < 0.3


def test_every_figure_lies_in_its_interval() -> None:
    for name, figure in agreed(random_pairs(90)).figures.items():
        assert figure.value is not None and figure.low is not None and figure.high is not None
        assert figure.low < figure.value < figure.high, name
