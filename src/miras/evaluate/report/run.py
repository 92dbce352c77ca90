"""A folder of a run as a report needs it: figures, judge, what was asked and answered, what became of each target."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.cases import Cases, read_cases
from miras.evaluate.lines import shown
from miras.evaluate.predictions import Predictions, read_predictions
from miras.evaluate.report.content import Figure, Unit
from miras.evaluate.report.outcomes import Outcome, read_outcomes
from miras.evaluate.runs import CASES, FIGURES, JUDGE, PREDICTIONS, TARGETS

__all__ = ["ABLATION", "SETTINGS", "Ablation", "Run", "at", "bounds", "number", "read_folder", "read_object"]

ABLATION = "ablation.json"
"""What a folder of trials holds in place of figures."""
SETTINGS = ("zero-shot", "fine-tuned")
"""How a model met the data."""

_FORMAT = {"format": "miras-figures", "version": 1}


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
class Run:
    """One model's answers to one file of cases, and what was made of them."""

    folder: Path
    figures: Mapping[str, Any]
    judge: Mapping[str, Any] | None = None
    cases: Cases | None = None
    predictions: Predictions | None = None
    outcomes: tuple[Outcome, ...] = ()
    setting: str | None = None
    """One of SETTINGS; None where nobody says."""

    def said(self, name: str) -> Any:
        """What the figures say of the run under that name; None where they say nothing."""
        return (self.figures.get("run") or {}).get(name)

    @property
    def source(self) -> str:
        """Path of the file of figures."""
        return str(self.folder / FIGURES)

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

    Raises DataError for a folder that is none, figures of another version, and figures of other cases or answers than
    those beside them.
    """
    if (folder / ABLATION).is_file():
        return Ablation(folder, read_object(folder / ABLATION))
    if not (folder / FIGURES).is_file():
        raise DataError(
            f"{folder} is no folder of a run: {FIGURES} or {ABLATION} was expected in it; score the answers first with "
            "`miras evaluate score`"
        )
    figures = read_object(folder / FIGURES)
    said = {name: figures.get(name) for name in _FORMAT}
    if said != _FORMAT:
        raise DataError(f"{folder / FIGURES}: should say {_FORMAT}, got {said}; score the answers again")
    judge = read_object(folder / JUDGE) if (folder / JUDGE).is_file() else None
    run = Run(folder, figures, judge)
    setting = setting or run.said("setting")
    if setting not in (None, *SETTINGS):
        raise DataError(f"{run.source}: setting should be one of {', '.join(SETTINGS)} or null, got {shown(setting)}")
    run = replace(run, setting=setting)
    return _with_answers(run) if (folder / CASES).is_file() and (folder / PREDICTIONS).is_file() else run


def at(content: Any, *path: str) -> Any:
    """What stands at that place of nested objects; None where anything on the way is absent or null."""
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


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


def _with_answers(run: Run) -> Run:
    cases = read_cases(run.folder / CASES)
    predictions = read_predictions(run.folder / PREDICTIONS, cases)
    for name, file, found in (("cases", CASES, cases.sha256), ("predictions", PREDICTIONS, predictions.sha256)):
        scored = run.said(f"{name}_sha256")
        if scored is not None and scored != found:
            raise DataError(
                f"{run.source} was made of another {file} than the one beside it (SHA-256 {str(scored)[:12]}… and "
                f"{found[:12]}…); score the answers again"
            )
    targets = run.folder / TARGETS
    outcomes = read_outcomes(targets, cases, predictions) if targets.is_file() else ()
    return replace(run, cases=cases, predictions=predictions, outcomes=outcomes)


def read_object(path: Path) -> Mapping[str, Any]:
    """The object of a JSON file. Raises DataError where it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); write it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} should hold one JSON object, got {shown(content)}; write it again")
    return content
