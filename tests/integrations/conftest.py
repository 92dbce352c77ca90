"""Two files of cases with their images: one of single questions, one of a dialogue."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.written import case_lines, write_lines


def _lines(folder: Path, *places: int) -> list[dict[str, Any]]:
    lines = case_lines()
    return [{**lines[0], "images": str(folder / "images")}, *(lines[place] for place in places)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`dialogues.jsonl` holds cases of two turns and one, `direct.jsonl` the one of two targets in one turn."""
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4), "navy").save(tmp_path / "images" / name)
    write_lines(tmp_path / "dialogues.jsonl", _lines(tmp_path, 1, 2))
    write_lines(tmp_path / "direct.jsonl", _lines(tmp_path, 2))
    return tmp_path


@pytest.fixture
def truth(folder: Path) -> dict[str, str]:
    """The true reply to each question, its masks behind its text."""
    lines = map(json.loads, (folder / "dialogues.jsonl").read_text().splitlines()[1:])
    return {turn["question"]: marked(turn["answer"], turn["targets"]) for case in lines for turn in case["turns"]}


def marked(text: str, targets: Any) -> str:
    marks = [{"mask": target["mask"], "phrase": target["phrase"], "score": 1.0} for target in targets]
    return text + (f"<masks>{json.dumps(marks)}</masks>" if marks else "")
