"""The main figures of a run, or of two beside each other, as the terminal shows them; the report has them all."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from miras.data.masks import Granularity
from miras.evaluate.targets import UNASKED

__all__ = ["MASKS", "TEXTS", "comparison_rows", "print_comparison", "print_figures", "strata_in_order"]

MASKS = {
    "giou": "gIoU",
    "ciou": "cIoU",
    "boundary_iou": "boundary IoU",
    "precision_micro": "precision, micro",
    "recall_micro": "recall, micro",
    "f1_micro": "F1, micro",
    "precision_macro": "precision, macro",
    "recall_macro": "recall, macro",
    "f1_macro": "F1, macro",
    "empty_accuracy": "empty targets left empty",
}
"""Mask figures by what people call them, in the order in which they are shown."""
TEXTS = {"bleu_4": "BLEU-4", "rouge_l": "ROUGE-L", "meteor": "METEOR", "dist_1": "Dist-1", "dist_2": "Dist-2"}
"""Text figures likewise; BERTScore has the name that its model gives it."""

_IOUS = ("giou", "ciou")
_TURNS = {"text": "all turns", "text_without_last": "last turn left out"}


def print_figures(figures: Mapping[str, Any]) -> None:
    """Prints masks, sizes, replies and texts of `score_run`, each with its interval where it has one."""
    run, intervals = figures["run"], figures["intervals"]
    title = " ".join(str(run[name]) for name in ("benchmark", "split", "suite", "model") if run.get(name))
    table = Table("figure", "value", "95 %", "n", title=f"{title}, {run['history']} history")
    if masks := figures["masks"]:
        for key, name in MASKS.items():
            _row(table, name, masks.get(key), intervals["masks"].get(key), masks["n"])
        by_size = masks.get("by_size", {})
        for size in strata_in_order(by_size):
            interval = intervals["masks"]["by_size"][size].get("giou")
            _row(table, f"  {size} gIoU", by_size[size]["giou"], interval, by_size[size]["n"])
    replies = figures["replies"]
    _row(table, "turns that mark as asked", replies["marked_rate"], None, replies["seg_turns"])
    _row(table, "turns that mark unasked", replies["false_seg_rate"], None, replies["text_turns"])
    for name, told in _TURNS.items():
        if texts := figures[name]:
            for key, label in _named(texts).items():
                _row(table, f"{label}, {told}", texts[key], intervals[name].get(key), texts["n"])
    Console().print(table)
    if texts := figures["text"] or figures["text_without_last"]:
        for line in texts["tools"].values():
            Console().print(line, highlight=False)


def print_comparison(found: Mapping[str, Any]) -> None:
    """Prints what `compare_scored` found: both values, their difference with its interval, and p."""
    one, other = found["run"], found["other"]
    table = Table("figure", "first", "second", title=f"{found['cases']} cases")
    for column in ("difference", f"{found['level']:.0%}", "p"):
        table.add_column(column, no_wrap=True)
    for name, figure in comparison_rows(found):
        values = ("none" if figure[key] is None else f"{figure[key]:.4f}" for key in ("run", "other"))
        apart, interval, p = figure["difference"], figure["interval"], figure["p"]
        between = "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}"
        table.add_row(name, *values, "" if apart is None else f"{apart:+.4f}", between, "" if p is None else f"{p:.3f}")
    Console().print(table)
    for place, side in (("first", one), ("second", other)):
        Console().print(f"{place}: {side['folder']}, {side['model']}, {side['history']} history", highlight=False)


def comparison_rows(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The figures of a comparison by name, those that neither run has left out; of strata gIoU and cIoU."""
    masks = found["masks"] or {}
    rows = [(name, masks.get(key)) for key, name in MASKS.items()]
    rows += [(f"IoU at least {threshold}", one) for threshold, one in masks.get("prec_at", {}).items()]
    for grouping in (name for name in masks if name.startswith("by_")):
        strata = masks[grouping]
        told = "" if grouping == "by_size" else f"{grouping.removeprefix('by_')} "
        rows += [
            (f"{told}{name}, {MASKS[key]}", strata[name][key]) for name in strata_in_order(strata) for key in _IOUS
        ]
    for which, told in _TURNS.items():
        texts = found[which] or {}
        rows += [(f"{name}, {told}", texts.get(key)) for key, name in _named(texts).items()]
    yield from ((name, one) for name, one in rows if one is not None and one["run"] is not None)


def strata_in_order(strata: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of strata: sizes from fine to coarse, numbers as such, all others by their number of targets."""
    sizes = (*get_args(Granularity), UNASKED)

    def place(name: str) -> tuple[int, float, str]:
        if name in sizes:
            return 0, sizes.index(name), name
        count = strata[name].get("n", strata[name].get("targets", 0))
        return (1, float(name), name) if name.isdecimal() else (2, -count, name)

    return sorted(strata, key=place)


def _named(texts: Mapping[str, Any]) -> dict[str, str]:
    return TEXTS | {key: key for key in texts if key.startswith("BERTScore")}


def _row(table: Table, name: str, value: float | None, interval: Any, count: int) -> None:
    shown = "none" if value is None else f"{value:.4f}"
    between = "" if value is None or interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
    table.add_row(name, shown, between, str(count))
