"""An ablation of the tiny model from its plan to its table: trained, asked, scored, gone on with."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from miras.ablate import run as ablation
from miras.ablate.plan import Plan, read_plan
from miras.ablate.training import entries
from miras.evaluate.runs import ABLATION

PLAN = """
preset: tiny
stages:
  stage1:
    {text: cached, sources: {photos: 1}, targets: 2, image_size: 64, steps: 2, images: 2, warmup: 1, workers: 0,
     log_every: 1, parts: {mask_projector: 1.0e-3, mask_decoder: 1.0e-3}}
  stage2:
    {sources: {photos: 1}, targets: 1, image_size: 64, steps: 2, images: 2, warmup: 1, workers: 0,
     log_every: 1, parts: {lora: 1.0e-3, new_tokens: 1.0e-3}, sequence_tokens: 200}
variants:
  full: {title: whole}
  none: {title: w/o alignment, model: {alignment: none}}
  joint: {title: w/o stage 1, stages: {stage1: null}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    own = tmp_path / "plan.yaml"
    own.write_text(PLAN)
    return read_plan(str(own))


def _run(plan: Plan, out: Path, data: Path, seeds: int = 1) -> dict[str, Any]:
    more = {"data": str(data), "states": str(out / "states"), "val_targets": 0}
    ablation.run_ablation(plan, out, range(seeds), more, targets=2, console=Console(quiet=True))
    table: dict[str, Any] = json.loads((out / ABLATION).read_text())
    return table


def test_from_plan_to_table(plan: Plan, tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    table = _run(plan, out, shapes)
    assert [row["variant"] for row in table["table"]] == ["whole", "w/o alignment", "w/o stage 1"]
    for row in table["table"]:
        [run] = row["runs"]
        assert 0 <= run["ciou"] <= 1 and run["trained"]["stage2"]["steps"] == 2
    assert "stage1" not in table["table"][2]["runs"][0]["trained"]
    assert not list(out.glob("*/*/stage*")), "the checkpoints are gone"
    models = [json.loads((out / name / "seed0" / "model" / "config.json").read_text()) for name in ("full", "none")]
    assert [model["alignment"] for model in models] == ["full", "none"]

    def trains(*_: Any) -> None:
        raise AssertionError("nothing is trained a second time")

    with monkeypatch.context() as patch:
        patch.setattr("miras.ablate.training.run_training", trains)
        again = _run(plan, out, shapes)
    assert again["table"] == table["table"]


def test_processes_share_the_entries(plan: Plan, tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(ablation, "train_entry", lambda plan, entry, more, console: done.append(str(entry.folder)))
    monkeypatch.setattr(ablation, "_score", lambda entry, cases: None)
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        _run(plan, tmp_path, shapes, seeds=2)
    assert sorted(done) == sorted(str(entry.folder) for entry in entries(plan, range(2), tmp_path))
