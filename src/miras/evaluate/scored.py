"""A scored run read again: its figures, and where they lie beside them, what was asked, answered and met with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.cases import Cases, read_cases
from miras.evaluate.lines import shown
from miras.evaluate.predictions import Predictions, read_predictions
from miras.evaluate.runs import CASES, FIGURES, PREDICTIONS, TARGETS
from miras.evaluate.score import FORMAT, VERSION
from miras.evaluate.targets import Met, read_targets

__all__ = ["Scored", "at", "read_object", "read_scored"]


@dataclass(frozen=True)
class Scored:
    """The folder of a run that `score_run` has scored."""

    folder: Path
    figures: Mapping[str, Any]
    cases: Cases | None = None
    predictions: Predictions | None = None
    met: tuple[Met, ...] = ()
    """What each target met with; without cases and answers none is read."""

    @property
    def source(self) -> str:
        """Path of the file of figures."""
        return str(self.folder / FIGURES)

    def said(self, name: str) -> Any:
        """What the figures say of the run under that name; None where they say nothing."""
        return at(self.figures, "run", name)


def read_scored(folder: Path) -> Scored:
    """All that scoring left in a folder.

    Raises DataError for a folder without figures, figures of another version, and figures of other cases, answers or
    targets than those beside them.
    """
    path = folder / FIGURES
    if not path.is_file():
        raise DataError(
            f"{folder} is no folder of a scored run: {FIGURES} was expected in it; score the answers first with "
            "`miras evaluate score`"
        )
    figures = read_object(path, FORMAT, VERSION)
    alone = Scored(folder, figures)
    if not (folder / CASES).is_file() or not (folder / PREDICTIONS).is_file():
        return alone
    cases = read_cases(folder / CASES)
    predictions = read_predictions(folder / PREDICTIONS, cases)
    for name, file, found in (("cases", CASES, cases.sha256), ("predictions", PREDICTIONS, predictions.sha256)):
        made_of = str(alone.said(f"{name}_sha256"))
        if made_of != found:
            raise DataError(
                f"{path} was made of another {file} than the one beside it (SHA-256 {made_of[:12]}… and "
                f"{found[:12]}…); score the answers again"
            )
    met = tuple(read_targets(folder / TARGETS))
    if len(met) != (counted := at(figures, "masks", "n") or 0):
        raise DataError(f"{path} counts {counted} targets, {TARGETS} beside it {len(met)}; score the answers again")
    return Scored(folder, figures, cases, predictions, met)


def at(content: Any, *path: str) -> Any:
    """What stands at that place of nested objects; None where anything on the way is absent or null."""
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def read_object(path: Path, form: str | None = None, version: int = 1) -> Mapping[str, Any]:
    """The object of a JSON file. Raises DataError where it holds none, or none of that format and version."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); write it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} should hold one JSON object, got {shown(content)}; write it again")
    expected = {"format": form, "version": version}
    if form is not None and (said := {name: content.get(name) for name in expected}) != expected:
        raise DataError(f"{path} should say {expected}, got {said}; write it again")
    return content
