"""The training loss (eq. 8): text cross-entropy plus per-pixel BCE and DICE, over the pixels that count."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from miras.config import LossWeights
from miras.types import Batch, ModelOutput

__all__ = ["Losses", "compute_losses"]


@dataclass
class Losses:
    """Every term unweighted, and their weighted sum."""

    total: Tensor
    text: Tensor
    bce: Tensor
    dice: Tensor
    iou: Tensor
    naming: Tensor
    seen_iou: Tensor
    """Mean IoU of the masks of this batch, for the log; no gradient."""


def compute_losses(output: ModelOutput, batch: Batch, weights: LossWeights) -> Losses:
    """All terms of equation 8. A batch without masks, or without trained text, still gives a graph."""
    text = F.cross_entropy(output.logits.float(), output.labels) if len(output.labels) else output.logits.sum() * 0
    naming = text.new_zeros(()) if output.naming is None else output.naming
    words = weights.text * text + weights.naming * naming
    if not len(batch.masks):
        none = output.mask_logits.sum() * 0 + output.iou.sum() * 0
        return Losses(words + none, text, none, none, none, naming, none.detach())
    logits = F.interpolate(output.mask_logits[:, None], batch.masks.shape[-2:], mode="bilinear", align_corners=False)
    counted = _real(batch) if batch.ignored is None else _real(batch) * (1 - batch.ignored)
    bce, dice, true_iou = _mask_terms(logits[:, 0], batch.masks, counted)
    iou = F.mse_loss(output.iou, true_iou)
    total = words + weights.bce * bce + weights.dice * dice + weights.iou * iou
    return Losses(total, text, bce, dice, iou, naming, true_iou.mean())


def _mask_terms(logits: Tensor, masks: Tensor, counted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, masks in 0..1, how much each pixel counts, all (S, h, w) → mean BCE, DICE loss, and each IoU (S,)."""
    pixels = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * counted
    bce = pixels.sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)
    chance, wanted = logits.sigmoid() * counted, masks * counted
    # one pixel of slack keeps the ratio defined where neither side has a pixel
    dice = 1 - (2 * (chance * masks).sum((1, 2)) + 1) / (chance.sum((1, 2)) + wanted.sum((1, 2)) + 1)
    with torch.no_grad():
        said, meant = (logits > 0) & (counted > 0.5), (masks > 0.5) & (counted > 0.5)
        iou = (said & meant).sum((1, 2)) / (said | meant).sum((1, 2)).clamp(min=1)
    return bce.mean(), dice.mean(), iou


def _real(batch: Batch) -> Tensor:
    """(S, h, w) 1 where the canvas holds real pixels of the mask's image; the first row and column always do."""
    content = batch.content[batch.seg_image]
    height, width = batch.masks.shape[-2:]
    inside = []
    for axis, count in enumerate((height, width)):
        centre = (torch.arange(count, device=content.device) + 0.5) / count
        inside.append(centre < content[:, axis, None].clamp(min=1 / count))  # (S, count)
    return (inside[0][:, :, None] & inside[1][:, None]).float()
