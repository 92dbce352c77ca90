"""The paper's tables 4 and 10: reasoning as a judge scores it, ours beside the paper's and its experts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.report.content import UNKNOWN, Column, Figure, Grid, Row, Unit
from miras.evaluate.report.paper import paper_table
from miras.evaluate.report.run import Run, number
from miras.evaluate.report.tables import by_data
from miras.evaluate.scored import at, read_object

__all__ = ["People", "read_people", "reasoning"]

_SCORES = ("PR", "LC", "CC", "TR")


@dataclass(frozen=True)
class People:
    """What models are beside people who answered the same questions: a file of `miras evaluate human table`."""

    source: str
    content: Mapping[str, Any]


def read_people(path: Path) -> People:
    """The table of people and models. Raises DataError for a file that is none."""
    content = read_object(path)
    if not isinstance(content.get("experts"), list) or not isinstance(content.get("models"), list):
        raise DataError(
            f"{path} holds no lists of experts and models; write it with `miras evaluate human table --out`"
        )
    return People(str(path), content)


def reasoning(runs: Sequence[Run], people: People | None = None) -> list[Grid]:
    """Table 4, the scores of a judge, and table 10, its experts; empty without judged runs and without people."""
    shown = [run for run in runs if run.judge is not None]
    if not shown and people is None:
        return []
    paper, experts = paper_table("table4"), paper_table("table10")
    columns = (*(Column(name) for name in _SCORES), Column("Win Rate (%)"))
    rows, asked = by_data(shown, _line_of_4, paper), list[Row]()
    if people is not None:
        told = f"{people.content.get('conversations') or UNKNOWN} conversations that people answered too"
        rows = [Row(told, kind="data", note="other data"), *_beside_people(people), *rows]
        asked = [*_lines(people, "experts"), _person(people, "Human", "human")]
    beside = (
        [f"Beside people: judged by {judge}."] if people is not None and (judge := at(people.content, "judge")) else []
    )
    notes = (*beside, *map(_judge_note, shown), *paper.known)
    persons = (*(Row(row.name, row.cells[:4], source=row.source) for row in asked), *experts.shown())
    return [
        Grid("table4", "Table 4: reasoning quality, 0 to 5 points", columns, tuple(rows), notes, "Model"),
        Grid("table10", "Table 10: experts", columns[:4], persons, experts.known, "Person"),
    ]


def _beside_people(people: People) -> list[Row]:
    return [_person(people, "Human", "human"), *_lines(people, "models")]


def _lines(people: People, who: str) -> list[Row]:
    return [
        _person(people, str(at(one, "name") or UNKNOWN), who, place) for place, one in enumerate(people.content[who])
    ]


def _person(people: People, name: str, who: str, place: int | None = None) -> Row:
    found = people.content.get(who)
    content = found if place is None else found[place]  # type: ignore[index]
    scores = [(_scored(content, people.source, column, unit="points"),) for column in _SCORES]
    return Row(name, (*scores, (_scored(content, people.source, "win_rate"),)), source=people.source)


def _line_of_4(run: Run) -> list[Row]:
    """Without a win rate, for which people must have answered the same (see People)."""
    assert run.judge is not None
    source = str(run.judge.path)
    cells = [(_scored(run.judge.about, source, "scores", name, unit="points"),) for name in _SCORES]
    return [Row(run.model, (*cells, (Figure(None),)), source=source, note=run.note)]


def _scored(content: Any, source: str, *path: str, unit: Unit = "percent") -> Figure:
    """A figure of the judge: `value`, with `low` and `high` where there is an interval, or a number alone."""
    found = at(content, *path)
    if not isinstance(found, Mapping):
        return Figure(number(content, source, *path), unit=unit)
    value, low, high = (number(found, f"{source}: {'.'.join(path)}", name) for name in ("value", "low", "high"))
    return Figure(value, None if low is None or high is None else (low, high), unit)


def _judge_note(run: Run) -> str:
    assert run.judge is not None
    about = run.judge.about
    asked = f"each conversation {about['repeats']} times" if about["repeats"] > 1 else "each conversation once"
    return f"{run.model} on {run.data}: judged by {about['judge']}, {asked}."
