"""The paper's table 6: a model with parts left out, each beside what it loses, and the paper's own trials."""

from collections.abc import Mapping
from typing import Any

from miras.evaluate.report.content import Cell, Column, Figure, Grid, Row
from miras.evaluate.report.paper import paper_table
from miras.evaluate.report.run import Ablation, bounds, number

__all__ = ["ablation_table"]

_FIGURES = (("ciou", "cIoU"), ("giou", "gIoU"))


def ablation_table(trials: Ablation, name: str = "table6") -> Grid:
    """Table 6: the model with parts left out, each beside what it loses against the first line."""
    paper = paper_table("table6")
    rows = [_line(one, trials.source) for one in trials.content["table"]]
    columns = [Column(title, "Ours") for _, figure in _FIGURES for title in (figure, f"change of {figure}")]
    columns.append(Column("runs", "Ours"))
    rows += paper.shown(before=len(columns))
    columns += [Column(str(split), "Paper, refCOCOg") for split in paper.columns]
    notes = (
        f"Ours: means over the runs of a line, in percent, trained from the preset {trials.content['plan']['preset']}; "
        "a change is the mean of what its runs have more than those of the first line from the same seeds.",
        "In brackets 95 % intervals over seeds by Student's t; one run alone has none.",
    )
    title = "Table 6: what each part brings"
    return Grid(name, title, tuple(columns), tuple(rows), (*notes, *paper.known), "Architecture")


def _line(one: Mapping[str, Any], source: str) -> Row:
    cells: list[Cell] = []
    for figure, _ in _FIGURES:
        cells.append((Figure(number(one, source, "mean", figure), bounds(one, source, "interval", figure)),))
        change = Figure(
            number(one, source, "change", figure), bounds(one, source, "change_interval", figure), signed=True
        )
        cells.append((change,) if one["change"] else ())  # the first line has none
    cells.append((Figure(float(len(one["runs"])), unit="count"),))
    # the paper's columns do not apply to our lines
    blank = ((),) * len(paper_table("table6").columns)
    return Row(one["variant"], (*cells, *blank), source=source)
