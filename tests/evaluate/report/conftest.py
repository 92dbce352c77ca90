"""Folders of runs that can be checked by hand: two cases of 4 x 4 pixels, their figures written out."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.written import answer_lines, case_lines, drawn, write_lines

MakeRun = Callable[..., Path]

CORNER = drawn("##..", "##..", "....", "....")


def outcome(name: str, turn: int, index: int | None, *counts: int, predicted: int | None = 0) -> dict[str, Any]:
    """A line of targets.jsonl; counts are tp, fp and fn."""
    tp, fp, fn = counts
    iou = tp / (tp + fp + fn) if tp + fp + fn else 1.0
    about = {"id": name, "turn": turn, "index": index, "phrase": {0: "cup", 1: "plate"}.get(index or 0, "it")}
    if name == "cat":
        about["phrase"] = "cat"
    return {**about, "predicted": predicted, "tp": tp, "fp": fp, "fn": fn, "iou": iou, "size": "coarse",
            "labels": {}, "extra": index is None}  # fmt: skip


def masks(n: int = 3, **changes: Any) -> dict[str, Any]:
    """The mask figures of a run."""
    figures = {"n": n, "giou": 0.58625, "ciou": 0.25, "precision_micro": 0.5, "recall_micro": None, "f1_micro": 0.75}
    return {**figures, "prec_at": {"0.5": 2 / 3}, "by_size": {"coarse": {"n": 1}, "fine": {"n": 2}}, **changes}


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a folder of a run; `run` changes what the figures say of it, other names whole parts of them."""

    def make(name: str = "one", *, half: bool = False, run: Mapping[str, Any] | None = None, **parts: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        images = tmp_path / "photos"
        images.mkdir(exist_ok=True)
        for image in ("a.png", "b.png"):
            Image.new("RGB", (4, 4), (90, 90, 90)).save(images / image)
        lines = case_lines()
        lines[0]["images"] = str(images)
        cases = write_lines(folder / "cases.jsonl", lines)
        answers = answer_lines()
        if half:
            answers[2]["turns"][1]["masks"][0]["mask"] = CORNER
        predictions = write_lines(folder / "predictions.jsonl", answers)
        cat = outcome("cat", 1, 0, 4, 0, 4) if half else outcome("cat", 1, 0, 8, 0, 0)
        both = [outcome("both", 0, 0, 8, 0, 0, predicted=1), outcome("both", 0, 1, 8, 0, 0)]
        write_lines(folder / "targets.jsonl", [cat, *both])
        said = {"model": "nano", "history": "own", "benchmark": "halves", "split": "val", "suite": "talk", "cases": 2,
                "images": "photos", "command": "miras evaluate predict", "weights_sha256": "abc", "setting": None,
                "cases_sha256": _sha(cases), "predictions_sha256": _sha(predictions)}  # fmt: skip
        text = {"turns": "all", "bleu4": 0.085, "dist_1": 0.1, "dist_2": 0.2, "bertscore": None}
        bounds = {"masks": {"giou": [0.5, 0.61]}, "level": 0.95, "unit": "image", "replicates": 1000}
        figures = {"format": "miras-figures", "version": 1, "run": {**said, **(run or {})}, "masks": masks(),
                   "conventions": {}, "replies": {"seg_rate": 1.0}, "text": text,
                   "intervals": bounds, **parts}  # fmt: skip
        (folder / "figures.json").write_text(json.dumps(figures))
        return folder

    return make


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    """A folder of trials: the whole model, and one without a part that has no interval."""
    folder = tmp_path / "trials"
    folder.mkdir()
    table = [
        {"variant": "whole", "runs": [{"seed": 0}, {"seed": 1}], "mean": {"ciou": 0.7, "giou": 0.5},
         "interval": {"ciou": [0.69, 0.71]}},
        {"variant": "w/o alignment", "runs": None, "mean": {"ciou": 0.66, "giou": None}},
    ]  # fmt: skip
    content = {"table": table, "budget": {"steps": 200}, "command": "miras ablate nano"}
    (folder / "ablation.json").write_text(json.dumps(content))
    return folder


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
