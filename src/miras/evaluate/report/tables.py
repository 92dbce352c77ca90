"""The paper's tables 3 and 5, masks and words, with our lines in them and the paper's marked as such."""

from collections.abc import Callable, Sequence
from typing import Any

from miras.evaluate.report.content import Cell, Column, Figure, Grid, Row
from miras.evaluate.report.paper import PaperTable, paper_table
from miras.evaluate.report.run import SETTINGS, Run

__all__ = ["by_data", "masks_and_words", "referring", "spoken_part"]

_MASKS = (("ciou", "giou"), ("precision_micro", "precision_macro"), ("recall_micro", "recall_macro"),
          ("f1_micro", "f1_macro"))  # fmt: skip
_WORDS = (("bleu_4",), ("dist_1", "dist_2"), ("rouge_l",), ("meteor",))
_PARTS = {"text": "", "text_without_last": "words without the last turn"}
"""Figures of replies, and what a line says of them."""
_SETS = {"refcoco": "refCOCO", "refcoco+": "refCOCO+", "refcocog": "refCOCOg"}

_OURS_IN_3 = (
    "Each of our runs has two lines. Micro: cIoU, precision, recall and F1 of all pixels of all targets added and "
    "divided once. Macro: gIoU in the column CIoU, and the mean over targets in the others."
)
_BOLD = "No figure is set in bold as the best: read the intervals, and compare lines about the same data only."


def masks_and_words(runs: Sequence[Run]) -> Grid | None:
    """Table 3: masks and replies. None where no run outside refCOCO holds any."""
    shown = [run for run in runs if _place(run) is None and (run.figures.get("masks") or spoken_part(run))]
    if not shown:
        return None
    paper = paper_table("table3")
    columns = [Column(name, "Pixel-wise") for name in ("CIoU", "Prec.", "Recall", "F1")]
    columns += [Column(name, "Response") for name in ("BLEU-4", "Dist-1/2", "ROU_L.", "MET.", "BERTS.")]
    berts = list(dict.fromkeys(name for run in shown if (name := _bertscore(run))))
    columns += [Column(name, "Ours") for name in berts]
    notes = [_OURS_IN_3, *_response_notes(shown), *_interval_notes(shown), _BOLD, *paper.known]
    rows = by_data(shown, lambda run: _line_of_3(run, berts), paper, after=len(berts))
    title = "Table 3: pixel-level reasoning segmentation, in percent"
    return Grid("table3", title, tuple(columns), tuple(rows), tuple(notes), "Model")


def referring(runs: Sequence[Run]) -> Grid | None:
    """Table 5: cIoU on refCOCO, refCOCO+ and refCOCOg, a line per model. None where no run is about them."""
    paper = paper_table("table5")
    asked = [run for run in runs if _place(run) is not None]
    if not asked:
        return None
    rows = _lines_of_5([run for run in asked if run.limit])
    if rows:
        rows.insert(0, Row("parts of splits", kind="data", note="other data"))
    rows.append(Row("whole splits", kind="data", note="the paper's data"))
    rows += _lines_of_5([run for run in asked if not run.limit])
    counted = "; ".join(f"{run.model} on {run.data}: {_count(run)} targets" for run in asked)
    columns = tuple(Column(split[0].upper() + split[1:], _SETS[name]) for name, split in paper.columns)
    notes = (f"{counted}.", *_interval_notes(asked), _BOLD, *paper.known)
    title = "Table 5: referring expressions, cIoU in percent"
    return Grid("table5", title, columns, (*rows, *paper.shown()), notes, "Model")


def _lines_of_5(runs: Sequence[Run]) -> list[Row]:
    """A line for each model, or each way of asking it; a second run of the same split begins another line."""
    lines: list[tuple[Any, dict[Any, Run]]] = []
    for run in runs:
        place, who = _place(run), (run.model, run.said("weights_sha256"), run.setting, run.said("suite"), run.note)
        line = next((cells for other, cells in lines if other == who and place not in cells), None)
        if line is None:
            lines.append((who, line := {}))
        line[place] = run
    rows = []
    for _, line in lines:
        one, splits = next(iter(line.values())), paper_table("table5").columns
        cells = tuple((line[split].figure("masks", "ciou") if split in line else Figure(None),) for split in splits)
        note = ", ".join(filter(None, (one.setting, one.note)))
        rows.append(Row(one.model, cells, source=", ".join(run.source for run in line.values()), note=note))
    return rows


