"""What each true target met with, counted in pixels: from these lines every mask figure is added up.

A reply with several masks is matched to its targets one to one, what is left over is extra (`miras.metrics.matching`).
Kept as `targets.jsonl`, one line per entry::

    {"id": "17", "turn": 0, "index": 0, "phrase": "left wheel", "predicted": 0, "score": 0.93, "iou": 0.81,
     "pixels": [tp, fp, fn, tn], "boundary": [tp, fp, fn, tn], "unit": "a.jpg", "labels": {"by_size": "fine", …},
     "extra": false}
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from miras.data.masks import area, decode, encode, granularity
from miras.errors import DataError
from miras.evaluate.cases import Case
from miras.files import write_beside
from miras.metrics.boundary import boundary_counts
from miras.metrics.masks import Counts
from miras.metrics.matching import match
from miras.types import Mark, Prediction, Rle, Target

__all__ = ["UNASKED", "Met", "meet", "read_targets", "write_targets"]

UNASKED = "unasked"
"""The size of an extra mask, which has no true one."""


@dataclass(frozen=True)
class Met:
    """One target and the mask that it met with, or one extra mask."""

    id: str
    """Of its case."""
    turn: int
    """Of the conversation, counted from 0."""
    index: int | None
    """Place among the true targets of the turn; None for an extra mask."""
    phrase: str
    """The true words, or those of the extra mask."""
    predicted: int | None
    """Place of its mask in the reply; None where it met with none."""
    score: float | None
    """The model's confidence in that mask, 0..1."""
    pixels: Counts
    boundary: Counts
    """The counts of the two boundary bands, see `miras.metrics.boundary`."""
    unit: str
    """What is drawn as a whole for intervals: the image, or the case where there is none."""
    labels: Mapping[str, str]
    """Grouping → stratum: by_size, by_turn, and those of the case, such as by_category."""

    @property
    def extra(self) -> bool:
        """Whether it is a mask that no target is left for."""
        return self.index is None

    def to_json(self) -> dict[str, Any]:
        """The entry as a line holds it."""
        return {
            "id": self.id,
            "turn": self.turn,
            "index": self.index,
            "phrase": self.phrase,
            "predicted": self.predicted,
            "score": self.score,
            "iou": self.pixels.iou,
            "pixels": list(self.pixels),
            "boundary": list(self.boundary),
            "unit": self.unit,
            "labels": dict(self.labels),
            "extra": self.extra,
        }


def meet(case: Case, answered: Prediction) -> Iterator[Met]:
    """What the targets of a case met with, turn by turn, and then each turn's extra masks.

    Turns with a target whose mask nobody knows are left out, and so are turns without a target: what is marked there
    is counted by `reply_figures`. Pixels to ignore are taken out of all masks of their turn.
    """
    for turn, (targets, said) in enumerate(zip(case.targets, answered.turns, strict=True)):
        true = [target.mask for target in targets if target.mask is not None]
        if true and len(true) == len(targets):
            seen = _Seen([target.ignore for target in targets if target.ignore is not None])
            marks = [replace(mark, mask=seen.of(mark.mask)) for mark in said.masks]
            yield from _in_turn(case, turn, targets, [seen.of(mask) for mask in true], marks)


class _Seen:
    """What is left of a mask without the pixels that any target of its turn says to ignore."""

    def __init__(self, ignored: Sequence[Rle]) -> None:
        self._ignored = np.logical_or.reduce([decode(mask) for mask in ignored]) if ignored else None

    def of(self, mask: Rle) -> Rle:
        return mask if self._ignored is None else encode(decode(mask) & ~self._ignored)


def _in_turn(
    case: Case, turn: int, targets: Sequence[Target], true: Sequence[Rle], marks: Sequence[Mark]
) -> Iterator[Met]:
    matching = match([mark.mask for mark in marks], true)
    own = {f"by_{name}": stratum for name, stratum in case.labels.items()} | {"by_turn": str(turn + 1)}
    for index, (target, mask, place) in enumerate(zip(targets, true, matching.partners, strict=True)):
        mark = None if place is None else marks[place]
        yield Met(
            id=case.id,
            turn=turn,
            index=index,
            phrase=target.phrase,
            predicted=place,
            score=mark.score if mark else None,
            pixels=matching.counts[index],
            boundary=boundary_counts(mark.mask if mark else None, mask),
            unit=case.unit,
            labels=own | {"by_size": granularity(area(mask) / max(1, mask["size"][0] * mask["size"][1]))},
        )
    for place, pixels in zip(matching.extra, matching.extra_counts, strict=True):
        mark, alone = marks[place], boundary_counts(None, marks[place].mask)
        yield Met(
            id=case.id,
            turn=turn,
            index=None,
            phrase=mark.phrase,
            predicted=place,
            score=mark.score,
            pixels=pixels,
            boundary=Counts(0, alone.fn, 0, alone.tn),  # its true mask is empty: what is there is too much
            unit=case.unit,
            labels=own | {"by_size": UNASKED},
        )


def write_targets(path: Path, met: Iterable[Met]) -> None:
    """Writes the entries in one step."""
    with write_beside(path) as beside, beside.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in met)


def read_targets(path: Path) -> list[Met]:
    """What `write_targets` wrote. Raises DataError that names the line for anything else."""
    entries = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"no scored targets at {path} ({error}); run `miras evaluate score` first") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            for name in ("iou", "extra"):  # they follow from the rest
                del row[name]
            for name in ("pixels", "boundary"):
                row[name] = Counts(*map(int, row[name]))
            entries.append(Met(**row))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}, line {number}: not a scored target ({error}); score the run again") from error
    return entries
