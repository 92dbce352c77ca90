"""People who score conversations as the judge does, and how far judge and people agree.

Their file is CSV, as a spreadsheet saves it, one line per person and conversation of a run, an empty cell for what they
did not score::

    person,id,PR,LC,CC,TR
    Ada,17,4.5,4,4,5
    Ben,17,4,3.5,,5

Commas, semicolons or tabs divide the cells; where commas do not, a number may have a comma in it.
"""

import csv
import statistics
from collections.abc import Mapping
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.judge.figures import band, kappa, spearman
from miras.evaluate.judge.forms import DIMENSIONS, MOST
from miras.evaluate.judge.judged import Judged
from miras.evaluate.judge.scores import COLUMNS, OVERALL
from miras.evaluate.judge.text import interval_text, number_text

__all__ = ["Scorings", "agreement", "agreement_text", "read_scorings"]

Scorings = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""Person → id of a conversation → PR, LC, CC, TR and overall, None where it was not scored."""

_HEAD = ("person", "id", *DIMENSIONS)


def read_scorings(path: Path, judged: Judged) -> Scorings:
    """The scores that people gave the conversations of a run.

    Raises DataError that names the line for a cell that is no score in 0..5, an id that was not judged, and a person
    who scores a conversation twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); save it as CSV in UTF-8") from error
    lines = text.splitlines()
    divider = next((one for one in ",;\t" if lines and tuple(_cells(lines[0], one)) == _HEAD), None)
    if divider is None:
        raise DataError(f"{path}, line 1: should be {','.join(_HEAD)}, got {lines[0][:80] if lines else 'nothing'!r}")
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for number, line in enumerate(lines[1:], 2):
        where, cells = f"{path}, line {number}", _cells(line, divider)
        if not any(cells):
            continue
        if len(cells) != len(_HEAD):
            raise DataError(f"{where}: should have {len(_HEAD)} cells, got {len(cells)}; fill in or take out")
        person, name = cells[0], cells[1]
        if not person or name not in judged.scores:
            raise DataError(f"{where}: should name a person and a conversation of {judged.path}, got {cells[:2]}")
        if name in found.setdefault(person, {}):
            raise DataError(f"{where}: {person} scores {name!r} a second time; keep one of the two lines")
        marks = {letter: _score(cell, where, letter) for letter, cell in zip(DIMENSIONS, cells[2:], strict=True)}
        known = [value for value in marks.values() if value is not None]
        found[person][name] = {**marks, OVERALL: statistics.fmean(known) if len(known) == len(DIMENSIONS) else None}
    if not found:
        raise DataError(f"{path} holds no scores; write one line per person and conversation")
    return found


def _cells(line: str, divider: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=divider), [])]


def _score(cell: str, where: str, letter: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not 0 <= value <= MOST:
        raise DataError(f"{where}: {letter} should be a number in 0..{MOST:g} or empty, got {cell!r}")
    return value


def agreement(judged: Judged, scorings: Scorings, seed: int = 0) -> dict[str, Any]:
    """Agreement of the judge with the mean of the people, with each of them, and of each two of them.

    Each by dimension and for the mean of the four: Spearman's rank correlation, and Cohen's kappa over the rubric's
    three bands, plain and with quadratic weights.
    """
    people = _mean_of(scorings)
    pairs = {
        "judge and people": (judged.scores, people),
        **{f"judge and {person}": (judged.scores, scores) for person, scores in scorings.items()},
        **{f"{a} and {b}": (scorings[a], scorings[b]) for a, b in combinations(scorings, 2)},
    }
    agreed = {
        name: {column: _agreement(first, second, column, judged.groups, seed) for column in COLUMNS}
        for name, (first, second) in pairs.items()
    }
    scored = {person: len(scores) for person, scores in scorings.items()}
    return {"judge": judged.about["judge"], "model": judged.model, "scored": scored, "agreement": agreed}


_Scores = Mapping[str, Mapping[str, float | None]]


def _mean_of(scorings: Scorings) -> _Scores:
    """The mean over those people who scored it."""
    names = dict.fromkeys(name for scores in scorings.values() for name in scores)
    found: dict[str, dict[str, float | None]] = {}
    for name in names:
        given = [scores[name] for scores in scorings.values() if name in scores]
        for column in COLUMNS:
            values = [value for one in given if (value := one[column]) is not None]
            found.setdefault(name, {})[column] = statistics.fmean(values) if values else None
    return found


def _agreement(first: _Scores, second: _Scores, column: str, groups: Mapping[str, str], seed: int) -> dict[str, Any]:
    names = [name for name in groups if name in first and name in second]
    one, other = ([scores[name][column] for name in names] for scores in (first, second))
    both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    bands = [band(a) for a, _ in both], [band(b) for _, b in both]
    return {
        "spearman": spearman(one, other, [groups[name] for name in names], seed).to_json(),
        "kappa": kappa(*bands),
        "kappa_quadratic": kappa(*bands, quadratic=True),
    }


def agreement_text(found: Mapping[str, Any]) -> str:
    """A block per pair, a line per dimension."""
    lines = []
    for pair, columns in found["agreement"].items():
        lines.append(f"{pair}: {columns[OVERALL]['spearman']['n']} conversations")
        for column, one in columns.items():
            lines.append(
                f"  {column:<8}Spearman {interval_text(one['spearman'])}   kappa {number_text(one['kappa'])}, "
                f"quadratic {number_text(one['kappa_quadratic'])}"
            )
    return "\n".join(lines)
