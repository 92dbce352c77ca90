"""A stand-in for a general model, which names a box where one is asked for, and runs of the command against it."""

from pathlib import Path
from typing import Any

from tests.llm.loopback import Loopback
from typer.testing import CliRunner

from miras.cli import app
from miras.evaluate.cases import read_cases
from miras.evaluate.predictions import Predictions, read_predictions

__all__ = ["answers_of", "command", "reply", "run", "words"]


def reply(request: dict[str, Any]) -> str:
    """The content of a reply to a request, the same every time."""
    asked = words(request["messages"][-1])
    if "<box>" in asked:
        return f"<box>(0, 0), ({1 + len(asked) % 7}, 5)</box> "
    return f"I was asked {len(request['messages'])} things."


def words(message: dict[str, Any]) -> str:
    """The text of a message, whose content may be in parts."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def command(server: Loopback, cases: Path, out: Path, *more: str) -> list[str]:
    """The words of the command."""
    given = {"--cases": str(cases), "--server": server.url, "--out": str(out), "--timeout": "20"}
    return ["evaluate", "baseline", "boxer", *(word for pair in given.items() for word in pair), *more]


def run(*words: str) -> str:
    """What the command prints when it ends well."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def answers_of(cases: Path, out: Path) -> Predictions:
    """The predictions of a run over these cases."""
    assert (out / "cases.jsonl").read_bytes() == cases.read_bytes()
    return read_predictions(out / "predictions.jsonl", read_cases(out / "cases.jsonl"))
