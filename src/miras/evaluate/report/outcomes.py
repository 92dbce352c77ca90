"""What became of each target: the pixels marked rightly, wrongly and missed, beside what was asked and replied."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.cases import Case, Cases
from miras.evaluate.lines import Line, shown
from miras.evaluate.predictions import Predictions
from miras.types import Mark, Rle, Said

__all__ = ["Key", "Outcome", "read_outcomes"]

Key = tuple[str, int, int]
"""Id of the case, turn, place of the target in its turn: the same in every run over the same cases."""


@dataclass(frozen=True)
class Outcome:
    """One target of a case, or one mask of a reply that nothing was asked for."""

    case: Case
    turn: int
    index: int | None
    """Place of the target in its turn; None for a mask that belongs to no target."""
    phrase: str
    tp: int
    fp: int
    fn: int
    iou: float | None
    said: tuple[Said, ...]
    """The replies to this turn and all before it."""
    mark: Mark | None
    """The mask that was scored; None where there is none."""
    size: str | None = None
    labels: Mapping[str, str] | None = None

    @property
    def extra(self) -> bool:
        """Whether this is a mask that belongs to no target."""
        return self.index is None

    @property
    def key(self) -> Key:
        """Of the target."""
        return self.case.id, self.turn, -1 if self.index is None else self.index

    @property
    def reply(self) -> Said:
        """The reply to this turn."""
        return self.said[-1]

    @property
    def truth(self) -> Rle | None:
        """The true mask."""
        return None if self.index is None else self.case.targets[self.turn][self.index].mask

    @property
    def precision(self) -> float | None:
        """Share of the marked pixels that are right; None where none is marked."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else None

    @property
    def recall(self) -> float | None:
        """Share of the true pixels that are marked; None where there is none."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else None

    @property
    def category(self) -> str:
        """Its class, as the labels say; its phrase where they say none."""
        return (self.labels or {}).get("category") or self.case.labels.get("category") or self.phrase

    @property
    def group(self) -> str:
        """Its image, or its case where there is none: what is drawn as one in an interval."""
        return self.case.image or self.case.id


def read_outcomes(path: Path, cases: Cases, predictions: Predictions) -> tuple[Outcome, ...]:
    """The lines of a file of targets, each with its case and its reply, in file order.

    Raises DataError that names the line for what is no outcome of these cases and answers.
    """
    answered = {case.id: (case, answers.turns) for case, answers in zip(cases, predictions, strict=True)}
    found: list[Outcome] = []
    try:
        with path.open(encoding="utf-8") as opened:
            lines = list(opened)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); score the answers again") from error
    for place, text in enumerate(lines, 1):
        where = f"{path}, line {place}"
        try:
            content = json.loads(text)
        except ValueError as error:
            raise DataError(f"{where}: not a JSON object on one line ({error}); score the answers again") from error
        if not isinstance(content, dict):
            raise DataError(f"{where}: should be a JSON object, got {shown(content)}; score the answers again")
        if "format" not in content:
            found.append(_outcome(Line(where, content), answered))
    return tuple(found)


def _outcome(line: Line, answered: Mapping[str, tuple[Case, Sequence[Said]]]) -> Outcome:
    name = line.text("id")
    if name not in answered:
        raise line.error(f"the cases hold no id {name!r}; score the answers again")
    case, said = answered[name]
    turn = _whole(line, "turn", len(said))
    assert turn is not None
    marks = said[turn].masks
    extra = bool(line.content.get("extra"))
    index = None if extra else _whole(line, "index", len(case.targets[turn]))
    predicted = _whole(line, "predicted", len(marks), optional=True)
    tp, fp, fn = (_whole(line, pixels, None) for pixels in ("tp", "fp", "fn"))
    assert tp is not None and fp is not None and fn is not None
    return Outcome(
        case,
        turn,
        index,
        line.text("phrase", empty=True, optional=True) or "",
        tp,
        fp,
        fn,
        line.number("iou", low=0, high=1),
        tuple(said[: turn + 1]),
        None if predicted is None else marks[predicted],
        line.text("size", optional=True),
        line.content.get("labels") or {},
    )


def _whole(line: Line, name: str, below: int | None, *, optional: bool = False) -> int | None:
    value: Any = line.content.get(name)
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or (below is not None and value >= below):
        bound = "" if below is None else f" below {below}"
        raise line.error(f"{name} should be a whole number{bound}, got {shown(value)}; score the answers again")
    return value
