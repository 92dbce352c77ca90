"""What a model answered to a file of cases, as JSON lines: the one form that scoring, judging and reports read.

The first line says who answered and how, each other line is one conversation, in any order::

    {"format": "miras-predictions", "version": 1, "model": "nano", "history": "own"}
    {"id": "17", "turns": [{"text": "It is [OBJ]left wheel[SEG].", "seconds": 0.41,
                            "masks": [{"phrase": "left wheel", "score": 0.93,
                                       "mask": {"size": [480, 640], "counts": "…"}}]}]}

Any model's answers can be written so; only `format`, `version`, `model`, `history`, `id`, `turns`, `text`, `masks` and
`mask` are needed. Masks are COCO run lengths in the pixels of the original image.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from miras.errors import DataError
from miras.evaluate.cases import Case, Cases
from miras.evaluate.lines import Line, as_line, read_lines, shown
from miras.files import write_beside
from miras.types import Mark, Prediction, Said

__all__ = ["FORMAT", "VERSION", "History", "Predictions", "read_predictions", "write_predictions"]

FORMAT = "miras-predictions"
"""What the first line calls itself."""
VERSION = 1
"""Of the format."""

History = Literal["own", "gold", "none"]
"""Whose earlier answers the model sees: those it gave itself, the true ones, or none: each question stands alone."""


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """A model's answers, in the order of the cases."""

    about: Mapping[str, Any] = field(repr=False)
    """The first line without `format` and `version`: model, history, weights_sha256, command, versions, …"""
    answered: tuple[Prediction, ...]
    sha256: str = ""
    """Of the file they were read from."""

    def __getitem__(self, place: Any) -> Any:
        return self.answered[place]

    def __len__(self) -> int:
        return len(self.answered)


def read_predictions(path: Path, cases: Cases) -> Predictions:
    """The answers to these cases, each exactly once.

    Raises DataError that names the line for an id that is unknown or comes twice, another number of turns than was
    asked, a mask of another size than its image, broken run lengths, and NaN; and for cases that are not answered.
    """
    lines = read_lines(path, FORMAT, VERSION)
    first = next(lines)
    first.text("model")
    if first.content.get("history") not in get_args(History):
        raise first.error(
            f"history should be one of {', '.join(get_args(History))}, got {shown(first.content.get('history'))}"
        )
    asked_of = first.content.get("cases_sha256")
    if asked_of is not None and cases.sha256 and asked_of != cases.sha256:
        raise first.error("these are the answers to another file of cases; score them with that one")
    waiting = {case.id: case for case in cases}
    found: dict[str, Prediction] = {}
    for line in lines:
        name = line.text("id")
        if name in found:
            raise line.error(f"the id {name!r} comes a second time; keep one of the two lines")
        if name not in waiting:
            raise line.error(f"the cases hold no id {name!r}; answer the file of cases that is scored")
        found[name] = _answered(line, waiting[name])
    if missing := [case.id for case in cases if case.id not in found]:
        raise DataError(
            f"{path}: {len(missing)} of {len(cases)} cases are not answered, the first is {missing[0]!r}; answer them, "
            'a refusal as {"text": "", "masks": []} in each of its turns'
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Predictions(first.content, tuple(found[case.id] for case in cases), digest)


def write_predictions(path: Path, about: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> None:
    """Writes a file in one step: what its first line says, then each prediction as `to_json` gives it."""
    with write_beside(path) as beside, beside.open("w", encoding="utf-8") as kept:
        kept.write(as_line({"format": FORMAT, "version": VERSION, **about}))
        kept.writelines(map(as_line, lines))


def _answered(line: Line, case: Case) -> Prediction:
    turns = line.objects("turns")
    if len(turns) != len(case.dialogue.questions):
        raise line.error(
            f"{len(case.dialogue.questions)} questions were asked, got {len(turns)} turns; write one for each question"
        )
    return Prediction(case.id, tuple(_said(turn, case.size) for turn in turns))


def _said(turn: Line, size: tuple[int, int] | None) -> Said:
    marks = []
    for one in turn.objects("masks"):
        mask = one.mask("mask", size=size)
        assert mask is not None
        phrase = one.text("phrase", empty=True, optional=True) or ""
        marks.append(Mark(mask, phrase, one.number("score", low=0, high=1)))
    return Said(turn.text("text", empty=True), tuple(marks), turn.number("seconds", low=0, high=float("inf")))
