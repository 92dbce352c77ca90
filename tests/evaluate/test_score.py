"""Scoring: hand-worked cases of 4 x 4 pixels, and answers that are right, missing, too many or spoken badly."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluate.written import LEFT, TOP, answer_lines, case_lines, drawn, write_lines

from miras.data.masks import decode
from miras.errors import DataError
from miras.evaluate.score import adopt_answers, score_run
from miras.evaluate.targets import read_targets


def scored(folder: Path, answers: list[Any], cases: list[Any] | None = None) -> dict[str, Any]:
    run = folder / "run"
    asked = write_lines(folder / "cases.jsonl", cases or case_lines())
    adopt_answers(write_lines(folder / "predictions.jsonl", answers), asked, run)
    figures = score_run(run, replicates=50)
    assert json.loads((run / "figures.json").read_text()) == json.loads(json.dumps(figures))
    return figures


def test_true_answers_are_perfect(tmp_path: Path) -> None:
    figures = scored(tmp_path, answer_lines())
    masks = figures["masks"]
    assert masks["n"] == 3 and masks["n_extra"] == 0
    assert all(masks[name] == 1 for name in ("giou", "ciou", "boundary_iou", "f1_micro", "f1_macro"))
    assert masks["by_turn"]["1"]["n"] == 2 and masks["by_turn"]["2"]["n"] == 1
    assert masks["by_category"]["animal"]["n"] == 1
    assert figures["intervals"]["masks"]["giou"] == (1.0, 1.0)
    assert figures["replies"]["marked_rate"] == 1 and figures["replies"]["false_seg_rate"] == 0
    assert figures["text_without_last"]["n"] == 1 and figures["text"]["n"] == 3
    assert figures["text_without_last"]["rouge_l"] == 1
    assert figures["run"]["model"] == "a model" and figures["run"]["benchmark"] == "halves"


def test_a_missing_mask_counts_as_an_empty_one(tmp_path: Path) -> None:
    lines = answer_lines()
    lines[2]["turns"][1]["masks"] = []
    masks = scored(tmp_path, lines)["masks"]
    # 8 + 8 pixels are right, 8 are missed
    assert masks["giou"] == pytest.approx(2 / 3) and masks["ciou"] == pytest.approx(16 / 24)
    assert masks["recall_micro"] == pytest.approx(16 / 24) and masks["precision_micro"] == 1


def test_a_mask_too_many_counts_as_a_target_that_is_empty(tmp_path: Path) -> None:
    lines = answer_lines()
    lines[1]["turns"][0]["masks"].append({"mask": drawn("....", "....", "....", "...#")})
    figures = scored(tmp_path, lines)
    masks = figures["masks"]
    assert (masks["n"], masks["n_extra"]) == (4, 1)
    assert masks["giou"] == pytest.approx(3 / 4) and masks["ciou"] == pytest.approx(24 / 25)
    assert masks["by_size"]["unasked"]["n"] == 1
    kept = read_targets(tmp_path / "run" / "targets.jsonl")
    assert [(one.id, one.turn, one.index, one.predicted) for one in kept] == [
        ("cat", 1, 0, 0), ("both", 0, 0, 1), ("both", 0, 1, 0), ("both", 0, None, 2),
    ]  # fmt: skip
    assert kept[3].extra and kept[3].pixels == (0, 1, 0, 15)


def test_overlap_is_that_of_the_drawn_masks(tmp_path: Path) -> None:
    lines = answer_lines()
    lines[2]["turns"][1]["masks"][0]["mask"] = TOP
    met = scored(tmp_path, lines)["masks"]
    left, top = decode(LEFT), decode(TOP)
    iou = np.logical_and(left, top).sum() / np.logical_or(left, top).sum()
    assert met["giou"] == pytest.approx((2 + iou) / 3)


def test_ignored_pixels_count_for_nobody(tmp_path: Path) -> None:
    cases, lines = case_lines(), answer_lines()
    cases[1]["turns"][1]["targets"][0]["ignore"] = drawn("....", "....", "####", "####")
    lines[2]["turns"][1]["masks"][0]["mask"] = drawn("###.", "##..", "####", "....")
    scored(tmp_path, lines, cases)
    first = read_targets(tmp_path / "run" / "targets.jsonl")[0]
    assert first.pixels == (4, 1, 0, 11), "of the upper half four are right and one is too much"


def test_unknown_masks_are_left_out(tmp_path: Path) -> None:
    cases = case_lines()
    cases[1]["turns"][1]["targets"][0]["mask"] = None
    cases[2]["turns"][0]["targets"][1]["mask"] = None
    figures = scored(tmp_path, answer_lines(), cases)
    assert figures["masks"] is None and figures["intervals"]["masks"] is None
    assert figures["replies"]["marked_rate"] == 1
    assert (tmp_path / "run" / "targets.jsonl").read_text() == ""


def test_texts_are_scored_as_people_read_them(tmp_path: Path) -> None:
    lines = answer_lines()
    lines[2]["turns"][1]["text"] = "It is cat."  # the special tokens are no words
    lines[2]["turns"][0]["text"] = ""
    figures = scored(tmp_path, lines)
    assert figures["text_without_last"]["rouge_l"] == 0 and figures["text_without_last"]["empty"] == 1
    assert figures["text"]["rouge_l"] == pytest.approx((0 + 1 + 2 / 3) / 3, abs=0.2)
    assert figures["text"]["tools"]["bleu_4"].startswith("sacrebleu|nrefs:1")


def test_the_last_replies_of_a_box_are_no_words(tmp_path: Path) -> None:
    lines = answer_lines()
    lines[0] = {**lines[0], "text_turns": "without_last"}
    figures = scored(tmp_path, lines)
    assert figures["text"] is None and figures["text_without_last"]["n"] == 1


def test_the_order_of_lines_changes_nothing(tmp_path: Path) -> None:
    head, *rest = answer_lines()
    one = scored(tmp_path, [head, *rest])
    (tmp_path / "again").mkdir()
    two = scored(tmp_path / "again", [head, *reversed(rest)])
    for figures in (one, two):
        del figures["run"]["predictions_sha256"]
    assert one == two


def test_nothing_is_written_for_answers_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 4: the id 'both' comes a second time"):
        scored(tmp_path, [*answer_lines(), answer_lines()[1]])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"id": "a", "pixels": [1, 2]}'])
def test_scored_targets_are_read_with_care(tmp_path: Path, line: str) -> None:
    scored(tmp_path, answer_lines())
    path = tmp_path / "run" / "targets.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match="line 4: not a scored target"):
        read_targets(path)
    with pytest.raises(DataError, match="no scored targets"):
        read_targets(tmp_path / "none.jsonl")
