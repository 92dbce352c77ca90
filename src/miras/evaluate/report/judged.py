"""The paper's tables 4 and 10: reasoning as a judge scores it, ours beside the paper's and its experts."""

from collections.abc import Mapping, Sequence

from miras.evaluate.report.content import Cell, Column, Figure, Grid, Row, Unit
from miras.evaluate.report.paper import paper_table
from miras.evaluate.report.run import Run, at, number
from miras.evaluate.report.tables import by_data
from miras.evaluate.runs import JUDGE

__all__ = ["reasoning"]

_SCORES = ("PR", "LC", "CC", "TR")
_RATES = (("win", "won"), ("tie", "tied"), ("loss", "lost"))


def reasoning(runs: Sequence[Run]) -> list[Grid]:
    """Table 4, the scores of a judge, and table 10, its experts; empty where no run was judged."""
    shown = [run for run in runs if run.judge is not None]
    if not shown:
        return []
    paper, experts = paper_table("table4"), paper_table("table10")
    columns = (*(Column(name) for name in _SCORES), Column("Win Rate (%)"))
    rows = by_data(shown, _line_of_4, paper)
    notes = (*filter(None, map(_judge_note, shown)), *paper.known)
    return [
        Grid("table4", "Table 4: reasoning quality, 0 to 5 points", columns, tuple(rows), notes, "Model"),
        Grid("table10", "Table 10: the paper's experts", columns[:4], tuple(experts.shown()), experts.known, "Person"),
    ]


def _line_of_4(run: Run) -> list[Row]:
    cells: list[Cell] = [(_scored(run, "scores", name, unit="points"),) for name in _SCORES]
    cells.append((_scored(run, "win_rate", "win"),))
    return [Row(run.model, tuple(cells), source=_source(run), note=run.note)]


def _scored(run: Run, *path: str, unit: Unit = "percent") -> Figure:
    """A figure of the judge: `value`, with `low` and `high` where there is an interval, or a number alone."""
    found, source = at(run.judge, *path), _source(run)
    if not isinstance(found, Mapping):
        return Figure(number(run.judge, source, *path), unit=unit)
    value, low, high = (number(found, f"{source}: {'.'.join(path)}", name) for name in ("value", "low", "high"))
    return Figure(value, None if low is None or high is None else (low, high), unit)


def _source(run: Run) -> str:
    return str(run.folder / JUDGE)


def _judge_note(run: Run) -> str:
    told = at(run.judge, "judge") or "a judge that is not named"
    repeats = number(run.judge, _source(run), "repeats")
    often = f", each conversation {repeats:.0f} times" if repeats else ""
    rates = [(word, _scored(run, "win_rate", key)) for key, word in _RATES]
    shares = ", ".join(f"{figure.shown()} % {word}" for word, figure in rates if figure.value is not None)
    return f"{run.model} on {run.data}: judged by {told}{often}.{f' Win rate: {shares}.' if shares else ''}"
