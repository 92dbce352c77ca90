"""One run in detail: main figures, each stratum, every figure there is, and what its confidence is worth."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from miras.evaluate.report.content import Cell, Column, Figure, Grid, Row, Unit
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run, at, number
from miras.evaluate.runs import TARGETS

__all__ = ["calibration", "every_figure", "strata", "tiles"]

_SHOWN = 20
"""Strata of one grouping before the rest is folded away."""
_ORDER = ("fine", "medium", "coarse")
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
_NAMES = {
    "masks": "Masks", "conventions": "Other conventions", "replies": "Replies", "text": "Words", "giou": "gIoU",
    "ciou": "cIoU", "n": "number", "prec_at": "share of IoU at least", "boundary_iou": "boundary IoU",
    "empty_accuracy": "accuracy on empty targets",
    "extra": "masks too many", "n_extra": "masks too many",
    "n_empty": "empty targets",
    "seg_rate": "marks when asked to", "false_seg_rate": "marks when not asked to", "seg_turns": "turns to be marked",
    "text_turns": "turns without a mask", "empty": "empty replies",
    "bleu4": "BLEU-4", "bleu_4": "BLEU-4", "dist1": "Dist-1", "dist_1": "Dist-1",
    "dist_2": "Dist-2",
    "dist2": "Dist-2", "rouge_l": "ROUGE-L", "meteor": "METEOR", "bertscore": "BERTScore", "f1_micro": "F1, micro",
    "f1_macro": "F1, macro", "precision_micro": "precision, micro", "precision_macro": "precision, macro",
    "recall_micro": "recall, micro", "recall_macro": "recall, macro", "f1_of_printed": "F1 of the mean P and R",
    "miou": "mIoU",
}  # fmt: skip
_BINS = 5


def tiles(run: Run) -> tuple[tuple[str, Figure], ...]:
    """The few figures that say most of a run; those that it does not hold are left out."""
    wanted: tuple[tuple[str, tuple[str, ...], Unit], ...] = (
        ("gIoU", ("masks", "giou"), "percent"),
        ("cIoU", ("masks", "ciou"), "percent"),
        ("IoU ≥ 0.5", ("masks", "prec_at", "0.5"), "percent"),
        ("marks when asked", ("replies", "seg_rate"), "percent"),
        ("ROUGE-L", ("text", "rouge_l"), "percent"),
        ("targets", ("masks", "n"), "count"),
    )
    found = [(name, run.figure(*path, unit=unit)) for name, path, unit in wanted]
    return tuple((name, figure) for name, figure in found if figure.value is not None)


def strata(run: Run, prefix: str) -> list[Grid]:
    """A table for each grouping: sizes from fine to coarse, turns by number, the rest by number of targets."""
    masks = run.figures.get("masks")
    grids: list[Grid] = []
    groupings = [name for name in masks if name.startswith("by_")] if isinstance(masks, Mapping) else []
    for grouping in sorted(groupings, key=lambda name: [*_TITLES, name].index(name)):
        group = at(masks, grouping)
        if not isinstance(group, Mapping) or not group:
            continue
        names = sorted(group, key=lambda name: _order(run, grouping, name))
        rows = [
            Row(
                name,
                tuple((run.figure("masks", grouping, name, *path, unit=unit),) for _, path, unit in _COLUMNS),  # type: ignore[arg-type]
                source=run.source,
            )
            for name in names
        ]
        columns = tuple(Column(title) for title, _, _ in _COLUMNS)
        title = _TITLES.get(grouping, grouping.replace("_", " ").capitalize())
        notes = () if grids else ("Prec., Recall and F1 are means over the targets of a line, here and below.",)
        grids.append(Grid(f"{prefix}-{grouping}", title, columns, tuple(rows), notes, "", _SHOWN))
    return grids


def every_figure(run: Run, prefix: str) -> Grid:
    """All that the file of figures holds, strata aside, in its own words where no better ones are known."""
    rows: list[Row] = []
    for part in ("masks", "conventions", "replies", "text"):
        inside = list(_leaves(run, (part,)))
        if inside:
            rows += [Row(_NAMES[part], kind="data"), *inside]
    return Grid(f"{prefix}-figures", "Every figure", (Column("figure"),), tuple(rows), folded=0)


def calibration(outcomes: Sequence[Outcome], source: str, prefix: str) -> Grid | None:
    """What IoU the masks of each level of confidence have. None where no mask says how sure the model is."""
    scored = [
        (one.mark.score, one.iou)
        for one in outcomes
        if not one.extra and one.mark is not None and one.mark.score is not None and one.iou is not None
    ]
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
    unscored = sum(one.mark is not None and one.mark.score is None for one in outcomes)
    notes = [
        f"Confidence and IoU are {off:.3f} apart in the mean over these lines, each weighed by its masks. A confidence "
        "that could be trusted as an IoU would give 0."
    ]
    notes += [f"{unscored:,} masks came without a confidence and are left out."] if unscored else []
    return Grid(
        f"{prefix}-confidence", "What its confidence is worth", columns, tuple(rows), tuple(notes), "confidence"
    )


def _order(run: Run, grouping: str, name: str) -> tuple[float, float, str]:
    if name in _ORDER:
        return _ORDER.index(name), 0.0, name
    if name.isdigit():
        return 0.0, float(name), name
    return 9.0, -(number(run.figures, run.source, "masks", grouping, name, "n") or 0.0), name


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
