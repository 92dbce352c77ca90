"""Runs as folders, as an evaluation leaves them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.judge.planted import MakeRun, Talks
from tests.evaluate.written import HEAD, write_lines


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run: conversations, and what a model said in each; without that, the true answers."""

    def make(
        name: str,
        talks: Talks,
        said: dict[str, Sequence[str]] | None = None,
        *,
        images: Path | None = None,
        image: str | None = None,
    ) -> Path:
        about: dict[str, Any] = {"format": "miras-cases", "version": 1, "benchmark": "talks", "images": None}
        if images is not None:
            about["images"] = str(images)
        (tmp_path / name).mkdir()
        cases: list[dict[str, Any]] = []
        answers: list[dict[str, Any]] = []
        for place, rounds in talks.items():
            turns = []
            for question, answer in rounds:
                targets = [{"phrase": "it", "mask": None}] * answer.count("[SEG]")
                turns.append({"question": question, "answer": answer, "targets": targets})
            cases.append({"id": place, "image": image, "focus": f"goal of {place}", "labels": {}, "turns": turns})
            texts = said[place] if said is not None else [answer for _, answer in rounds]
            answers.append({"id": place, "turns": [{"text": text, "masks": []} for text in texts]})
        write_lines(tmp_path / name / "cases.jsonl", [about, *cases])
        write_lines(tmp_path / name / "predictions.jsonl", [{**HEAD, "model": name}, *answers])
        return tmp_path / name

    return make
