"""The same sums under the conventions of the paper and of its authors' code, each by what it averages.

Table 3 of the paper names its columns and not its averages. What can be worked out from the printed figures (a test
does so) is which rows fit which rule:

- In 10 of the 13 rows F1 is the harmonic mean of the printed precision and recall (HARMONIC_F1). In the other three it
  is 7.5 to 8.5 points lower, as the mean of each target's own F1 can be (PER_TARGET_F1).
- Had precision, recall and F1 been taken over all pixels together, the IoU over all pixels would be F1 / (2 - F1). That
  fits the printed CIoU in one row (CUMULATIVE_CIOU). In the others CIoU is something else, presumably the mean of each
  sample's IoU: that is what the authors' `eval_multiturn` calls cIoU.

The authors' in-training validation averages the figure of the marked pixels with that of all the others.
"""

from typing import Any

from miras.metrics.masks import UNIT, Counts, MaskSums

__all__ = ["CUMULATIVE_CIOU", "HARMONIC_F1", "PER_TARGET_F1", "authors_validation", "harmonic_mean", "paper_table3"]

HARMONIC_F1 = (
    "InternVL2-8B",
    "Qwen2-VL-7B",
    "LLaVA-v1.5-7B",
    "LLaVA-v1.6-7B",
    "GPT-4o",
    "OMG-LLaVA",
    "MIRAS (Stage-1)",
    "LISA (ft)",
    "OMG-LLaVA (ft)",
    "MIRAS (Stage-2)",
)
"""Rows of table 3 whose F1 is the harmonic mean of their precision and recall."""

PER_TARGET_F1 = ("LISA", "PixelLM", "PixelLM (ft)")
"""Rows of table 3 whose F1 is not, and may be the mean of each target's F1."""

CUMULATIVE_CIOU = ("MIRAS (Stage-1)",)
"""Rows of table 3 whose CIoU is the IoU over all pixels that their precision and recall imply."""


def harmonic_mean(precision: float | None, recall: float | None) -> float | None:
    """2PR / (P + R); 0 where both are 0, None where one is unknown."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def paper_table3(sums: MaskSums) -> dict[str, Any]:
    """The columns of table 3, 0..1, under every rule that its rows may follow; None over no targets.

    `ciou`: `cumulative`, or `per_sample`, the mean that is called gIoU elsewhere. `precision` and `recall`: `micro`
    and `macro`. `f1`: `micro`, which is the harmonic mean of the micro figures; `harmonic`, of the macro figures;
    `per_target`, the mean of each target's own.
    """
    figures = sums.compute()
    return {
        "ciou": {"cumulative": figures["ciou"], "per_sample": figures["giou"]},
        "precision": {"micro": figures["precision_micro"], "macro": figures["precision_macro"]},
        "recall": {"micro": figures["recall_micro"], "macro": figures["recall_macro"]},
        "f1": {
            "micro": figures["f1_micro"],
            "harmonic": harmonic_mean(figures["precision_macro"], figures["recall_macro"]),
            "per_target": figures["f1_macro"],
        },
    }


def authors_validation(sums: MaskSums) -> dict[str, float | None]:
    """What the authors' in-training validation prints, 0..1; None over no targets.

    `ciou` is the mean of two cumulative IoUs, of the marked pixels and of all the others; `ciou_true` the first of the
    two alone, which is `ciou` everywhere else. `giou` is the mean over targets of the same two, each target's own.
    An image without pixels of a kind, on either side, counts as 1 for that kind.
    """
    if not sums.targets:
        return dict.fromkeys(("ciou", "ciou_true", "giou"))
    fractions = Counts(sums.tp, sums.fp, sums.fn, sums.tn).fractions
    marked, others = (fractions[name][0] / fractions[name][1] for name in ("iou", "background"))
    giou = (sums.iou + sums.background) / (2 * UNIT * sums.targets)
    return {"ciou": (marked + others) / 2, "ciou_true": marked, "giou": giou}
