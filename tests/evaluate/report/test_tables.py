"""Our lines beside the paper's: which stand under one heading, and what stands where nothing is known."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.report.conftest import MakeRun, masks

from miras.errors import DataError
from miras.evaluate.report.breakdown import calibration, every_figure, strata, tiles
from miras.evaluate.report.content import Cell, Grid
from miras.evaluate.report.judged import read_people, reasoning
from miras.evaluate.report.run import Ablation, Run, read_folder
from miras.evaluate.report.tables import masks_and_words, referring
from miras.evaluate.report.trials import ablation_table
from miras.files import write_json


def read(folder: Path, setting: str | None = None) -> Run:
    run = read_folder(folder, setting)
    assert isinstance(run, Run)
    return run


def text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return " / ".join(f"{one.shown()} {one.spread()}".strip() for one in cell)


def line(grid: Grid, place: int) -> list[str]:
    return [text(cell) for cell in grid.rows[place].cells]


def headings(grid: Grid) -> list[tuple[str, str]]:
    return [(row.name, row.note) for row in grid.rows if row.kind in ("data", "setting")]


def test_table_3_has_two_lines_for_a_run_and_dashes_for_what_is_unknown(make_run: MakeRun) -> None:
    grid = masks_and_words([read(make_run(), "zero-shot")])
    assert grid is not None
    assert headings(grid)[:2] == [("halves · val · talk", "other data"), ("Zero-shot", "")]
    assert line(grid, 2) == ["25.0", "50.0", "–", "75.0", "8.5", "10.0 / 20.0", "–", "–", ""]
    assert line(grid, 3) == ["58.6 [50.0, 61.0]", "–", "–", "–", "", "", "", "", ""]
    assert headings(grid)[2:] == [("PRIST · test", "the paper's data"), ("Zero-shot", ""), ("Fine-tuned", "")]
    after = grid.rows[grid.rows.index(next(row for row in grid.rows if row.name == "PRIST · test")) :]
    assert {row.kind for row in after} == {"data", "setting", "paper"}
    assert len([row for row in grid.rows if row.kind == "paper"]) == 13


def test_only_the_whole_of_prist_stands_beside_the_paper(make_run: MakeRun) -> None:
    prist = {"benchmark": "prist", "split": "test", "suite": "multi_turn", "setting": "fine-tuned"}
    whole = read(make_run("whole", run={**prist, "cases": 508}))
    part = read(make_run("part", run={**prist, "cases": 100}))
    drawn = read(make_run("drawn", run={**prist, "cases": 508, "limit": 508}))
    blank = read(make_run("blank", run={**prist, "cases": 508, "images": "blank"}))
    grid = masks_and_words([whole, part, drawn, blank])
    assert grid is not None
    names = [row.name for row in grid.rows if row.kind == "data"]
    assert names[0] == "prist · test · multi_turn: 100 of 508 cases" and len(names) == 4
    place = next(place for place, row in enumerate(grid.rows) if row.note == "the paper's data")
    ours = [row for row in grid.rows[place:] if row.kind == "own"]
    assert {row.source for row in ours} == {str(whole.folder / "figures.json")}
    assert any("blank images" in row.note for row in grid.rows[:place])


def test_a_run_without_figures_has_no_zero(make_run: MakeRun) -> None:
    run = read(make_run(masks=None, text={"bleu_4": None, "rouge_l": 0.0}))
    grid = masks_and_words([run])
    assert grid is not None
    own = [place for place, row in enumerate(grid.rows) if row.kind == "own"]
    assert [line(grid, place) for place in own] == [["–"] * 5 + ["– / –", "0.0", "–", ""]]
    assert masks_and_words([read(make_run("none", masks=None, text=None, text_without_last=None))]) is None
    assert tiles(read(make_run("bare", masks=None, text=None, text_without_last=None, replies=None))) == ()


def test_words_without_the_last_turn_are_named_as_such(make_run: MakeRun) -> None:
    words = {"n": 1, "bleu_4": 0.5, "dist_1": 0.25, "BERTScore[a model]": 0.75}
    runs = [read(make_run("box", text=None, text_without_last=words)), read(make_run("all"))]
    grid = masks_and_words(runs)
    assert grid is not None
    assert [column.name for column in grid.columns[-2:]] == ["BERTS.", "BERTScore[a model]"]
    rows = [(row.note, *(text(row.cells[at]) for at in (4, 8, 9))) for row in grid.rows if row.kind == "own"]
    assert rows[::2] == [("micro, words without the last turn", "50.0", "", "75.0"), ("micro", "8.5", "", "")]
    paper = [row for row in grid.rows if row.kind == "paper"]
    assert paper and all(row.cells[8] and row.cells[9] == () for row in paper)
    assert "a column of its own" in grid.notes[1]
    assert "the last reply of each conversation is left out" in grid.notes[2]


def test_table_5_takes_whole_splits_by_their_own_partition(make_run: MakeRun) -> None:
    def run(name: str, benchmark: str, split: str, ciou: float, **said: Any) -> Run:
        about = {"benchmark": benchmark, "split": split, "suite": "direct", **said}
        return read(make_run(name, run=about, masks=masks(ciou=ciou), text=None))

    runs = [
        run("a", "refcoco", "unc:val", 0.5),
        run("b", "refcocog", "umd:test", 0.25),
        run("c", "refcoco+", "unc:testA", 0.125, limit=500),
        run("d", "refcoco", "google:val", 0.75),
    ]
    grid = referring(runs)
    assert grid is not None
    assert headings(grid) == [("parts of splits", "other data"), ("whole splits", "the paper's data")]
    assert line(grid, 1) == ["–", "–", "–", "–", "12.5", "–", "–", "–"]
    assert line(grid, 3) == ["50.0", "–", "–", "–", "–", "–", "–", "25.0"]
    assert grid.rows[4].kind == "paper" and len(grid.rows) == 4 + 9
    assert referring(runs[3:]) is None
    others = masks_and_words(runs)
    assert others is not None and others.rows[0].name == "refcoco · google:val · direct"


def test_a_second_run_of_the_same_split_gets_its_own_line(make_run: MakeRun) -> None:
    about = {"benchmark": "refcoco", "split": "val"}
    runs = [read(make_run(name, run=about, masks=masks(ciou=ciou))) for name, ciou in (("a", 0.5), ("b", 0.25))]
    grid = referring(runs)
    assert grid is not None
    assert [line(grid, place)[0] for place in (1, 2)] == ["50.0", "25.0"]


def test_table_4_shows_the_judge_beside_the_paper(make_run: MakeRun) -> None:
    folder = make_run()
    assert reasoning([read(folder)]) == []
    scores = {"PR": {"value": 3.125, "low": 3.0, "high": 3.25}, "LC": {"value": None, "low": None, "high": None}}
    about = {"format": "miras-judge", "version": 1, "judge": "a-judge", "repeats": 5, "model": "nano", "dialogues": []}
    answers = hashlib.sha256((folder / "predictions.jsonl").read_bytes()).hexdigest()
    write_json(folder / "judge.json", {**about, "scores": scores, "predictions_sha256": answers})
    grid, experts = reasoning([read(folder, "fine-tuned")])
    own = next(place for place, row in enumerate(grid.rows) if row.kind == "own")
    assert line(grid, own) == ["3.12 [3.00, 3.25]", "–", "–", "–", "–"]
    assert grid.notes[0] == "nano on halves · val · talk: judged by a-judge, each conversation 5 times."
    assert next(row.name for row in grid.rows if row.kind == "paper") == "Human"
    assert [row.name for row in experts.rows] == ["Expert 1", "Expert 2", "Expert 3", "Human"]
    write_json(folder / "judge.json", {**about, "scores": scores, "predictions_sha256": "of others"})
    with pytest.raises(DataError, match="is about other answers than"):
        read(folder)


def test_people_stand_in_tables_4_and_10(tmp_path: Path) -> None:
    def row(pr: float, **more: Any) -> dict[str, Any]:
        return {"PR": {"value": pr, "low": None, "high": None}, "LC": {"value": None}, **more}

    path = tmp_path / "people.json"
    model = row(3.0, name="nano", win_rate={"value": 0.25, "low": 0.125, "high": 0.5})
    path.write_text(
        json.dumps(
            {
                "judge": "a-judge",
                "conversations": 40,
                "experts": [row(4.0, name="A")],
                "human": row(4.25),
                "models": [model],
            }
        )
    )
    grid, experts = reasoning([], read_people(path))
    assert grid.notes[0] == "Beside people: judged by a-judge."
    assert headings(grid)[0] == ("40 conversations that people answered too", "other data")
    assert [row.name for row in grid.rows if row.kind == "own"] == ["Human", "nano"]
    assert line(grid, 1) == ["4.25", "–", "–", "–", "–"]
    assert line(grid, 2) == ["3.00", "–", "–", "–", "25.0 [12.5, 50.0]"]
    assert [(row.name, row.kind) for row in experts.rows][:3] == [("A", "own"), ("Human", "own"), ("Expert 1", "paper")]
    path.write_text("{}")
    with pytest.raises(DataError, match="holds no lists of experts and models"):
        read_people(path)


def test_table_6_shows_what_each_part_brings(trials: Path) -> None:
    found = read_folder(trials)
    assert isinstance(found, Ablation)
    grid = ablation_table(found)
    # Student's t with one degree of freedom: 12.706 standard errors of 0.01
    assert line(grid, 0) == ["70.0 [57.3, 82.7]", "", "50.0 [50.0, 50.0]", "", "2", "", ""]
    # the change is against the run from the same seed, not against the mean
    assert line(grid, 1) == ["66.0", "−3.0", "50.0", "+0.0", "1", "", ""]
    assert line(grid, 2) == ["", "", "", "", "", "73.2", "71.9"] and grid.rows[2].kind == "paper"
    assert "trained from the preset nano" in grid.notes[0]
    (trials / "ablation.json").write_text('{"table": []}')
    with pytest.raises(DataError, match=r"ablation.json should say .*miras-ablation"):
        read_folder(trials)


def test_strata_stand_in_their_own_order(make_run: MakeRun) -> None:
    groups: dict[str, Any] = {
        "by_turn": {"10": {"n": 1}, "2": {"n": 5}},
        "by_category": {f"c{n}": {"n": n, "giou": 0.5} for n in range(30)},
    }
    grids = strata(read(make_run(masks=masks(**groups))), "run1")
    names = {grid.name: [row.name for row in grid.rows] for grid in grids}
    assert list(names) == ["run1-by_size", "run1-by_turn", "run1-by_category"]
    assert names["run1-by_size"] == ["fine", "coarse"] and names["run1-by_turn"] == ["2", "10"]
    assert names["run1-by_category"][:2] == ["c29", "c28"] and grids[2].folded == 20
    assert line(grids[2], 0) == ["29", "50.0", "–", "–", "–", "–", "–"]


def test_every_figure_shows_what_nobody_expected(make_run: MakeRun) -> None:
    odd = masks(conventions={"table_3": {"f1": {"harmonic": 0.71}}}, odd={"deep": 4})
    run = read(make_run(masks=odd, text={"n": 5, "BERTScore[a model]": None, "tools": {"bleu_4": "sacrebleu"}}))
    rows = every_figure(run, "run1").rows
    cells = {row.name: text(row.cells[0]) for row in rows if row.cells}
    assert cells["odd deep"] == "4" and cells["by the convention of table 3 F1 harmonic"] == "71.0"
    assert next(row.cells for row in rows if row.name == "tools BLEU-4") == ("sacrebleu",)
    assert cells["BERTScore[a model]"] == "–"
    parts = ["Masks", "Replies", "Words, all turns", "Words, last turn left out"]
    assert [row.name for row in rows if not row.cells] == parts


def test_what_is_no_number_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match=r"figures.json: masks.ciou should be a number or null, got 'much'"):
        masks_and_words([read(make_run(masks=masks(ciou="much")))])
    with pytest.raises(DataError, match=r"intervals.masks.giou should be two numbers or null, got \[1\]"):
        masks_and_words([read(make_run("b", intervals={"level": 0.95, "replicates": 5, "masks": {"giou": [1]}}))])


def test_confidence_is_held_against_the_iou(make_run: MakeRun) -> None:
    run = read(make_run(half=True))
    grid = calibration(run.outcomes, str(run.folder), "run1")
    assert grid is not None
    assert line(grid, 2) == ["1", "0.500", "1.000", "100.0"]  # the plate: 0.5 sure, wholly right
    assert line(grid, 4) == ["1", "1.000", "0.500", "100.0"]  # the cat: wholly sure, half right
    assert line(grid, 0) == ["0", "–", "–", "–"]
    assert "0.500 apart" in grid.notes[0] and "1 masks came without" in grid.notes[1]
    assert calibration((), "", "run1") is None
