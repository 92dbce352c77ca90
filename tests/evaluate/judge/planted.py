"""Conversations whose truth is known, and commands that let a server judge them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.evaluate.judge.judges import Rounds, questions_of
from tests.llm.loopback import Loopback
from typer.testing import CliRunner

from miras.cli import app
from miras.data.prist import load
from miras.evaluate.judge.talks import as_read

Talks = dict[str, Rounds]
MakeRun = Callable[..., Path]
"""The fixture `make_run`."""

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
