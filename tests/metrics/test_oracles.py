"""Every mask figure against four others who know it: torchmetrics, pycocotools, scikit-learn and plain numpy.

On 1,000 random pairs, every fifth mask empty, every fifth full and every fifth a single pixel. The rule for empty masks
is our own, so where both are empty the peers are told that the figure is 1.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from pycocotools import mask as coco
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score
from tests.metrics.drawing import cases
from torch import Tensor
from torchmetrics import Metric, classification
from torchmetrics.functional import classification as functional

from miras.data.masks import encode
from miras.metrics.masks import THRESHOLDS, MaskSums, count_all

PAIRS = list(cases(1000))
FIGURES = MaskSums.of_all(count_all((encode(predicted), encode(target)) for predicted, target in PAIRS)).compute()
NAMES = {"iou": ("ciou", "giou")} | {name: (f"{name}_micro", f"{name}_macro") for name in ("precision", "recall", "f1")}
EVERYTHING = [np.concatenate([pair[side].ravel() for pair in PAIRS]) for side in (0, 1)]


def _hits(ious: Sequence[float] | np.ndarray) -> None:
    for threshold in THRESHOLDS:
        share = np.mean([iou >= threshold - 1e-12 for iou in ious])
        assert FIGURES["prec_at"][str(threshold)] == pytest.approx(share, abs=1e-9)


def test_every_kind_of_mask_meets_every_other() -> None:
    kinds = {tuple(min(int(one.sum()), 2) if not one.all() else "all" for one in pair) for pair in PAIRS}
    assert len(kinds) == 16
    assert FIGURES["n"] == 1000 and 200 <= FIGURES["n_empty"] < 300


def test_scikit_learn() -> None:
    # a row per pixel and a column per pair, shorter ones filled up with pixels that are on neither side
    predicted, target = np.zeros((2, max(one.size for one, _ in PAIRS), len(PAIRS)), dtype=bool)
    for place, pair in enumerate(PAIRS):
        for side, one in zip((predicted, target), pair, strict=True):
            side[: one.size, place] = one.ravel()
    nothing = ~(predicted | target).any(axis=0)
    peers = {"precision": precision_score, "recall": recall_score, "f1": f1_score, "iou": jaccard_score}
    for name, peer in peers.items():
        micro, macro = NAMES[name]
        assert FIGURES[micro] == pytest.approx(peer(EVERYTHING[1], EVERYTHING[0]), abs=1e-9)
        each = np.where(nothing, 1, peer(target, predicted, average=None, zero_division=0))
        assert FIGURES[macro] == pytest.approx(each.mean(), abs=1e-9)
        if name == "iou":
            _hits(each)


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torchmetrics divides in 64 bits: the 7 digits of its usual 32 would hide a difference."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    yield
    torch.set_default_dtype(usual)


@pytest.mark.usefixtures("doubled")
def test_torchmetrics() -> None:
    peers: dict[str, tuple[type[Metric], Callable[..., Tensor]]] = {
        "iou": (classification.BinaryJaccardIndex, functional.binary_jaccard_index),
        "precision": (classification.BinaryPrecision, functional.binary_precision),
        "recall": (classification.BinaryRecall, functional.binary_recall),
        "f1": (classification.BinaryF1Score, functional.binary_f1_score),
    }
    masks = [[torch.from_numpy(one.astype(np.uint8)) for one in pair] for pair in PAIRS]
    for name, (metric, peer) in peers.items():
        micro, macro = NAMES[name]
        whole = metric(validate_args=False)
        for predicted, target in masks:
            whole.update(predicted, target)
        assert FIGURES[micro] == pytest.approx(float(whole.compute()), abs=1e-9)
        each = [float(peer(p, t, validate_args=False, zero_division=int(not (p | t).any()))) for p, t in masks]
        assert FIGURES[macro] == pytest.approx(np.mean(each), abs=1e-9)
        if name == "iou":
            _hits(each)


def test_pycocotools() -> None:
    ious, inside, outside = [], 0, 0
    for predicted, target in PAIRS:
        one, other = (coco.encode(np.asfortranarray(mask.view(np.uint8))) for mask in (predicted, target))
        both, either = (int(coco.area(coco.merge([one, other], intersect=shared))) for shared in (True, False))
        ious.append(float(coco.iou([one], [other], [False])[0, 0]) if either else 1.0)
        inside, outside = inside + both, outside + either
    assert FIGURES["giou"] == pytest.approx(np.mean(ious), abs=1e-9)
    assert FIGURES["ciou"] == pytest.approx(inside / outside, abs=1e-9)
    _hits(ious)


def test_plain_numpy() -> None:
    def share(part: np.ndarray, whole: np.ndarray, none: float) -> float:
        return part.sum() / whole.sum() if whole.any() else none

    each: dict[str, list[float]] = {"iou": [], "precision": [], "recall": [], "f1": []}
    for p, t in PAIRS:
        none = float(not (p | t).any())
        each["iou"].append(share(p & t, p | t, none))
        each["precision"].append(share(p & t, p, none))
        each["recall"].append(share(p & t, t, none))
        each["f1"].append(2 * (p & t).sum() / (p.sum() + t.sum()) if (p | t).any() else 1.0)
    for name, values in each.items():
        assert FIGURES[NAMES[name][1]] == pytest.approx(np.mean(values), abs=1e-9)
    p, t = EVERYTHING
    assert FIGURES["ciou"] == pytest.approx((p & t).sum() / (p | t).sum(), abs=1e-9)
    assert FIGURES["precision_micro"] == pytest.approx((p & t).sum() / p.sum(), abs=1e-9)
    assert FIGURES["recall_micro"] == pytest.approx((p & t).sum() / t.sum(), abs=1e-9)
    assert FIGURES["f1_micro"] == pytest.approx(2 * (p & t).sum() / (p.sum() + t.sum()), abs=1e-9)
    empty = [not p.any() for p, t in PAIRS if not t.any()]
    assert FIGURES["empty_accuracy"] == pytest.approx(np.mean(empty), abs=1e-9)
    _hits(each["iou"])
