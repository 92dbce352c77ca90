"""Table 6 of the paper for any plan: means over seeds with their intervals, and what each variant loses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

__all__ = ["FIGURES", "Result", "rows_of", "shown", "student_interval"]

FIGURES = ("ciou", "giou")
"""What a row holds of each run."""

_LEVEL = 0.95


@dataclass(frozen=True)
class Result:
    """What one variant reached from one seed."""

    variant: str
    title: str
    seed: int
    figures: Mapping[str, float]
    """Each of FIGURES, 0..1."""
    trained: Mapping[str, Any]
    """Stage → its steps, images a step and seconds."""


def rows_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row per variant in the order of the first results: its runs, and of each figure mean and interval over seeds.

    `change` is the mean over seeds of what it has more than the first variant from the same seed, `change_interval` its
    interval. Intervals are Student's, None from fewer than two seeds.
    """
    names = list(dict.fromkeys(result.variant for result in results))
    by_name = {name: {one.seed: one for one in results if one.variant == name} for name in names}
    first = by_name[names[0]] if names else {}
    rows = []
    for name in names:
        mine = by_name[name]
        row: dict[str, Any] = {"name": name, "variant": next(iter(mine.values())).title}
        row["runs"] = [
            {"seed": seed, **one.figures, "trained": dict(one.trained)} for seed, one in sorted(mine.items())
        ]
        for key in ("mean", "interval", "change", "change_interval"):
            row[key] = {}
        for figure in FIGURES:
            values = [one.figures[figure] for one in mine.values()]
            row["mean"][figure], row["interval"][figure] = _mean(values), student_interval(values)
            if name != names[0]:
                apart = [
                    one.figures[figure] - first[seed].figures[figure] for seed, one in mine.items() if seed in first
                ]
                row["change"][figure], row["change_interval"][figure] = _mean(apart), student_interval(apart)
        rows.append(row)
    return rows


def student_interval(values: Sequence[float], level: float = _LEVEL) -> tuple[float, float] | None:
    """The interval of the mean of a few independent runs by Student's t; None from fewer than two."""
    if len(values) < 2:
        return None
    from scipy.stats import t

    mean, count = sum(values) / len(values), len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    reach = float(t.ppf((1 + level) / 2, count - 1)) * deviation / math.sqrt(count)
    return mean - reach, mean + reach


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def shown(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows as the terminal shows them, in percent."""
    table = Table("Architecture", "cIoU", "change", "gIoU", "change", "seeds", title="Table 6, in percent")
    for row in rows:
        cells = [
            _text(row[key].get(figure), row[between].get(figure), signed=key == "change")
            for figure in FIGURES
            for key, between in (("mean", "interval"), ("change", "change_interval"))
        ]
        table.add_row(row["variant"], *cells, str(len(row["runs"])))
    return table


def _text(value: float | None, between: tuple[float, float] | None, *, signed: bool) -> str:
    if value is None:
        return ""
    sign = "+" if signed else ""
    known = "" if between is None else f" [{100 * between[0]:{sign}.1f}, {100 * between[1]:{sign}.1f}]"
    return f"{100 * value:{sign}.1f}{known}"
