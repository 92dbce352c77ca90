"""`judge.json` read again: the scores of each conversation, by its id, and under what conditions they were given."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miras.errors import ConfigError, DataError
from miras.evaluate.judge.scores import COLUMNS
from miras.evaluate.runs import JUDGE, PREDICTIONS

__all__ = ["FORMAT", "VERSION", "Judged", "comparable", "read_judged"]

FORMAT = "miras-judge"
"""What the file calls itself."""
VERSION = 1
"""Of the format."""

_CONDITIONS = ("judge", "rubric", "temperature", "repeats", "images")


@dataclass(frozen=True)
class Judged:
    """The scores that a judge gave the conversations of one model."""

    path: Path
    about: Mapping[str, Any]
    """The whole file but its dialogues."""
    scores: Mapping[str, Mapping[str, float | None]]
    """Id of a conversation → PR, LC, CC, TR and overall, each a mean over the repeats, None where it is missing."""
    groups: Mapping[str, str]
    """Id → its image, or itself where it has none."""

    @property
    def model(self) -> str:
        """Who was judged."""
        return str(self.about["model"])


def read_judged(run: Path) -> Judged:
    """The scores in a run's folder.

    Raises DataError where it was not judged, where the file is no such report, or where it is about other answers than
    those that lie beside it.
    """
    path = run / JUDGE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        said = {"format": content.pop("format"), "version": content.pop("version")}
        dialogues = content.pop("dialogues")
        scores = {one["id"]: {column: one[column] for column in COLUMNS} for one in dialogues}
        groups = {one["id"]: str(one["group"]) for one in dialogues}
        content["model"]
    except FileNotFoundError as error:
        raise DataError(f"{run} holds no {JUDGE}; judge it first by `miras evaluate judge`") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no report of a judge ({error!r}); judge the run again") from error
    if said != {"format": FORMAT, "version": VERSION}:
        raise DataError(f"{path} should be {FORMAT} of version {VERSION}, got {said}; judge the run again")
    answers = run / PREDICTIONS
    if answers.is_file() and content.get("predictions_sha256") != hashlib.sha256(answers.read_bytes()).hexdigest():
        raise DataError(f"{path} is about other answers than {answers}; judge the run again")
    return Judged(path, content, scores, groups)


def comparable(runs: Sequence[Judged]) -> None:
    """Raises ConfigError unless all were judged by one judge, under the same conditions."""
    for name in _CONDITIONS:
        for run in runs[1:]:
            first, other = _condition(runs[0], name), _condition(run, name)
            if first != other:
                raise ConfigError(
                    f"{runs[0].path} and {run.path} were not judged alike: {name} {first!r} and {other!r}; judge them "
                    "under the same conditions to compare them"
                )


def _condition(run: Judged, name: str) -> Any:
    value = run.about.get(name)
    return value.get("longest_side") if name == "images" and isinstance(value, dict) else value
