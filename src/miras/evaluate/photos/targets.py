"""The targets of a split, and seeded choices among them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miras.data.photos import Photo, PhotoObject

__all__ = ["PhotoCase", "all_cases", "seeded_subset", "stratified"]


@dataclass(frozen=True)
class PhotoCase:
    """One target of a split."""

    index: int
    """Its row in the split, the seed of everything drawn for it."""
    photo_index: int
    """Place of its photo in the split."""
    photo: Photo
    target: PhotoObject

    @property
    def labels(self) -> dict[str, str]:
        """Its stratum in each grouping of the report."""
        return {
            "by_size": self.target.size,
            "by_source": self.photo.source or "unknown",
            "parts": "part" if self.target.part else "whole",
        }


def all_cases(photos: Sequence[Photo]) -> list[PhotoCase]:
    """Every target of the photos, in file order."""
    pairs = [(place, photo, target) for place, photo in enumerate(photos) for target in photo.objects]
    return [PhotoCase(index, place, photo, target) for index, (place, photo, target) in enumerate(pairs)]


def seeded_subset(cases: Sequence[PhotoCase], limit: int | None, rng: np.random.Generator) -> list[PhotoCase]:
    """At most `limit` cases in file order: whole photos in random order, so that their phrases stay together."""
    if limit is None or limit >= len(cases):
        return list(cases)
    places = list(dict.fromkeys(case.photo_index for case in cases))
    rank = {places[choice]: turn for turn, choice in enumerate(rng.permutation(len(places)))}
    chosen = sorted(cases, key=lambda case: (rank[case.photo_index], case.index))[:limit]
    return sorted(chosen, key=lambda case: case.index)


def stratified(cases: Sequence[PhotoCase], count: int, rng: np.random.Generator) -> list[PhotoCase]:
    """`count` cases in file order, each stratum of size and source given its share by largest remainder."""
    if count >= len(cases):
        return list(cases)
    strata: dict[tuple[str, str], list[PhotoCase]] = {}
    for case in cases:
        strata.setdefault((case.labels["by_size"], case.labels["by_source"]), []).append(case)
    quotas = _largest_remainder({key: len(members) for key, members in strata.items()}, count)
    chosen: list[PhotoCase] = []
    for key in sorted(strata):
        picks = rng.permutation(len(strata[key]))[: quotas[key]]
        chosen += [strata[key][pick] for pick in picks]
    return sorted(chosen, key=lambda case: case.index)


def _largest_remainder(sizes: dict[tuple[str, str], int], count: int) -> Counter[tuple[str, str]]:
    """Seats for each stratum, `count` in all: whole shares first, the rest to the largest remainders."""
    total = sum(sizes.values())
    seats = Counter({key: count * size // total for key, size in sizes.items()})
    # Whole-number remainders; ties go to the stratum that comes first by name.
    by_remainder = sorted(sizes, key=lambda key: (-(count * sizes[key] % total), key))
    seats.update(by_remainder[: count - sum(seats.values())])
    return seats
