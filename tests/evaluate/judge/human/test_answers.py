"""What people are given and what they give back: the same draw for all, nothing given away, every gap named."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.judge.human.returned import filled, given, saved
from tests.evaluate.judge.planted import MakeRun, hand_made, run_command

from miras.evaluate.cases import read_cases
from miras.evaluate.judge.human.export import export
from miras.evaluate.predictions import read_predictions


@pytest.fixture
def folder(make_run: MakeRun, tmp_path: Path) -> Path:
    """Four of ten conversations, given out to two experts."""
    run = make_run("true", hand_made(10))
    words = ("--cases", run / "cases.jsonl", "--out", tmp_path / "people", "--count", "4", "--experts", "2")
    said = run_command("evaluate", "human", "export", *words)
    assert "4 of them have no image" in said and "holds the true answers" in said
    return tmp_path / "people"


def test_all_get_the_same_drawn_conversations_and_no_answers(folder: Path, make_run: MakeRun, tmp_path: Path) -> None:
    first, second = given(folder, 1), given(folder, 2)
    assert first["talks"] == second["talks"] and first["head"]["expert"] == "expert 1"
    drawn = read_cases(folder / "cases.jsonl")
    assert [one["id"] for one in first["talks"]] == [case.id for case in drawn] and len(drawn) == 4
    assert drawn.sha256 == first["head"]["cases_sha256"]
    assert drawn.about["drawn_from_sha256"] == read_cases(tmp_path / "true" / "cases.jsonl").sha256
    text = (folder / "send" / "expert-1.html").read_text(encoding="utf-8")
    for case in drawn:
        for question, answer in zip(case.dialogue.questions, case.dialogue.answers, strict=True):
            assert question in text and answer not in text
        assert case.dialogue.focus and case.dialogue.focus not in text
    again = export(tmp_path / "true" / "cases.jsonl", tmp_path / "again", count=4)
    assert [talk.id for talk in again] == [case.id for case in drawn]
    other = export(tmp_path / "true" / "cases.jsonl", tmp_path / "other", count=4, seed=1)
    assert [talk.id for talk in other] != [case.id for case in drawn]


def test_images_stand_in_the_page_and_words_cannot_break_it(make_run: MakeRun, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "navy").save(tmp_path / "a.png")
    talks = {"x": [("Is </script><b> there?", "No."), ("Mark it.", "[SEG]")]}
    run = make_run("true", talks, images=tmp_path, image="a.png")
    export(run / "cases.jsonl", tmp_path / "people", count=1, experts=1)
    [talk] = given(tmp_path / "people")["talks"]
    assert talk["questions"][0] == "Is </script><b> there?" and talk["image"].startswith("data:image/jpeg;base64,")
    text = (tmp_path / "people" / "send" / "expert-1.html").read_text(encoding="utf-8")
    assert "http://" not in text and "https://" not in text  # nothing is fetched


def test_what_cannot_be_given_out_is_refused(make_run: MakeRun, tmp_path: Path, folder: Path) -> None:
    run = make_run("few", {**hand_made(3), "one round": [("Mark it.", "[SEG]")]})
    words = ("evaluate", "human", "export", "--cases", run / "cases.jsonl", "--count", "4")
    said = " ".join(run_command(*words, "--out", tmp_path / "new", code=2).split())
    assert "4 conversations of several rounds are wanted" in said and "has 3" in said
    assert not (tmp_path / "new").exists()
    assert "already holds something" in " ".join(run_command(*words, "--out", folder, code=2).split())


def test_answers_become_runs(folder: Path, tmp_path: Path) -> None:
    files = [saved(tmp_path / f"{n}.jsonl", filled(folder, n, f"Expert {n}: é, \n; {{round}}")) for n in (1, 2)]
    assert "expert 2: 4 of 4" in run_command("evaluate", "human", "check", *files, "--folder", folder)
    run_command("evaluate", "human", "import", *files, "--folder", folder, "--out", tmp_path / "runs")
    for number in (1, 2):
        run = tmp_path / "runs" / f"expert-{number}"
        cases = read_cases(run / "cases.jsonl")
        answers = read_predictions(run / "predictions.jsonl", cases)
        assert answers.about["model"] == f"expert {number}" and cases.about["drawn_from_sha256"]
        assert [said.text for said in answers[0].turns][:2] == [f"Expert {number}: é, \n; {n}" for n in (0, 1)]
        assert not any(said.masks for answered in answers for said in answered.turns)


def _change(lines: list[Any], line: int, **changes: Any) -> list[Any]:
    return [*lines[: line - 1], {**lines[line - 1], **changes}, *lines[line:]]


@pytest.mark.parametrize(
    ("spoil", "line", "complaint"),
    [
        (lambda lines: lines[:-1], 0, "1 of 4 conversations are not answered: 'talk"),
        (lambda lines: _change(lines, 2, id="dog"), 2, "the id 'dog' was not asked"),
        (lambda lines: [*lines, lines[2]], 6, "comes a second time"),
        (lambda lines: _change(lines, 3, answers=lines[2]["answers"][:-1]), 3, "questions, "),
        (lambda lines: _change(lines, 3, answers=["  ", *lines[2]["answers"][1:]]), 3, "the answer to question 1"),
        (lambda lines: _change(lines, 4, answers="Yes."), 4, "answers should be a list of texts, got 'Yes.'"),
        (lambda lines: _change(lines, 4, answers=[None, "a"]), 4, "answers should be a list of texts"),
    ],
)
def test_gaps_are_named(folder: Path, tmp_path: Path, spoil: Any, line: int, complaint: str) -> None:
    path = saved(tmp_path / "1.jsonl", spoil(filled(folder)))
    said = run_command("evaluate", "human", "check", path, "--folder", folder, code=1)
    begin = f"{path}, line {line}: " if line else f"{path}: "
    assert [one for one in said.splitlines() if one.startswith(begin) and complaint in one]
    assert ("4 of 4" in said) == (line == 6)
    refused = run_command("evaluate", "human", "import", path, "--folder", folder, "--out", tmp_path / "runs", code=2)
    assert "line" in refused or "not answered" in refused
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda lines: _change(lines, 1, cases_sha256="0"), "line 1: these are answers to other conversations"),
        (lambda lines: _change(lines, 1, format="x"), "line 1: the file should begin with"),
        (lambda lines: [lines[0], json.dumps(lines[1])[:-2]], "line 2: not a JSON object"),
        (lambda lines: [], "is empty"),
    ],
)
def test_what_is_no_such_file_is_refused(folder: Path, tmp_path: Path, spoil: Any, complaint: str) -> None:
    path = saved(tmp_path / "1.jsonl", spoil(filled(folder)))
    assert complaint in " ".join(run_command("evaluate", "human", "check", path, "--folder", folder, code=2).split())


def test_one_expert_counts_once(folder: Path, tmp_path: Path) -> None:
    files = [saved(tmp_path / f"{n}.jsonl", filled(folder, 1)) for n in (1, 2)]
    said = run_command("evaluate", "human", "import", *files, "--folder", folder, "--out", tmp_path / "runs", code=2)
    assert "two files are of one expert" in " ".join(said.split())
