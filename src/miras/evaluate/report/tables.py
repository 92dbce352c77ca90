"""The paper's tables 3 and 5, masks and words, with our lines in them and the paper's marked as such."""

from collections.abc import Callable, Sequence
from typing import Any

from miras.evaluate.report.content import Cell, Column, Figure, Grid, Row
from miras.evaluate.report.paper import PaperTable, paper_table
from miras.evaluate.report.run import SETTINGS, Run, at

__all__ = ["by_data", "masks_and_words", "referring"]

_MASKS = (("ciou", "giou"), ("precision_micro", "precision_macro"), ("recall_micro", "recall_macro"),
          ("f1_micro", "f1_macro"))  # fmt: skip
_WORDS = (("bleu_4",), ("dist_1", "dist_2"), ("rouge_l",), ("meteor",), ("bertscore",))
_SETS = {"refcoco": "refCOCO", "refcoco+": "refCOCO+", "refcocog": "refCOCOg"}

_OURS_IN_3 = (
    "Each of our runs has two lines. Micro: cIoU, precision, recall and F1 of all pixels of all targets added and "
    "divided once. Macro: gIoU in the column CIoU, and the mean over targets in the others."
)
_BOLD = "No figure is set in bold as the best: read the intervals, and compare lines about the same data only."


def masks_and_words(runs: Sequence[Run]) -> Grid | None:
    """Table 3: masks and replies. None where no run outside refCOCO holds any."""
    shown = [run for run in runs if _place(run) is None and (run.figures.get("masks") or run.figures.get("text"))]
    if not shown:
        return None
    paper = paper_table("table3")
    columns = [Column(name, "Pixel-wise") for name in ("CIoU", "Prec.", "Recall", "F1")]
    columns += [Column(name, "Response") for name in ("BLEU-4", "Dist-1/2", "ROU_L.", "MET.", "BERTS.")]
    notes = [_OURS_IN_3, *_response_notes(shown), *_interval_notes(shown), _BOLD, *paper.known]
    rows = by_data(shown, _line_of_3, paper)
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


def by_data(runs: Sequence[Run], lines: Callable[[Run], list[Row]], paper: PaperTable) -> list[Row]:
    """Our lines under headings of their data and setting; those about the paper's data share its heading."""
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
    return rows + _by_setting(same, lines, paper)


def _by_setting(runs: Sequence[Run], lines: Callable[[Run], list[Row]], paper: PaperTable | None = None) -> list[Row]:
    rows: list[Row] = []
    for setting in (*SETTINGS, None):
        inside = [row for run in runs if run.setting == setting for row in lines(run)]
        if paper is not None and setting is not None:
            inside += paper.shown(setting)
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


def _line_of_3(run: Run) -> list[Row]:
    words = tuple(tuple(_word(run, name) for name in names) for names in _WORDS)
    micro, macro = (tuple((run.figure("masks", pair[kind]),) for pair in _MASKS) for kind in (0, 1))
    if not run.figures.get("masks"):
        return [Row(run.model, (*micro, *words), source=run.source, note=run.note)]
    blank: tuple[Cell, ...] = ((),) * len(words)
    return [
        Row(run.model, (*micro, *words), source=run.source, note=", ".join(filter(None, ("micro", run.note)))),
        Row(run.model, (*macro, *blank), source=run.source, note="macro"),
    ]


def _word(run: Run, name: str) -> Figure:
    """A figure of the replies; BLEU-4 and Dist may also be written as bleu4, dist1 and dist2."""
    known = name if at(run.figures, "text", name) is not None else name.replace("_", "")
    return run.figure("text", known)


def _response_notes(runs: Sequence[Run]) -> list[str]:
    turns = {"all": "every reply", "without_last": "every reply but the last"}
    notes = []
    for run in runs:
        said = at(run.figures, "text", "turns")
        name = at(run.figures, "text", "bertscore_name")
        if said or name:
            parts = [f"response figures over {turns.get(str(said), str(said))}"] if said else []
            parts += [f"BERTS. is {name}"] if name else []
            notes.append(f"{run.model} on {run.data}: {'; '.join(parts)}.")
    return notes


def _interval_notes(runs: Sequence[Run]) -> list[str]:
    found = [at(run.figures, "intervals") for run in runs]
    told = {
        f"In brackets intervals of {level * 100:g} %, from {at(one, 'replicates') or 'an unstated number of'} "
        f"bootstrap draws of whole {at(one, 'unit') or 'case'}s."
        for one in found
        if isinstance(level := at(one, "level"), int | float)
    }
    return sorted(told)


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
