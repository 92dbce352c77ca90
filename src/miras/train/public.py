"""Public data sets and a user's own JSONL as sources of training samples, and how groups of them share a ratio.

Nothing is changed at random about their images: what is asked of an image changes from pass to pass.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import cast

from miras.config import OWN, SOURCES, TrainConfig
from miras.sets.catalogue import open_set
from miras.sets.instruct import Manner
from miras.sets.own import Own, read_own
from miras.sets.samples import Joined, Retold, Worded, shortened
from miras.sets.scene import PicturedSet, RegionSet, TalkSet
from miras.types import Dialogue

__all__ = ["OpenedSets", "flat_ratios", "open_public", "sample_sets", "told_of"]

OpenedSets = Mapping[str, RegionSet | TalkSet | Own]
"""Name of a source → what was opened for it."""

_Tell = Callable[[str], None]


def flat_ratios(config: TrainConfig) -> dict[str, int]:
    """Every source with its share in whole numbers; a group's share is divided evenly among its sets.

    9:6:2:2 for the groups of four, six, one and one sets comes to 9 for each of the first, 4 for each of the second
    and 8 for each of the others. Public sets without a share are left out, and so are never opened.
    """
    shares: dict[str, Fraction] = {}
    for name, ratio in config.sources.items():
        members = config.all_groups.get(name, [name])
        for member in members:
            shares[member] = shares.get(member, Fraction(0)) + Fraction(ratio, len(members))
    common = lcm(*(share.denominator for share in shares.values()))
    return {name: int(share * common) for name, share in shares.items() if share or name in SOURCES}


def open_public(config: TrainConfig, tell: _Tell = lambda _: None) -> OpenedSets:
    """Opens every public data set and JSONL that `sources` names; `tell` hears which, and how far a JSONL is.

    Raises ConfigError for a name that nobody knows, DataError for files that are missing or broken.
    """
    opened: dict[str, RegionSet | TalkSet | Own] = {}
    for name in flat_ratios(config):
        if name not in SOURCES:
            tell(f"opening {name}")
            is_own = name == OWN
            opened[name] = (
                read_own(Path(str(config.own)), tell) if is_own else open_set(name, str(config.sets), "train")
            )
    return opened


def told_of(opened: OpenedSets) -> list[str]:
    """A line for each set: how many items it has, and what was left out of it and why."""
    lines = []
    for name, what in opened.items():
        size = len(what.regions) + len(what.talks) if isinstance(what, Own) else len(what)
        counts: Mapping[str, int] = getattr(what, "left_out", {})
        left_out = ", ".join(f"{count:,} {why}" for why, count in counts.items() if count)
        lines.append(f"{name}: {size:,} items{f'; left out: {left_out}' if left_out else ''}")
    return lines


def sample_sets(
    opened: OpenedSets, config: TrainConfig, length: Callable[[Dialogue], int] = lambda _: 0
) -> dict[str, PicturedSet]:
    """What was opened, put into words; `length` counts the tokens of a dialogue, those of the image left out."""
    manner = Manner(config.targets, config.refusals)

    def shorten(dialogue: Dialogue) -> Dialogue:
        return shortened(dialogue, length, config.sequence_tokens)

    def made(name: str, what: RegionSet | TalkSet | Own) -> PicturedSet:
        if isinstance(what, Own):
            parts: list[PicturedSet] = [Worded(name, what.regions, manner), Retold(name, what.talks, shorten)]
            return Joined([part for part in parts if len(part)])
        if hasattr(what, "scene"):
            return Worded(name, cast(RegionSet, what), manner)
        return Retold(name, what, shorten)

    return {name: made(name, what) for name, what in opened.items()}
