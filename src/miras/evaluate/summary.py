"""The main figures of a run as the terminal shows them; the report has them all."""

from collections.abc import Mapping
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from miras.data.masks import Granularity
from miras.evaluate.targets import UNASKED

__all__ = ["print_figures"]

_MASKS = {
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
_TEXT = {"bleu_4": "BLEU-4", "rouge_l": "ROUGE-L", "meteor": "METEOR", "dist_1": "Dist-1", "dist_2": "Dist-2"}


def print_figures(figures: Mapping[str, Any]) -> None:
    """Prints masks, sizes, replies and texts of `score_run`, each with its interval where it has one."""
    run, intervals = figures["run"], figures["intervals"]
    title = " ".join(str(run[name]) for name in ("benchmark", "split", "suite", "model") if run.get(name))
    table = Table("figure", "value", "95 %", "n", title=f"{title}, {run['history']} history")
    if masks := figures["masks"]:
        for key, name in _MASKS.items():
            _row(table, name, masks.get(key), intervals["masks"].get(key), masks["n"])
        by_size = masks.get("by_size", {})
        for size in (*get_args(Granularity), UNASKED):
            if size in by_size:
                interval = intervals["masks"]["by_size"][size].get("giou")
                _row(table, f"  {size} gIoU", by_size[size]["giou"], interval, by_size[size]["n"])
    replies = figures["replies"]
    _row(table, "turns that mark as asked", replies["marked_rate"], None, replies["seg_turns"])
    _row(table, "turns that mark unasked", replies["false_seg_rate"], None, replies["text_turns"])
    for name, told in (("text", "all turns"), ("text_without_last", "last turn left out")):
        if texts := figures[name]:
            known = _TEXT | {key: key for key in texts if key.startswith("BERTScore")}
            for key, label in known.items():
                _row(table, f"{label}, {told}", texts[key], intervals[name].get(key), texts["n"])
    Console().print(table)
    if texts := figures["text"] or figures["text_without_last"]:
        for line in texts["tools"].values():
            Console().print(line, highlight=False)


def _row(table: Table, name: str, value: float | None, interval: Any, count: int) -> None:
    shown = "none" if value is None else f"{value:.4f}"
    between = "" if value is None or interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
    table.add_row(name, shown, between, str(count))
