"""Every public data set that is known here, by the name that settings and commands use."""

from collections.abc import Mapping
from pathlib import Path

from miras.errors import ConfigError, DataError
from miras.sets.ade20k import ADE20K
from miras.sets.captions import COCO_CAPTIONS
from miras.sets.coco import COCO
from miras.sets.cocostuff import COCOSTUFF
from miras.sets.entry import Entry, Need
from miras.sets.llava import LLAVA_INSTRUCT, LLAVA_INSTRUCT_80K
from miras.sets.mapillary import MAPILLARY
from miras.sets.paco import PACO
from miras.sets.pascal_part import PASCAL_PART
from miras.sets.prist import PRIST
from miras.sets.reasoning import REASON_SEG
from miras.sets.refer import REFCLEF, REFCOCO, REFCOCO_PLUS, REFCOCOG
from miras.sets.scene import RegionSet, TalkSet

__all__ = ["CATALOGUE", "known_set", "missing_needs", "open_set"]

_ENTRIES: tuple[Entry, ...] = (
    COCO,
    COCOSTUFF,
    ADE20K,
    MAPILLARY,
    PACO,
    PASCAL_PART,
    REFCLEF,
    REFCOCO,
    REFCOCO_PLUS,
    REFCOCOG,
    REASON_SEG,
    LLAVA_INSTRUCT,
    LLAVA_INSTRUCT_80K,
    COCO_CAPTIONS,
    PRIST,
)

CATALOGUE: Mapping[str, Entry] = {entry.name: entry for entry in _ENTRIES}
"""In the order in which they are listed."""


def known_set(name: str, split: str | None = None) -> Entry:
    """The entry of a set. Raises ConfigError for a name, or a split, that there is not."""
    if name not in CATALOGUE:
        raise ConfigError(f"there is no set {name!r}; choose one of {', '.join(CATALOGUE)}")
    entry = CATALOGUE[name]
    if split is not None and split not in entry.splits:
        raise ConfigError(f"{name} has the splits {', '.join(entry.splits)}, got {split!r}; choose one of them")
    return entry


def missing_needs(entry: Entry, root: Path, split: str) -> tuple[Need, ...]:
    """What a split needs and is not below the root; looked for by name alone, so this takes no time."""
    needed = (need for need in entry.needs if not need.splits or split in need.splits)
    return tuple(need for need in needed if not _there(root, need.path))


def open_set(name: str, root: str | Path, split: str) -> RegionSet | TalkSet:
    """A set by its name. Raises ConfigError for an unknown one, DataError for files that are missing or broken."""
    entry, root = known_set(name, split), Path(root)
    if missing := missing_needs(entry, root, split):
        lacks = ", ".join(f"{need.path} ({need.what})" for need in missing)
        raise DataError(f"{name} {split} needs {lacks} in {root}; get them from {entry.where}")
    return entry.open(root, split)


def _there(root: Path, path: str) -> bool:
    return next(root.glob(path), None) is not None if "*" in path else (root / path).exists()
