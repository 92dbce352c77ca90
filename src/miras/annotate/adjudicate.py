"""Which mask an item gets: stated rules for what two annotators, their resolver and the reviewer drew.

Two masks are the same when their IoU reaches `agree`. Small and thin things lose much IoU to a pixel or two at the
edge; so they are the same too when the IoU reaches `overlap`, their outlines lie `edge` apart on average, and no pixel
that either marks is further than `reach` from one that both mark.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from miras.annotate.collect import Work
from miras.annotate.consensus import distance, majority, middle, near
from miras.annotate.plan import Group, Item
from miras.data.masks import decode, encode
from miras.errors import ConfigError
from miras.metrics.masks import mask_iou
from miras.types import Rle

__all__ = ["RULES", "Decision", "Rule", "Thresholds", "adjudicate", "describe_rules"]

Rule = Literal[
    "agree", "edge", "absent", "majority", "two of three", "reviewer",
    "missing", "empty", "swapped", "other", "apart", "differ", "three ways",
]  # fmt: skip

RULES: Mapping[Rule, tuple[bool, str]] = {
    "reviewer": (True, "the reviewer gave a mask: it is taken, whatever the others gave"),
    "majority": (True, "the resolver's mask is the same as both annotators': the pixels that two of the three mark"),
    "two of three": (True, "the resolver's mask is the same as one annotator's: the middle of these two"),
    "three ways": (False, "the resolver's mask is the same as neither annotator's"),
    "missing": (False, "at least one annotator gave no mask and no resolver's mask is the same as the other's"),
    "absent": (True, "two people say that the image does not show it: it gets no mask"),
    "empty": (False, "one annotator says that the image does not show it, the other marked it"),
    "agree": (True, "the IoU of the two reaches {agree:.2f}: the middle of the two"),
    "edge": (
        True,
        "the IoU of the two reaches {overlap:.2f} and they differ at the edge alone, by {edge:.1%} of the image's "
        "diagonal on average and {reach:.1%} at most: the middle of the two",
    ),
    "swapped": (False, "the IoU is below {gross:.2f}, and each annotator's mask is the other's of another label"),
    "other": (False, "the IoU is below {gross:.2f}, and one annotator's mask is the other's of another label"),
    "apart": (False, "the IoU is below {gross:.2f}: they mark different things or places"),
    "differ": (False, "the two overlap and are not the same"),
}
"""Rule → whether it settles an item, and what it says; in the order in which they are asked."""


@dataclass(frozen=True)
class Thresholds:
    """When two masks are the same. Raises ConfigError where they contradict each other."""

    agree: float = 0.80
    """IoU from which two masks are the same."""
    overlap: float = 0.55
    """IoU from which two masks that differ at the edge alone are the same; above 0.5, so that half a thing never is."""
    gross: float = 0.30
    """IoU below which two masks show different things."""
    edge: float = 0.006
    """How far two outlines of the same thing lie apart on average at most, as a share of the image's diagonal."""
    reach: float = 0.03
    """How far they lie apart anywhere at most, as a share of the image's diagonal."""

    def __post_init__(self) -> None:
        if not 0 <= self.gross <= self.overlap <= self.agree <= 1 or not 0 <= self.edge <= self.reach:
            raise ConfigError(
                f"thresholds go 0 <= gross <= overlap <= agree <= 1 and 0 <= edge <= reach, got gross {self.gross}, "
                f"overlap {self.overlap}, agree {self.agree}, edge {self.edge}, reach {self.reach}; order them so"
            )

    def same(self, first: np.ndarray, second: np.ndarray) -> Rule | None:
        """The rule by which two (H, W) bool masks are the same: agree, edge, or absent when both are empty."""
        if not first.any() or not second.any():
            return None if first.any() or second.any() else "absent"
        iou = mask_iou(first, second)
        if iou >= self.agree:
            return "agree"
        diagonal = math.hypot(*first.shape)
        close = iou >= self.overlap and distance(first, second) <= self.edge * diagonal
        return "edge" if close and near(first, second, round(self.reach * diagonal)) else None


