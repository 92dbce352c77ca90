"""What goes wrong, by kind: rules in words, how often each holds, and for which targets or turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from miras.evaluate.cases import Case
from miras.evaluate.report.content import Column, Figure, Grid, Row
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run
from miras.evaluate.runs import PREDICTIONS, TARGETS
from miras.types import Prediction, Said

__all__ = ["KINDS", "Failure", "Kind", "Replied", "failure_table", "failures"]

_ARTICLES = {"a", "an", "the"}


@dataclass(frozen=True)
class Replied:
    """The reply to one turn of a case."""

    case: Case
    turn: int
    said: tuple[Said, ...]
    """This reply and all before it."""

    @property
    def wanted(self) -> int:
        """Targets of the turn."""
        return len(self.case.targets[self.turn])


@dataclass(frozen=True)
class Kind:
    """One way to fail."""

    name: str
    rule: str
    """In words."""
    of: Literal["targets", "turns"]
    holds: Callable[[Any], bool]
    """Asks an Outcome, or a Replied where it is of turns."""


@dataclass(frozen=True)
class Failure:
    """All that failed in one way."""

    kind: Kind
    found: tuple[Outcome | Replied, ...]
    among: int
    """Targets or turns that the rule was asked about."""


def _there(one: Outcome) -> bool:
    """Whether there is something to mark."""
    return one.met.pixels.tp + one.met.pixels.fn > 0


def _some(one: Outcome) -> bool:
    """Whether any pixel is marked."""
    return one.met.pixels.tp + one.met.pixels.fp > 0


def _marked(one: Outcome) -> bool:
    return _there(one) and _some(one)


def _halves(one: Outcome) -> tuple[bool, bool]:
    """Whether precision and recall reach a half, of a mask that is not wholly elsewhere."""
    return one.precision >= 0.5, one.recall >= 0.5


def _grasped(one: Outcome) -> bool:
    return _marked(one) and one.iou >= 0.1


def _plain(phrase: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in phrase.casefold()).split()
    return " ".join(word for word in words if word not in _ARTICLES)


def _renamed(one: Outcome) -> bool:
    said = one.mark.phrase if one.mark is not None else ""
    return bool(_plain(said)) and bool(_plain(one.met.phrase)) and _plain(said) != _plain(one.met.phrase)


def _sure(one: Outcome) -> bool:
    return one.met.score is not None and one.met.score > 0.8 and one.iou < 0.3


def _unasked(one: Replied) -> bool:
    return not one.wanted and bool(one.said[-1].masks)


def _several(one: Replied) -> bool:
    return len(one.said[-1].masks) > one.wanted > 0


KINDS = (
    Kind("nothing marked", "there is something to mark, and no pixel is marked for it", "targets",
         lambda one: _there(one) and not _some(one)),
    Kind("wrong thing", "marked, but the IoU is below 0.1", "targets", lambda one: _marked(one) and one.iou < 0.1),
    Kind("too much", "IoU at least 0.1, precision below 0.5, recall at least 0.5", "targets",
         lambda one: _grasped(one) and _halves(one) == (False, True)),
    Kind("too little", "IoU at least 0.1, recall below 0.5, precision at least 0.5", "targets",
         lambda one: _grasped(one) and _halves(one) == (True, False)),
    Kind("half beside it", "IoU at least 0.1, precision and recall both below 0.5", "targets",
         lambda one: _grasped(one) and _halves(one) == (False, False)),
    Kind("marked though nothing is there", "the true mask is known to be empty, and something is marked", "targets",
         lambda one: not _there(one) and _some(one)),
    Kind("sure and wrong", "confidence above 0.8, IoU below 0.3", "targets", _sure),
    Kind("other name", "the reply names what it marks otherwise than the target's phrase (case, articles and signs "
         "aside); the mask may still be right", "targets", _renamed),
    Kind("marked unasked", "a turn that asks for no mask is answered with one", "turns", _unasked),
    Kind("several for one", "the reply holds more masks than were asked for", "turns", _several),
    Kind("empty reply", "no word and no mask: refused, or the conversation had grown too long", "turns",
         lambda one: not one.said[-1].text.strip() and not one.said[-1].masks),
)  # fmt: skip
"""Every kind, in the order of the table. One target may show several."""


def failures(run: Run) -> list[Failure]:
    """Each kind with what shows it, in file order; empty where the answers are not at hand."""
    if run.cases is None or run.predictions is None:
        return []
    targets = [one for one in run.outcomes if not one.met.extra]
    turns = [one for case, said in zip(run.cases, run.predictions, strict=True) for one in _turns(case, said)]
    among: Mapping[str, Sequence[Outcome | Replied]] = {"targets": targets, "turns": turns}
    return [
        Failure(kind, tuple(one for one in among[kind.of] if kind.holds(one)), len(among[kind.of])) for kind in KINDS
    ]


def failure_table(run: Run, found: Sequence[Failure], prefix: str) -> Grid:
    """How often each kind shows, among how many, and its rule in words."""
    rows = []
    for failure in found:
        count = len(failure.found)
        share = Figure(count / failure.among if failure.among else None)
        file = TARGETS if failure.kind.of == "targets" else PREDICTIONS
        counted = Figure(float(count) if failure.among else None, unit="count")
        all_of_them = f"of {failure.among:,} {failure.kind.of}"
        cells = ((counted,), (share,), all_of_them, failure.kind.rule)
        rows.append(Row(failure.kind.name, cells, source=str(run.folder / file)))
    columns = (Column("found"), Column("percent"), Column("among", words=True), Column("rule", words=True))
    note = "One target or turn may show several kinds."
    return Grid(f"{prefix}-failures", "Failures by kind", columns, tuple(rows), (note,), "kind")


def _turns(case: Case, answered: Prediction) -> list[Replied]:
    return [Replied(case, turn, answered.turns[: turn + 1]) for turn in range(len(answered.turns))]
