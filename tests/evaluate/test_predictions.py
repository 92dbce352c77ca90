"""Files of answers: read in the order of the cases, and refused by line where anything is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.written import HEAD, LEFT, TOP, answer_lines, case_lines, drawn, write_lines

from miras.errors import DataError
from miras.evaluate.cases import Cases, read_cases
from miras.evaluate.predictions import read_predictions


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    return read_cases(write_lines(tmp_path / "cases.jsonl", case_lines()))


def test_answers_come_in_the_order_of_the_cases(tmp_path: Path, cases: Cases) -> None:
    read = read_predictions(write_lines(tmp_path / "p.jsonl", answer_lines()), cases)
    assert [answered.id for answered in read] == ["cat", "both"]
    assert read.about["model"] == "a model"
    cat, both = read
    assert [said.text for said in cat.turns] == ["The cat.", "It is [OBJ]cat[SEG]."]
    assert [mark.mask for mark in both.turns[0].masks] == [TOP, LEFT]
    assert [mark.score for mark in both.turns[0].masks] == [0.5, None]
    assert both.turns[0].seconds == 0.5 and cat.turns[0].seconds is None


def test_there_and_back(tmp_path: Path, cases: Cases) -> None:
    read = read_predictions(write_lines(tmp_path / "p.jsonl", answer_lines()), cases)
    again = write_lines(tmp_path / "q.jsonl", [HEAD, *(answered.to_json() for answered in read)])
    assert read_predictions(again, cases).answered == read.answered


def _spoilt(change: Any) -> list[Any]:
    lines = answer_lines()
    change(lines)
    return lines


def _mask(lines: list[Any], mask: Any) -> None:
    lines[1]["turns"][0]["masks"][0]["mask"] = mask


def _turn(lines: list[Any], **changes: Any) -> None:
    lines[2]["turns"][1] |= changes


@pytest.mark.parametrize(
    ("change", "line", "complaint"),
    [
        (lambda lines: lines.append(lines[1]), 4, "the id 'both' comes a second time"),
        (lambda lines: lines.append({"id": "dog", "turns": []}), 4, "the cases hold no id 'dog'"),
        (lambda lines: lines[2].update(id=7), 3, "id should be a text"),
        (lambda lines: lines[2].update(turns=lines[2]["turns"][:1]), 3, "2 questions were asked, got 1 turns"),
        (
            lambda lines: _mask(lines, drawn("##", "..")),
            2,
            "should have the size of its image",
        ),
        (lambda lines: _mask(lines, {"size": [4, 4], "counts": LEFT["counts"][:-1]}), 2, "do not fill it"),
        (lambda lines: _mask(lines, {"size": [4, 4], "counts": "é"}), 2, "a mask has size"),
        (lambda lines: _mask(lines, {"size": [4, 4, 1], "counts": LEFT["counts"]}), 2, "a mask has size"),
        (lambda lines: _mask(lines, None), 2, "a mask has size"),
        (lambda lines: _turn(lines, text=None), 3, "text should be a text, got None"),
        (lambda lines: _turn(lines, masks={}), 3, "masks should be a list of objects"),
        (lambda lines: _turn(lines, seconds="fast"), 3, "seconds should be a number or null"),
        (lambda lines: _turn(lines, seconds=-1.0), 3, "seconds should lie in 0..inf"),
        (lambda lines: lines[2]["turns"][1]["masks"][0].update(score=1.5), 3, "score should lie in 0..1, got 1.5"),
        (lambda lines: lines[2]["turns"][1]["masks"][0].update(score=float("nan")), 3, "NaN is no number"),
        (lambda lines: lines[2]["turns"][1]["masks"][0].update(score=float("inf")), 3, "Infinity is no number"),
        (lambda lines: lines.__setitem__(2, json.dumps(lines[2])[:-1]), 3, "not a JSON object"),
        (lambda lines: lines.__setitem__(0, {**HEAD, "model": ""}), 1, "model should be a text"),
        (
            lambda lines: lines.__setitem__(0, {**HEAD, "history": "mine"}),
            1,
            "history should be one of own",
        ),
        (lambda lines: lines.__setitem__(0, {**HEAD, "cases_sha256": "0"}), 1, "answers to another file of cases"),
        (lambda lines: lines.pop(0), 1, "the file should begin with"),
    ],
)
def test_complaints_name_the_line(tmp_path: Path, cases: Cases, change: Any, line: int, complaint: str) -> None:
    path = write_lines(tmp_path / "p.jsonl", _spoilt(change))
    with pytest.raises(DataError, match=complaint) as caught:
        read_predictions(path, cases)
    assert str(caught.value).startswith(f"{path}, line {line}")


def test_every_case_is_answered(tmp_path: Path, cases: Cases) -> None:
    path = write_lines(tmp_path / "p.jsonl", answer_lines()[:2])
    with pytest.raises(DataError, match="1 of 2 cases are not answered, the first is 'cat'"):
        read_predictions(path, cases)
