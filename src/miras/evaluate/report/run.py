"""A folder of a run as a report needs it: figures, judge, what was asked and answered, what became of each target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.cases import Case
from miras.evaluate.judge.judged import Judged, read_judged
from miras.evaluate.lines import shown
from miras.evaluate.report.content import Figure, Unit
from miras.evaluate.report.outcomes import Outcome, outcomes
from miras.evaluate.runs import ABLATION, JUDGE
from miras.evaluate.scored import Scored, at, read_object, read_scored

__all__ = ["SETTINGS", "Ablation", "Run", "bounds", "number", "read_folder"]

SETTINGS = ("zero-shot", "fine-tuned")
"""How a model met the data."""

_TRIALS = "miras-ablation"
"""What the file of trials calls itself."""


@dataclass(frozen=True)
class Ablation:
    """Trials of one model with parts left out."""

    folder: Path
    content: Mapping[str, Any]

    @property
    def source(self) -> str:
        """Path of the file."""
        return str(self.folder / ABLATION)


@dataclass(frozen=True)
class Run(Scored):
    """One model's answers to one file of cases, and what was made of them."""

    judge: Judged | None = None
    """What a judge made of its conversations."""
    setting: str | None = None
    """One of SETTINGS; None where nobody says."""
    pictured: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Label → the strata whose cases may be shown, where not all may: photos differ in their licence."""

    def may_show(self, case: Case) -> bool:
        """Whether the case may be shown in pictures and words."""
        return all(case.labels.get(label) in strata for label, strata in self.pictured.items())

    @property
    def shown_of(self) -> str:
        """What the cases that are shown are chosen from, in words; empty where it is all."""
        return "; ".join(f"of {label} {', '.join(sorted(strata))} alone" for label, strata in self.pictured.items())

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Each target, and what it met with. Raises DataError where they are not those of the cases and answers."""
        return outcomes(self)

    @property
    def benchmark(self) -> str:
        """What was asked, in small letters, such as `photos`."""
        return str(self.said("benchmark") or "unknown data").lower()

    @property
    def split(self) -> str:
        """Such as `val`; empty where it is unknown."""
        return str(self.said("split") or "")

    @property
    def data(self) -> str:
        """Benchmark, split and suite in words."""
        part = f"{self.limit} drawn cases" if self.limit else ""
        return " · ".join(filter(None, (self.benchmark, self.split, str(self.said("suite") or ""), part)))

    @property
    def limit(self) -> int | None:
        """How many cases were drawn from the split; None where it is whole, as far as anyone says."""
        drawn = self.said("limit") or (self.cases.about.get("limit") if self.cases is not None else None)
        return drawn if isinstance(drawn, int) else None

    @property
    def model(self) -> str:
        """The model's name; of a path its last part."""
        return Path(str(self.said("model") or self.folder.name)).name

    @cached_property
    def note(self) -> str:
        """What sets the run apart from the usual one: other images, another history."""
        images, history = self.said("images"), self.said("history")
        told = [f"{images} images"] if images not in (None, "photos", "originals") else []
        words = {"gold": "true answers as history", "none": "no history"}
        return ", ".join([*told, *filter(None, [words.get(str(history), "")])])

    def figure(self, *path: str, unit: Unit = "percent", signed: bool = False) -> Figure:
        """The figure at that place of the figures, with its interval where there is one."""
        value = number(self.figures, self.source, *path)
        return Figure(value, bounds(self.figures, self.source, "intervals", *path), unit, signed)


def read_folder(folder: Path, setting: str | None = None) -> Run | Ablation:
    """All that a folder of a run holds; `setting` overrides what its figures say.

    Raises DataError like `read_scored` and `read_judged`, and for targets that are not those of the cases and answers.
    """
    if (folder / ABLATION).is_file():
        return Ablation(folder, read_object(folder / ABLATION, _TRIALS, 1))
    scored = read_scored(folder)
    setting = setting or scored.said("setting")
    if setting not in (None, *SETTINGS):
        told = f"setting should be one of {', '.join(SETTINGS)} or null, got {shown(setting)}"
        raise DataError(f"{scored.source}: {told}")
    judge = read_judged(folder) if (folder / JUDGE).is_file() else None
    run = Run(scored.folder, scored.figures, scored.cases, scored.predictions, scored.met, judge, setting)
    _ = run.outcomes  # complains before anything is drawn
    return run


def number(content: Any, where: str, *path: str) -> float | None:
    """The number at that place, None where it is unknown. Raises DataError where something else stands there."""
    value = at(content, *path)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise DataError(f"{where}: {'.'.join(path)} should be a number or null, got {shown(value)}; write it again")
    return float(value)


def bounds(content: Any, where: str, *path: str) -> tuple[float, float] | None:
    """The interval at that place, None where it or one of its ends is unknown. Raises DataError like `number`."""
    found = at(content, *path)
    if found is None:
        return None
    ends = found if isinstance(found, list) and len(found) == 2 else None
    if ends is not None and None in ends:
        return None
    if ends is None or not all(isinstance(end, int | float) and isfinite(end) for end in ends):
        raise DataError(f"{where}: {'.'.join(path)} should be two numbers or null, got {shown(found)}; write it again")
    return float(ends[0]), float(ends[1])
