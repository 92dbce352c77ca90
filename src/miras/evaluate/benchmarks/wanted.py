"""What is wanted of a benchmark, and what it gives: a first line and its cases."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from miras.evaluate.cases import Case

__all__ = ["Drawn", "Wanted"]


@dataclass(frozen=True)
class Wanted:
    """Which cases of a benchmark, and how they are asked."""

    data: Path
    """Folder of its official files; for PRIST its JSON file also."""
    split: str
    suite: str = "direct"
    images: Path | None = None
    """Folder of the images, where it is not the usual one."""
    prompt: str = "standard"
    """`standard`, `plain`, or words with `{phrase}` in them."""
    masks: Path | None = None
    """Folder of labelme files, for PRIST."""
    limit: int | None = None
    """The most targets, for a benchmark that draws fewer by itself."""
    seed: int = 0


class Drawn(NamedTuple):
    """The cases of a benchmark."""

    about: dict[str, Any]
    """What the first line of the file says; what is counted while the cases are made is filled in as they are."""
    cases: Iterator[Case]
