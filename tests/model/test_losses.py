"""Equation 8 against numpy."""

from typing import Any

import numpy as np
import pytest
import torch

from miras.config import LossWeights
from miras.model.losses import compute_losses
from miras.types import Batch, ModelOutput

_ALL = LossWeights(iou=0.1)


def batch(masks: torch.Tensor, content: tuple[float, float] = (1.0, 1.0)) -> Batch:
    count = len(masks)
    none = torch.zeros(count, dtype=torch.long)
    return Batch(
        low=torch.zeros(1, 3, 4, 4), high=torch.zeros(1, 3, 4, 4), cells=torch.ones(1, 1, dtype=torch.bool),
        input_ids=torch.zeros(1, 2, dtype=torch.long), attention_mask=torch.ones(1, 2),
        labels=torch.zeros(1, 2, dtype=torch.long), dialogue_image=torch.zeros(1, dtype=torch.long),
        seg_dialogue=none, seg_position=none, obj_span=torch.zeros(count, 2, dtype=torch.long), masks=masks,
        content=torch.tensor([content]),
    )  # fmt: skip


@pytest.mark.parametrize("content", [(1.0, 1.0), (0.5, 1.0), (1.0, 0.75)])
def test_equals_equation_8_in_numpy(content: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    text, labels = rng.normal(size=(5, 7)), rng.integers(0, 7, 5)
    logits, masks = rng.normal(size=(2, 4, 4)) * 3, (rng.random((2, 4, 4)) > 0.5).astype(float)
    rows, columns = (round(4 * share) for share in content)
    masks[:, rows:], masks[:, :, columns:] = 0, 0
    guess = np.array([0.3, 0.8])

    chances = np.exp(text) / np.exp(text).sum(1, keepdims=True)
    ce = -np.log(chances[np.arange(5), labels]).mean()
    real = (slice(None), slice(rows), slice(columns))
    p, m = 1 / (1 + np.exp(-logits))[real], masks[real]
    bce = -(m * np.log(p) + (1 - m) * np.log(1 - p)).mean((1, 2)).mean()
    dice = (1 - (2 * (p * m).sum((1, 2)) + 1) / (p.sum((1, 2)) + m.sum((1, 2)) + 1)).mean()
    said, meant = p > 0.5, m > 0.5
    true_iou = (said & meant).sum((1, 2)) / np.maximum((said | meant).sum((1, 2)), 1)
    iou = ((guess - true_iou) ** 2).mean()

    output = ModelOutput(*(torch.tensor(x, dtype=torch.float32) for x in (text, labels, logits, guess)))
    output.labels = output.labels.long()
    losses = compute_losses(output, batch(torch.tensor(masks).float(), content), LossWeights(iou=0.1))
    assert losses.text.item() == pytest.approx(ce, rel=1e-5)
    assert losses.bce.item() == pytest.approx(bce, rel=1e-5)
    assert losses.dice.item() == pytest.approx(dice, rel=1e-5)
    assert losses.iou.item() == pytest.approx(iou, rel=1e-5)
    assert losses.seen_iou.item() == pytest.approx(true_iou.mean(), rel=1e-5)
    assert losses.total.item() == pytest.approx(1.0 * ce + 2.0 * bce + 0.5 * dice + 0.1 * iou, rel=1e-5)


def test_the_weights_are_those_of_the_paper() -> None:
    assert (LossWeights().text, LossWeights().bce, LossWeights().dice, LossWeights().iou) == (1.0, 2.0, 0.5, 0.0)


def test_coarser_logits_are_scaled_to_the_masks() -> None:
    masks = torch.zeros(1, 8, 8)
    masks[:, :4] = 1
    logits = torch.tensor([[[20.0, 20.0], [-20.0, -20.0]]])
    output = ModelOutput(torch.zeros(1, 3), torch.tensor([0]), logits, torch.tensor([1.0]))
    losses = compute_losses(output, batch(masks), LossWeights())
    assert losses.seen_iou.item() == 1.0 and losses.dice.item() < 0.1


@pytest.mark.parametrize("content", [(1.0, 1.0), (0.75, 1.0)])
def test_ignored_pixels_count_as_if_the_image_had_none(content: tuple[float, float]) -> None:
    """Whatever is said and meant where pixels are ignored: no term, nor any gradient, hangs on it."""
    rng = torch.Generator().manual_seed(0)
    logits, masks = torch.randn(2, 4, 4, generator=rng), (torch.rand(2, 4, 4, generator=rng) > 0.5).float()
    masks[:, round(4 * content[0]) :] = 0
    ignored = torch.zeros(2, 4, 4)
    ignored[:, :, 2:] = 1
    found = []
    for change in (0.0, 30.0):
        said = (logits + change * ignored).requires_grad_()
        meant = batch(torch.where(ignored > 0, 1.0 if change else 0.0, masks), content)
        meant.ignored = ignored
        losses = compute_losses(ModelOutput(torch.zeros(1, 3), torch.tensor([0]), said, torch.zeros(2)), meant, _ALL)
        losses.total.backward()
        assert said.grad is not None and said.grad[:, :, :2].any() and not said.grad[:, :, 2:].any()
        found.append((losses.total.item(), losses.seen_iou.item()))
    assert found[0] == pytest.approx(found[1])
    half = batch(masks[:, :, :2].contiguous(), content)
    output = ModelOutput(torch.zeros(1, 3), torch.tensor([0]), logits[:, :, :2].contiguous(), torch.zeros(2))
    alone = compute_losses(output, half, _ALL)
    assert (alone.total.item(), alone.seen_iou.item()) == pytest.approx(found[0])


def test_a_target_of_ignored_pixels_alone_is_no_division_by_zero() -> None:
    ignored = batch(torch.ones(1, 4, 4))
    ignored.ignored = torch.ones(1, 4, 4)
    output = ModelOutput(torch.zeros(1, 3), torch.tensor([0]), torch.randn(1, 4, 4), torch.zeros(1))
    losses = compute_losses(output, ignored, _ALL)
    assert losses.bce.item() == losses.dice.item() == 0


@torch.no_grad()
def test_perfect_masks_cost_nothing() -> None:
    masks = torch.eye(4)[None]
    output = ModelOutput(torch.zeros(1, 3), torch.tensor([0]), (masks - 0.5) * 100, torch.tensor([1.0]))
    losses = compute_losses(output, batch(masks), LossWeights())
    assert losses.bce.item() < 1e-6 and losses.dice.item() < 1e-6 and losses.iou.item() == 0


@pytest.mark.parametrize("talk", [("Is it?", "Yes."), ("Mark.", "[OBJ]a[SEG].")])
def test_batches_without_masks_still_have_a_graph(fresh_model: Any, picture: Any, sample: Any, talk: Any) -> None:
    model = fresh_model()
    made = model.processor.collator(mask_size=32)([sample(picture(40, 60), *talk)])
    losses = compute_losses(model(made), made, LossWeights(iou=1.0))
    losses.total.backward()
    assert losses.total.isfinite() and model.language.rows.grad is not None
    assert next(model.vision.projector.parameters()).grad.any()


def test_batches_without_trained_text_still_have_a_graph(fresh_model: Any, picture: Any, sample: Any) -> None:
    model = fresh_model()
    made = model.processor.collator(mask_size=32)([sample(picture(40, 60), "Mark.", "[SEG]")])
    made.labels.fill_(-100)
    losses = compute_losses(model(made), made, LossWeights())
    losses.total.backward()
    assert losses.text.item() == 0 and next(model.mask_projector.parameters()).grad is not None
    assert losses.total.isfinite()


@pytest.mark.parametrize("content", [(0.001, 1.0), (1.0, 0.001)])
def test_an_image_thinner_than_a_mask_pixel_still_counts(content: tuple[float, float]) -> None:
    masks = torch.zeros(1, 4, 4)
    masks[0, 0, 0] = 1
    output = ModelOutput(torch.zeros(1, 3), torch.tensor([0]), torch.full((1, 4, 4), -5.0), torch.tensor([0.0]))
    losses = compute_losses(output, batch(masks, content), LossWeights())
    missed, right = 5.0067, 0.0067  # the one pixel of the target, and the three others that are real
    assert losses.bce.item() == pytest.approx((missed + 3 * right) / 4, rel=1e-3)
