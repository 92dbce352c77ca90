"""Folders of runs that can be checked by hand: two cases of 4 x 4 pixels, scored, some figures then written anew."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.written import HEAD, answer_lines, case_lines, drawn, write_lines

from miras.ablate.table import Result, rows_of
from miras.evaluate.score import score_run
from miras.files import write_json

MakeRun = Callable[..., Path]

CORNER = drawn("##..", "##..", "....", "....")


def masks(n: int = 3, **changes: Any) -> dict[str, Any]:
    """The mask figures of a run."""
    figures = {"n": n, "giou": 0.58625, "ciou": 0.25, "precision_micro": 0.5, "recall_micro": None, "f1_micro": 0.75}
    return {**figures, "prec_at": {"0.5": 2 / 3}, "by_size": {"coarse": {"n": 1}, "fine": {"n": 2}}, **changes}


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes the folder of a scored run; `run` changes what the figures say of it, other names whole parts of them.

    With `half` the answer of the case `cat` marks half of its target; `plain` leaves the figures as they were scored.
    """

    def make(
        name: str = "one",
        *,
        half: bool = False,
        plain: bool = False,
        run: Mapping[str, Any] | None = None,
        **parts: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        images = tmp_path / "photos"
        images.mkdir(exist_ok=True)
        for image in ("a.png", "b.png"):
            Image.new("RGB", (4, 4), (90, 90, 90)).save(images / image)
        lines = case_lines()
        lines[0]["images"] = str(images)
        write_lines(folder / "cases.jsonl", lines)
        answers = answer_lines()
        answers[0] = {**HEAD, "model": "nano", "images": "photos", "weights_sha256": "abc"}
        if half:
            answers[2]["turns"][1]["masks"][0]["mask"] = CORNER
        write_lines(folder / "predictions.jsonl", answers)
        figures = score_run(folder, replicates=5)
        figures["run"].update({"command": "miras evaluate predict", **(run or {})})
        text = {**figures["text"], "bleu_4": 0.085, "dist_1": 0.1, "dist_2": 0.2, "rouge_l": None, "meteor": None}
        bounds = {"level": 0.95, "replicates": 1000, "seed": 0, "masks": {"giou": [0.5, 0.61]}}
        figures.update({} if plain else {"masks": masks(), "text": text, "intervals": bounds, **parts})
        if not figures["masks"]:
            (folder / "targets.jsonl").write_text("")
        (folder / "figures.json").write_text(json.dumps(figures))
        return folder

    return make


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    """A folder of trials: the whole model from two seeds, and one without a part from one of them."""
    reached = (("whole", 0, 0.69, 0.5), ("whole", 1, 0.71, 0.5), ("w/o alignment", 0, 0.66, 0.5))
    found = [Result(name, name, seed, {"ciou": ciou, "giou": giou}, {}) for name, seed, ciou, giou in reached]
    about = {"format": "miras-ablation", "version": 1, "plan": {"preset": "nano"}, "command": "miras ablate nano"}
    (tmp_path / "trials").mkdir()
    write_json(tmp_path / "trials" / "ablation.json", {**about, "table": rows_of(found)})
    return tmp_path / "trials"