def by_data(runs: Sequence[Run], lines: Callable[[Run], list[Row]], paper: PaperTable, *, after: int = 0) -> list[Row]:
    """Our lines under headings of their data and setting; those about the paper's data share its heading.

    `after` are the cells that our lines have more than the paper's.
    """
    groups: dict[str, list[Run]] = {}
    same = []
    for run in runs:
        if _same_data(run, paper):
            same.append(run)
        else:
            groups.setdefault(_data(run, paper), []).append(run)
    rows = []
    for data, members in groups.items():
        rows.append(Row(data, kind="data", note="other data"))
        rows += _by_setting(members, lines)
    assert paper.data is not None
    rows.append(Row(f"{paper.data['benchmark'].upper()} · {paper.data['split']}", kind="data", note="the paper's data"))
    return rows + _by_setting(same, lines, paper, after)


def _by_setting(
    runs: Sequence[Run], lines: Callable[[Run], list[Row]], paper: PaperTable | None = None, after: int = 0
) -> list[Row]:
    rows: list[Row] = []
    for setting in (*SETTINGS, None):
        inside = [row for run in runs if run.setting == setting for row in lines(run)]
        if paper is not None and setting is not None:
            inside += paper.shown(setting, after=after)
        if inside:
            title = "Setting not stated" if setting is None else setting.capitalize()
            rows += [Row(title, kind="setting"), *inside]
    return rows


def _same_data(run: Run, paper: PaperTable) -> bool:
    data = paper.data or {}
    whole = data.get("cases") in (None, run.said("cases"))
    same = (run.benchmark, run.split, run.note) == (data["benchmark"], data["split"], "")
    return same and whole and not run.limit


def _data(run: Run, paper: PaperTable) -> str:
    data = paper.data or {}
    cases = run.said("cases")
    part = data.get("cases") if (run.benchmark, run.split) == (data["benchmark"], data["split"]) else None
    return f"{run.data}: {cases} of {part} cases" if part and cases != part else run.data


def spoken_part(run: Run) -> str | None:
    """Where its figures of replies stand: of all turns, else without the last; None where there are none."""
    return next((part for part in _PARTS if run.figures.get(part)), None)


def _line_of_3(run: Run, berts: Sequence[str]) -> list[Row]:
    """Micro and macro; BERTScore stands in a column of its model, never in the paper's, whose model is not known."""
    part, own = spoken_part(run), _bertscore(run)
    words: tuple[Cell, ...] = tuple(tuple(_word(run, part, name) for name in names) for names in _WORDS)
    words = (*words, (), *((_word(run, part, name),) if name == own else () for name in berts))
    micro, macro = (tuple((run.figure("masks", pair[kind]),) for pair in _MASKS) for kind in (0, 1))
    told = ", ".join(filter(None, (run.note, _PARTS[part] if part else "")))
    if not run.figures.get("masks"):
        return [Row(run.model, (*micro, *words), source=run.source, note=told)]
    blank: tuple[Cell, ...] = ((),) * len(words)
    return [
        Row(run.model, (*micro, *words), source=run.source, note=", ".join(filter(None, ("micro", told)))),
        Row(run.model, (*macro, *blank), source=run.source, note=", ".join(filter(None, ("macro", run.note)))),
    ]


def _word(run: Run, part: str | None, name: str | None) -> Figure:
    return Figure(None) if part is None or name is None else run.figure(part, name)


def _bertscore(run: Run) -> str | None:
    """The name of its BERTScore, which says by which model."""
    part = spoken_part(run)
    found = run.figures.get(part) if part else None
    return next((name for name in found or () if name.startswith("BERTScore")), None)


def _response_notes(runs: Sequence[Run]) -> list[str]:
    notes = []
    if any(_bertscore(run) for run in runs):
        notes.append("BERTScore depends on its model, which the paper does not name: ours has a column of its own.")
    if any(spoken_part(run) == "text_without_last" for run in runs):
        notes.append("Where a line says so, the last reply of each conversation is left out of the response figures.")
    return notes


def _interval_notes(runs: Sequence[Run]) -> list[str]:
    drawn = sorted({(one["level"], one["replicates"]) for one in (run.figures["intervals"] for run in runs)})
    return [
        f"In brackets intervals of {level * 100:g} %, from {replicates:,} bootstrap draws of whole images."
        for level, replicates in drawn
    ]


def _place(run: Run) -> tuple[str, str] | None:
    """(benchmark, split) as table 5 names them; None where the run is about something else.

    A split may say who cut it, as in `unc:val`; the paper's are UNC's, and UMD's of refCOCOg.
    """
    partition, _, split = run.split.lower().rpartition(":")
    if partition not in ("", "umd" if run.benchmark == "refcocog" else "unc"):
        return None
    places = paper_table("table5").columns
    return next((place for place in places if (place[0], place[1].lower()) == (run.benchmark, split)), None)


def _count(run: Run) -> str:
    figure = run.figure("masks", "n", unit="count")
    return "an unknown number of" if figure.value is None else figure.shown()
