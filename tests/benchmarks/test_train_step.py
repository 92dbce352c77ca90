"""The benchmark of training steps runs, its last line says what it found, and it times nothing that differs."""

import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from miras.types import Batch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def train_step() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_step", ROOT / "benchmarks" / "train_step.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arguments(shapes: Path, tmp_path: Path) -> list[str]:
    """Both stages of the tiny preset, from its configuration."""
    tiny = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    tiny |= {"images": 2, "image_size": 64, "targets": 3, "sequence_tokens": 5000, "cutouts": None}
    mask_path = {name: tiny["parts"][name] for name in ("mask_projector", "alignment", "mask_decoder", "pyramid")}
    first = tiny | {"text": "cached", "sources": {"photos": 1}, "parts": mask_path}
    second = tiny | {"sources": {"dialogues": 1}, "dialogues": {"chat": 1}}
    paths = [tmp_path / "stage1.yaml", tmp_path / "stage2.yaml"]
    for path, config in zip(paths, (first, second), strict=True):
        path.write_text(yaml.safe_dump(config))
    given = ["--model", "tiny", "--data", str(shapes), "--rounds", "1", "--batches", "1"]
    return ["--configs", *map(str, paths), *given]


def test_the_last_line_holds_both_ratios(
    train_step: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.perf_counter()
    train_step.main(arguments)
    took = time.perf_counter() - began
    *table, last = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(last)
    first, second = figures["stage1"], figures["stage2"]
    assert figures["ratio_stage1"] == first["ratio_ours"][0] and figures["ratio_stage2"] == second["ratio_ours"][0]
    for own in (first, second):
        assert own["ratio_ours"][0] == pytest.approx(own["ours_per_second"] / own["theirs_per_second"], rel=1e-2)
        assert 0 < own["queries"] / own["theirs_per_second"] + own["queries"] / own["ours_per_second"] < took
        assert own["gradients_ours"] < 1e-4
    # each of two photos with two things: a request for each, and in stage 2 a chat before them
    assert (first["queries"], first["images"], first["targets"]) == (4, 2, 4)
    assert (second["queries"], second["images"], second["targets"]) == (6, 2, 4)
    assert second["tokens"] <= second["tokens_theirs"]
    assert second["gradients_exact"] < 1e-5 and 0 < second["gradients_cached"] < 0.1
    assert len(table) == 3 + 5


@pytest.mark.parametrize("scheme", ["by_query", "by_request"])
def test_sides_that_differ_are_noticed(
    train_step: ModuleType, arguments: list[str], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    theirs = getattr(train_step, scheme)

    def spoilt(model: Any, batch: Batch) -> Any:
        batch = batch.to("cpu")
        batch.low, batch.high = torch.zeros_like(batch.low), torch.zeros_like(batch.high)
        return theirs(model, batch)

    monkeypatch.setattr(train_step, scheme, spoilt)
    with pytest.raises(AssertionError, match=r"gradients of ours are \S+ apart"):
        train_step.main(arguments)
