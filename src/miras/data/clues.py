"""Which clues single a target out among the annotated objects of its photo.

Every clue is read off the annotations (colour, place, size, boxes) or off the facts of a class.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from miras.data.facts import Fact, fact
from miras.data.photos import Photo, PhotoObject
from miras.data.phrasing import gives_away, pick

__all__ = ["Trait", "extreme", "is_group", "pin", "same_region", "side"]

_EXTREMES: Mapping[str, tuple[str, ...]] = {
    "leftmost": ("furthest to the left", "closest to the left edge", "more to the left than the rest"),
    "rightmost": ("furthest to the right", "closest to the right edge", "more to the right than the rest"),
    "topmost": ("highest up", "closest to the upper edge", "above all the rest"),
    "bottommost": ("lowest down", "closest to the lower edge", "below all the rest"),
    "largest": ("the biggest", "the largest in area", "bigger than all the rest"),
    "smallest": ("the smallest", "the least in area", "smaller than all the rest"),
}
_CLEARLY = 1.1
"""How many times larger one area must be than another to be called so."""


@dataclass(frozen=True)
class Trait:
    """A clue that singles the target out among things that the other clues could also mean."""

    kind: str
    """color, place, size, side, extreme or all."""
    text: str
    """In words: `the black one`, `furthest to the left`."""


def same_region(first: PhotoObject, second: PhotoObject) -> bool:
    """True when both names mark the same pixels."""
    return first.mask == second.mask


def is_group(target: PhotoObject) -> bool:
    """True when the target is several things at once."""
    return target.union and (target.count is None or target.count > 1)


def extreme(target: PhotoObject) -> str | None:
    """What sets the target apart from others of its class (`leftmost`), when its phrase says so."""
    qualifier = target.phrase.removesuffix(target.class_name).strip().lower()
    return qualifier if qualifier in _EXTREMES else None


def pin(photo: Photo, target: PhotoObject, rng: np.random.Generator) -> tuple[Trait, ...] | None:
    """The traits that, after the clues of its class, leave the target alone; None when none do."""
    known, traits = fact(target.class_name), []
    different = [o for o in photo.objects if o is not target and not same_region(o, target)]
    same = [o for o in different if o.class_name == target.class_name]
    if is_group(target):
        traits = [Trait("all", "all of them")]
        same = [o for o in same if is_group(o)]
    elif qualifier := extreme(target):
        traits = [Trait("extreme", pick(rng, _EXTREMES[qualifier]))]
        same = [o for o in same if o.phrase == target.phrase]
    rivals = same + [o for o in different if o.class_name != target.class_name and _confusable(known, o.class_name)]
    for trait, gone in _traits(target, rivals, rng):
        if gives_away(trait.text, target.phrase, target.class_name):
            continue
        left = [o for o in rivals if not any(o is g for g in gone)]
        if len(left) < len(rivals):
            traits, rivals = [*traits, trait], left
    return None if rivals else tuple(traits)


def _confusable(known: Fact, other: str) -> bool:
    return other in known.alike or (known.generic and fact(other).group == known.group)


def _traits(
    target: PhotoObject, rivals: list[PhotoObject], rng: np.random.Generator
) -> list[tuple[Trait, list[PhotoObject]]]:
    """Each trait of the target with the rivals that it rules out; the size last, as it is the least precise."""
    found = []
    noun = "ones" if is_group(target) else "one"
    if target.color and not fact(target.class_name).colorless:
        gone = [o for o in rivals if o.color and o.color != target.color]
        found.append((Trait("color", f"the {target.color} {noun}"), gone))
    if target.position and not is_group(target):
        gone = [o for o in rivals if o.position and o.position != target.position and not is_group(o)]
        found.append((Trait("place", f"the one in the {target.position}"), gone))
    found = [found[i] for i in rng.permutation(len(found))]
    if len(rivals) == 1 and not is_group(target) and (where := side(target, rivals[0])):
        found.append((Trait("side", f"the one {where} the other"), rivals))
    if rivals and target.area > _CLEARLY * max(o.area for o in rivals):
        found.append((Trait("size", f"the larger {noun}" if len(rivals) == 1 else f"the largest {noun}"), rivals))
    if rivals and _CLEARLY * target.area < min(o.area for o in rivals):
        found.append((Trait("size", f"the smaller {noun}" if len(rivals) == 1 else f"the smallest {noun}"), rivals))
    return found


def side(target: PhotoObject, other: PhotoObject) -> str | None:
    """Where the target is, seen from the other, when their boxes do not overlap along that axis."""
    left, top, right, bottom = target.box
    other_left, other_top, other_right, other_bottom = other.box
    if right <= other_left < other_right:
        return "to the left of"
    if left >= other_right > other_left:
        return "to the right of"
    if bottom <= other_top < other_bottom:
        return "above"
    return "below" if top >= other_bottom > other_top else None
