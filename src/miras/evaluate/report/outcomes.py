"""Each target of a run with what a report shows of it: what was asked, what was replied, and what it met with."""

from collections.abc import Iterator
from dataclasses import dataclass

from miras.errors import DataError
from miras.evaluate.cases import Case
from miras.evaluate.runs import TARGETS
from miras.evaluate.scored import Scored
from miras.evaluate.targets import Met
from miras.types import Mark, Rle, Said

__all__ = ["Key", "Outcome", "outcomes"]

Key = tuple[str, int, int]
"""Id of the case, turn, place of the target in its turn: the same in every run over the same cases."""


@dataclass(frozen=True)
class Outcome:
    """One target of a case, or one mask of a reply that no target is left for."""

    met: Met
    case: Case
    said: tuple[Said, ...]
    """The replies to its turn and all before it."""

    @property
    def key(self) -> Key:
        """Of the target."""
        return self.met.id, self.met.turn, -1 if self.met.index is None else self.met.index

    @property
    def iou(self) -> float:
        """The IoU, 0..1."""
        return self.met.pixels.iou

    @property
    def precision(self) -> float:
        """Share of the marked pixels that are right, by the empty rule of `miras.metrics.masks`."""
        return self._share("precision")

    @property
    def recall(self) -> float:
        """Share of the true pixels that are marked, by the same rule."""
        return self._share("recall")

    @property
    def mark(self) -> Mark | None:
        """The mask that was scored; None where there is none."""
        return None if self.met.predicted is None else self.said[-1].masks[self.met.predicted]

    @property
    def truth(self) -> Rle | None:
        """The true mask; None where nothing was asked for."""
        return None if self.met.index is None else self.case.targets[self.met.turn][self.met.index].mask

    @property
    def size(self) -> str:
        """Its stratum by size."""
        return self.met.labels["by_size"]

    @property
    def category(self) -> str:
        """Its class, as the labels say; its phrase where they say none."""
        return self.met.labels.get("by_category") or self.met.phrase

    def _share(self, figure: str) -> float:
        part, whole = self.met.pixels.fractions[figure]
        return part / whole


def outcomes(run: Scored) -> tuple[Outcome, ...]:
    """All that the targets of a run met with, in file order; nothing without cases and answers.

    Raises DataError for a target that the cases and answers do not hold.
    """
    return tuple(_outcomes(run))


def _outcomes(run: Scored) -> Iterator[Outcome]:
    known = {case.id: (case, one.turns) for case, one in zip(run.cases or (), run.predictions or (), strict=True)}
    for number, met in enumerate(run.met, 1):
        case, turns = known.get(met.id, (None, ()))
        if (
            case is None
            or not 0 <= met.turn < len(turns)
            or not (met.predicted is None or 0 <= met.predicted < len(turns[met.turn].masks))
            or not (met.index is None or 0 <= met.index < len(case.targets[met.turn]))
        ):
            raise DataError(
                f"{run.folder / TARGETS}, line {number}: cases and answers hold no such target or mask ({met.id!r}, "
                f"turn {met.turn}, target {met.index}, mask {met.predicted}); score the answers again"
            )
        yield Outcome(met, case, tuple(turns[: met.turn + 1]))
