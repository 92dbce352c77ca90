"""The paper's table 6: a model with parts left out, each beside what it loses, and the paper's own trials."""

from collections.abc import Mapping
from typing import Any

from miras.evaluate.report.content import Cell, Column, Figure, Grid, Row
from miras.evaluate.report.paper import paper_table
from miras.evaluate.report.run import Ablation, bounds, number
from miras.evaluate.scored import at

__all__ = ["ablation_table"]

_FIGURES = (("ciou", "cIoU"), ("giou", "gIoU"))


def ablation_table(trials: Ablation, name: str = "table6") -> Grid:
    """Table 6: the model with parts left out, each beside what it loses against the first line."""
    paper, content = paper_table("table6"), trials.content
    found = [one for one in content.get("table") or () if isinstance(one, Mapping)]
    rows = [_line(one, found[0] if place else None, trials.source) for place, one in enumerate(found)]
    columns = [Column(title, "Ours") for _, figure in _FIGURES for title in (figure, f"change of {figure}")]
    columns.append(Column("runs", "Ours"))
    blank = len(columns)
    columns += [Column(str(split), "Paper, refCOCOg") for split in paper.columns]
    notes = ["Ours: mean over the runs of each line, in percent; changes are against the first line."]
    budget = content.get("budget")
    if isinstance(budget, Mapping) and budget:
        notes.append(f"Budget of each run: {', '.join(f'{key} {value}' for key, value in budget.items())}.")
    rows += paper.shown(blank=blank)
    title = "Table 6: what each part brings"
    return Grid(name, title, tuple(columns), tuple(rows), (*notes, *paper.known), "Architecture")


def _line(one: Mapping[str, Any], first: Mapping[str, Any] | None, source: str) -> Row:
    cells: list[Cell] = []
    for figure, _ in _FIGURES:
        mean = number(one, source, "mean", figure)
        cells.append((Figure(mean, bounds(one, source, "interval", figure)),))
        if first is None:
            cells.append(())
            continue
        whole = number(first, source, "mean", figure)
        change = None if mean is None or whole is None else mean - whole
        cells.append((Figure(change, signed=True),))
    runs = at(one, "runs")
    cells.append((Figure(float(len(runs)) if isinstance(runs, list) else None, unit="count"),))
    # the paper's columns do not apply to our lines
    blank = ((),) * len(paper_table("table6").columns)
    return Row(str(one.get("variant") or "unnamed"), (*cells, *blank), source=source)
