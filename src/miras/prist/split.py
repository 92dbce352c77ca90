"""Parts of a PRIST data set: splits that share no image, samples, and one file made of several."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from miras.errors import DataError

__all__ = ["merge", "sample", "split"]

_Record = dict[str, Any]


def split(records: Sequence[_Record], sizes: Mapping[str, int], *, seed: int) -> dict[str, list[_Record]]:
    """Records divided by image, so that no image is in two parts, into parts of exactly these sizes.

    The paper's is {"train": 7312, "val": 500, "test": 508}. Which images go where is drawn by the seed; within a part
    the order stays. What is left over when the sizes do not add up to all records is in no part. Raises DataError
    when the images cannot be divided so, with the nearest size that can be had.
    """
    if (wanted := sum(sizes.values())) > len(records):
        raise DataError(f"the parts need {wanted} records together, got {len(records)}; ask for less")
    left: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        left.setdefault(record["img_id"], []).append(index)
    names = list(left)
    random.Random(seed).shuffle(names)
    parts: dict[str, list[_Record]] = {}
    # the smallest part first: it has the fewest ways to come out even
    for part in sorted(sizes, key=lambda part: sizes[part]):
        chosen = _fill([len(left[name]) for name in names], sizes[part], part)
        places = sorted(place for index in chosen for place in left[names[index]])
        parts[part] = [records[place] for place in places]
        taken = set(chosen)
        names = [name for index, name in enumerate(names) if index not in taken]
    return {part: parts[part] for part in sizes}


def _fill(groups: Sequence[int], size: int, part: str) -> list[int]:
    """Numbers of groups that hold `size` records together, the early ones wherever that comes out even.

    The groups after each place are asked whether they can make up the rest: a subset sum, on the bits of integers.
    """
    reach = [1]
    every = (1 << size + 1) - 1
    for group in reversed(groups):
        reach.append((reach[-1] | reach[-1] << group) & every)
    reach.reverse()
    if not reach[0] >> size & 1:
        nearest = reach[0].bit_length() - 1
        raise DataError(
            f"no choice of whole images gives {part} exactly {size} records, {nearest} is the nearest below; "
            f"ask for {nearest}"
        )
    chosen, rest = [], size
    for index, group in enumerate(groups):
        if group <= rest and reach[index + 1] >> rest - group & 1:
            chosen.append(index)
            rest -= group
    return chosen


def merge(parts: Sequence[Sequence[_Record]]) -> list[_Record]:
    """All records, in order, each record that is there twice in all its fields once."""
    seen: set[str] = set()
    kept = []
    for record in (record for part in parts for record in part):
        key = repr(record)
        if key not in seen:
            seen.add(key)
            kept.append(record)
    return kept


def sample(records: Sequence[_Record], count: int, *, seed: int) -> list[_Record]:
    """`count` records drawn by the seed, in their order. Raises DataError when there are fewer."""
    if not 0 < count <= len(records):
        raise DataError(f"a sample of {count} needs 1 to {len(records)} records; ask for less")
    return [records[index] for index in sorted(random.Random(seed).sample(range(len(records)), count))]
