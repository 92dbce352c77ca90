"""The commands of docs/annotate.md, run as they stand there, with people who draw in between."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.annotate.conftest import block
from tests.annotate.drawing import mark
from typer.testing import CliRunner

from miras.annotate.plan import Record, items, label, read_plan
from miras.cli import app
from miras.data.masks import encode
from miras.data.prist import load

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "annotate.md"
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda line: CliRunner().invoke(app, shlex.split(line))


def commands() -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for text in blocks for line in text.splitlines()]
    return [line.removeprefix(".venv/bin/miras ") for line in lines if line.startswith(".venv/bin/miras ")]


@pytest.fixture
def given(records: list[Record], images: Path, tmp_path: Path) -> list[Record]:
    """`records.json` about three images, and `gold.json` with 20 targets."""
    more = [{**records[0], "img_id": "c.png", "focus": f"cup {n}"} for n in range(20)]
    (images / "c.png").write_bytes((images / "a.png").read_bytes())
    gold = [{**record, "mask": encode(block(2, 2))} for record in more]
    for name, rows in (("records.json", [*records, more[0]]), ("gold.json", gold)):
        (tmp_path / name).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return gold


def test_the_walk_through_runs_as_written(run: Run, given: list[Record], tmp_path: Path) -> None:
    lines = commands()
    names = [line.split()[1] for line in lines]
    assert names == [
        "trial", "qualify", "export", "agree", "adjudicate", "hand-on", "adjudicate", "hand-on", "adjudicate",
    ]  # fmt: skip
    said = []
    for step, line in enumerate(lines):
        done = run(line)
        assert done.exit_code == (names[step] == "agree"), f"{line}: {done.output}"
        said.append(done.output)
        draw_after(step, tmp_path, given)
    assert "ann: 20 of 20 targets right (100.0%), mean IoU 1.000: passed" in said[1]
    assert re.search(r"^Gates( +passed| +not passed){3}$", said[3], re.MULTILINE)
    assert "4 of 5 records are settled" in said[4] and "1 things need a person" in said[4]
    assert re.search(r"^g\d-c: 1 images in work/tasks/g\d-c$", said[5], re.MULTILINE)
    assert "5 of 5 records are settled" in said[6] and "1 new lines in the audit trail" in said[6]
    assert "reviewer: 3 images in" in said[7]
    assert "0 things need a person" in said[8] and "0 new lines" in said[8]
    assert len(load(tmp_path / "work" / "settled.json")) == 5


def draw_after(step: int, folder: Path, gold: list[Record]) -> None:
    """The candidates draw well; one annotator draws the red cup elsewhere, and the resolver does too."""
    if step == 0:
        for person in ("ann", "bob"):
            drawn = {label(record["focus"]): block(2, 2) for record in gold}
            mark(folder / "trial" / "tasks" / person, "c.png", drawn)
    if step not in (2, 5):
        return
    tasks = folder / "work" / "tasks"
    wanted = items(json.loads((folder / "work" / "records.json").read_text(encoding="utf-8")))
    for group in read_plan(folder / "work").groups:
        for image in group.images:
            masks = {at.label: block(1, 1) for at in wanted if at.image == image}
            moved = {name: block(7, 7) if name == "red cup" else mask for name, mask in masks.items()}
            if step == 2:
                mark(tasks / group.annotators[0], image, masks)
                mark(tasks / group.annotators[1], image, moved)
            elif "red cup" in masks:
                mark(tasks / group.resolver, image, {"red cup": block(7, 7)})


def test_gates_and_misses_end_with_1(run: Run, given: list[Record], tmp_path: Path) -> None:
    assert run("annotate export records.json work --images images --groups 1").exit_code == 0
    done = run("annotate agree work")
    assert done.exit_code == 1
    assert "g1-a, a.png: no shape is labelled 'blue cup'; draw it, or" in done.output
    done = run("annotate adjudicate work")
    assert done.exit_code == 0 and "0 of 5 records are settled" in done.output
    done = run("annotate hand-on work --to resolver")
    assert "g1-c: 3 images in work/tasks/g1-c" in done.output
    assert run("annotate trial gold.json trial --images images --people ann").exit_code == 0
    done = run("annotate qualify trial")
    assert done.exit_code == 1 and "ann: 0 of 20 targets right" in done.output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("annotate agree none", "no plan.json in none; give the folder"),
        ("annotate hand-on none --to nobody", "handed on to one of resolver and reviewer, got nobody"),
        ("annotate export records.json images --images images", "should be a new folder"),
        ("annotate export records.json out --images images --groups 4", "groups should be 1 to 3"),
        ("annotate export records.json out --images images --people ann", "3 groups need 10 people"),
        ("annotate export records.json out --images none", "no image at none/a.png"),
        ("annotate trial records.json out --images images --people ann", "record 0 has no mask"),
        ("annotate qualify none", "no trial.json in none"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    line: str, message: str, run: Run, given: list[Record], tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = run(line)
    assert done.exit_code == 2
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
