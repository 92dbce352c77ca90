"""One run in detail: main figures, each stratum, every figure there is, and what its confidence is worth."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from miras.evaluate.report.content import Cell, Column, Figure, Grid, Row, Unit
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run
from miras.evaluate.report.tables import spoken_part
from miras.evaluate.runs import TARGETS
from miras.evaluate.scored import at
from miras.evaluate.summary import MASKS, TEXTS, strata_in_order

__all__ = ["calibration", "every_figure", "strata", "tiles"]

_SHOWN = 20
"""Strata of one grouping before the rest is folded away."""
_COLUMNS = (
    ("targets", ("n",), "count"),
    ("gIoU", ("giou",), "percent"),
    ("cIoU", ("ciou",), "percent"),
    ("Prec.", ("precision_macro",), "percent"),
    ("Recall", ("recall_macro",), "percent"),
    ("F1", ("f1_macro",), "percent"),
    ("IoU ≥ 0.5", ("prec_at", "0.5"), "percent"),
)  # fmt: skip
_TITLES = {
    "by_size": "By size of the target",
    "by_turn": "By turn",
    "by_source": "By source of the image",
    "by_category": "By category",
}
_PARTS = {
    "masks": "Masks",
    "replies": "Replies",
    "text": "Words, all turns",
    "text_without_last": "Words, last turn left out",
}
_NAMES = MASKS | TEXTS | {
    "n": "number", "prec_at": "share of IoU at least", "n_extra": "masks too many", "n_empty": "empty targets",
    "seg_rate": "well formed where a mask is asked for", "marked_rate": "marks when asked to",
    "false_seg_rate": "marks when not asked to", "seg_turns": "turns to be marked",
    "text_turns": "turns without a mask", "empty": "empty replies", "conventions": "by the convention of",
    "table_3": "table 3", "authors_validation": "the authors' validation", "f1": "F1",
    "ciou_true": "cIoU of what is marked",
}  # fmt: skip
_BINS = 5


def tiles(run: Run) -> tuple[tuple[str, Figure], ...]:
    """The few figures that say most of a run; those that it does not hold are left out."""
    wanted: tuple[tuple[str, tuple[str, ...], Unit], ...] = (
        ("gIoU", ("masks", "giou"), "percent"),
        ("cIoU", ("masks", "ciou"), "percent"),
        ("IoU ≥ 0.5", ("masks", "prec_at", "0.5"), "percent"),
        ("marks when asked", ("replies", "marked_rate"), "percent"),
        ("ROUGE-L", (spoken_part(run) or "text", "rouge_l"), "percent"),
        ("targets", ("masks", "n"), "count"),
    )
    found = [(name, run.figure(*path, unit=unit)) for name, path, unit in wanted]
    return tuple((name, figure) for name, figure in found if figure.value is not None)


def strata(run: Run, prefix: str) -> list[Grid]:
    """A table for each grouping: sizes from fine to coarse, turns by number, the rest by number of targets."""
    masks = run.figures["masks"] or {}
    grids: list[Grid] = []
    groupings = [name for name in masks if name.startswith("by_")]
    for grouping in sorted(groupings, key=lambda name: [*_TITLES, name].index(name)):
        rows = [
            Row(
                name,
                tuple((run.figure("masks", grouping, name, *path, unit=unit),) for _, path, unit in _COLUMNS),  # type: ignore[arg-type]
                source=run.source,
            )
            for name in strata_in_order(masks[grouping])
        ]
        columns = tuple(Column(title) for title, _, _ in _COLUMNS)
        title = _TITLES.get(grouping, grouping.replace("_", " ").capitalize())
        notes = () if grids else ("Prec., Recall and F1 are means over the targets of a line, here and below.",)
        grids.append(Grid(f"{prefix}-{grouping}", title, columns, tuple(rows), notes, "", _SHOWN))
    return grids


def every_figure(run: Run, prefix: str) -> Grid:
    """All that the file of figures holds, strata aside, in its own words where no better ones are known."""
    rows: list[Row] = []
    for part, title in _PARTS.items():
        inside = list(_leaves(run, (part,)))
        if inside:
            rows += [Row(title, kind="data"), *inside]
    return Grid(f"{prefix}-figures", "Every figure", (Column("figure"),), tuple(rows), folded=0)


def calibration(outcomes: Sequence[Outcome], source: str, prefix: str) -> Grid | None:
    """What IoU the masks of each level of confidence have. None where no mask says how sure the model is."""
    marked = [one for one in outcomes if not one.met.extra and one.met.predicted is not None]
    scored = [(one.met.score, one.iou) for one in marked if one.met.score is not None]
    if not scored:
        return None
    rows, off = [], 0.0
    for place in range(_BINS):
        inside = [pair for pair in scored if min(int(pair[0] * _BINS), _BINS - 1) == place]
        mean = [sum(values) / len(inside) for values in zip(*inside, strict=True)] if inside else [None, None]
        good = sum(iou >= 0.5 for _, iou in inside) / len(inside) if inside else None
        if mean[0] is not None and mean[1] is not None:
            off += abs(mean[0] - mean[1]) * len(inside) / len(scored)
        cells: tuple[Cell, ...] = (
            (Figure(float(len(inside)), unit="count"),),
            (Figure(mean[0], unit="plain"),),
            (Figure(mean[1], unit="plain"),),
            (Figure(good),),
        )
        rows.append(Row(f"{place / _BINS:.1f} to {(place + 1) / _BINS:.1f}", cells, source=f"{source}/{TARGETS}"))
    columns = tuple(map(Column, ("masks", "mean confidence", "mean IoU", "IoU ≥ 0.5")))
    unscored = len(marked) - len(scored)
    notes = [
        f"Confidence and IoU are {off:.3f} apart in the mean over these lines, each weighed by its masks: the nearer "
        "to 0, the better a confidence stands for the IoU."
    ]
    notes += [f"{unscored:,} masks came without a confidence and are left out."] if unscored else []
    return Grid(
        f"{prefix}-confidence", "What its confidence is worth", columns, tuple(rows), tuple(notes), "confidence"
    )


def _leaves(run: Run, path: tuple[str, ...]) -> Iterator[Row]:
    found: Any = at(run.figures, *path)
    if isinstance(found, Mapping):
        for name in found:
            if not name.startswith("by_"):
                yield from _leaves(run, (*path, name))
    elif len(path) > 1:
        title = " ".join(_NAMES.get(part, part.replace("_", " ")) for part in path[1:])
        if isinstance(found, str | bool | list):
            yield Row(title, (str(found),), source=run.source)
        else:
            unit: Unit = "count" if isinstance(found, int) else "percent"
            yield Row(title, ((run.figure(*path, unit=unit),),), source=run.source)
