"""What experts send back, made from what they were given."""

import json
from pathlib import Path
from typing import Any


def given(folder: Path, expert: int = 1) -> dict[str, Any]:
    """The data in an expert's page."""
    text = (folder / "send" / f"expert-{expert}.html").read_text(encoding="utf-8")
    data = text.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    found: dict[str, Any] = json.loads(data)
    return found


def filled(folder: Path, expert: int = 1, said: str = "Round {round} of {id}") -> list[dict[str, Any]]:
    """The lines that a page saves once an expert has answered everything."""
    page = given(folder, expert)
    answers = [
        {"id": one["id"], "answers": [said.format(round=n, id=one["id"]) for n in range(len(one["questions"]))]}
        for one in page["talks"]
    ]
    return [page["head"], *answers]


def saved(path: Path, lines: list[Any]) -> Path:
    """A file of answers; a text is written as it is."""
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines))
    return path
