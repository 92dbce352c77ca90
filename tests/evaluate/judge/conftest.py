"""Runs of hand-made conversations, folders as an evaluation leaves them, and the words to judge them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.judge.judges import Rounds, questions_of
from tests.evaluate.written import HEAD, write_lines
from tests.llm.loopback import Loopback
from typer.testing import CliRunner

from miras.cli import app
from miras.data.prist import load
from miras.evaluate.judge.talks import as_read

Talks = dict[str, Rounds]
MakeRun = Callable[..., Path]

THINGS = ("kettle", "window", "ladder", "violin", "basket", "lantern", "trumpet", "saddle", "anchor", "compass")


def hand_made(count: int) -> Talks:
    """So many different conversations of two to four rounds, without images."""
    found = {}
    for index in range(count):
        thing = THINGS[index % len(THINGS)]
        rounds = [
            (f"What is it that stands at place {index}?", f"A {thing} stands there."),
            (f"What is the {thing} at place {index} good for?", f"The {thing} helps in {index} ways."),
            (f"Why would one want {index} of it?", f"One {thing} alone would not do."),
        ][: 1 + index % 3]
        found[f"talk {index}"] = [*rounds, (f"Mark number {index}.", f"It is [OBJ]{thing}[SEG].")]
    return found


def prist_talks(path: Path, count: int) -> Talks:
    """The first conversations of a PRIST file, those left out whose questions are those of one before."""
    found: Talks = {}
    for index, dialogue in enumerate(load(path)):
        rounds = list(zip(dialogue.questions, dialogue.answers, strict=True))
        if len(found) < count and questions_of(rounds) not in {questions_of(one) for one in found.values()}:
            found[f"prist {index}"] = rounds
    return found


def known(talks: Talks) -> dict[str, Rounds]:
    """What a judge knows that knows these conversations."""
    read = {name: [(as_read(q), as_read(a)) for q, a in rounds] for name, rounds in talks.items()}
    return {questions_of(rounds): rounds for rounds in read.values()}


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


def command(server: Loopback, *words: str | Path) -> list[str]:
    """`miras evaluate …` that asks this server."""
    given = ["--server", server.url, "--judge", "a judge", "--timeout", "20"]
    return ["evaluate", *map(str, words), *given]


def run_command(*words: str | Path, code: int = 0) -> str:
    """What the command says, which ends with that code."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.output


def judged(server: Loopback, run: Path, *more: str | Path) -> dict[str, Any]:
    """The report on a run by the judge behind the server."""
    run_command(*command(server, "judge", run, *more))
    report: dict[str, Any] = json.loads((run / "judge.json").read_text(encoding="utf-8"))
    return report