@dataclass(frozen=True)
class Decision:
    """What becomes of one item."""

    item: Item
    rule: Rule
    people: tuple[str, ...]
    """Whose masks it was decided on."""
    mask: Rle | None = None
    """The settled mask; None where nothing is settled or the image does not show it."""
    ious: Mapping[str, float] = field(default_factory=dict)
    """`first, second` → IoU of their masks, for each two people who gave one."""
    text: str = ""
    """What there is to say besides the rule."""
    next: str | None = None
    """Who should look at it; None where it is settled."""

    @property
    def settled(self) -> bool:
        """Whether no person needs to look at it."""
        return RULES[self.rule][0]


def describe_rules(thresholds: Thresholds) -> dict[str, str]:
    """Every rule in words, with its thresholds, in the order in which they are asked."""
    return {name: text.format_map(vars(thresholds)) for name, (_, text) in RULES.items()}


def adjudicate(
    group: Group,
    wanted: Sequence[Item],
    works: Mapping[str, Work],
    reviewer: str,
    thresholds: Thresholds | None = None,
) -> list[Decision]:
    """One decision for each wanted item of a group; `works` is by person, both annotators among them."""
    rules = thresholds or Thresholds()
    return [_decide(group, item, works, reviewer, rules) for item in wanted]


def _decide(group: Group, item: Item, works: Mapping[str, Work], reviewer: str, thresholds: Thresholds) -> Decision:
    given = {
        name: decode(works[name].masks[item])
        for name in (*group.annotators, group.resolver, reviewer)
        if name in works and item in works[name].masks
    }
    ious = {
        f"{one}, {other}": mask_iou(given[one], given[other])
        for place, one in enumerate(given)
        for other in list(given)[place + 1 :]
    }

    def made(rule: Rule, people: Sequence[str], mask: np.ndarray | None = None, text: str = "") -> Decision:
        following = None if RULES[rule][0] else reviewer if group.resolver in given else group.resolver
        kept = encode(mask) if mask is not None and mask.any() else None
        return Decision(item, rule, tuple(people), kept, ious, text, following)

    if reviewer in given:
        return made("reviewer", [reviewer], given[reviewer])
    annotators = [name for name in group.annotators if name in given]
    if group.resolver in given:
        alike = [name for name in annotators if thresholds.same(given[name], given[group.resolver])]
        people = [*alike, group.resolver]
        if len(alike) == 2:
            return made("majority", people, majority(*(given[name] for name in people)))
        if alike:
            return made("two of three", people, middle(*(given[name] for name in people)))
        return made("three ways" if len(annotators) == 2 else "missing", [*annotators, group.resolver])
    if len(annotators) < 2:
        lacking = [name for name in group.annotators if name not in given]
        return made("missing", annotators, text=f"not given by {' and '.join(lacking)}")
    first, second = (given[name] for name in annotators)
    if rule := thresholds.same(first, second):
        return made(rule, annotators, middle(first, second))
    why, text = _why_apart(item, (first, second), group, works, thresholds)
    return made(why, annotators, text=text)


def _why_apart(
    item: Item,
    masks: tuple[np.ndarray, np.ndarray],
    group: Group,
    works: Mapping[str, Work],
    thresholds: Thresholds,
) -> tuple[Rule, str]:
    """The rule for two masks that are not the same, and whose mask belongs to which other label, where that is so."""
    names = group.annotators
    if not (masks[0].any() and masks[1].any()):
        empty = names[0] if not masks[0].any() else names[1]
        return "empty", f"{empty} says that it is absent"
    if mask_iou(*masks) >= thresholds.gross:
        return "differ", ""
    taken: list[set[str]] = []
    for mask, other in ((masks[0], names[1]), (masks[1], names[0])):
        same = [
            at.label
            for at, rle in works[other].masks.items()
            if at.image == item.image and at != item and thresholds.same(mask, decode(rle)) in ("agree", "edge")
        ]
        taken.append(set(same))
    if both := sorted(taken[0] & taken[1]):
        return "swapped", f"with {both[0]!r}"
    for name, other, labels in ((*names, taken[0]), (*names[::-1], taken[1])):
        if labels:
            return "other", f"{name} marked what {other} calls {min(labels)!r}"
    return "apart", ""
