"""The benchmark of training steps runs, its last line says what it found, and it times nothing that differs."""

import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

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
def arguments(shapes: Path) -> list[str]:
    settings = [
        "images=2",
        "image_size=64",
        "targets=3",
        "sequence_tokens=5000",
        "sources={dialogues: 1}",
        "dialogues={chat: 1}",
    ]
    config = str(ROOT / "configs" / "tiny.yaml")
    return [
        "--config",
        config,
        "--model",
        "tiny",
        "--data",
        str(shapes),
        "--rounds",
        "1",
        "--batches",
        "1",
        "--queries",
        "2",
        *settings,
    ]


def test_the_last_line_holds_both_ratios(
    train_step: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.perf_counter()
    train_step.main(arguments)
    took = time.perf_counter() - began
    *table, last = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(last)
    own, direct = figures["as_configured"], figures["direct"]
    assert figures["ratio"] == own["ratio"][0] and figures["ratio_cached"] == own["ratio_cached"][0]
    assert own["ratio"][0] == pytest.approx(own["ours_per_second"] / own["theirs_per_second"], rel=1e-2)
    assert 0 < own["queries"] / own["theirs_per_second"] + own["queries"] / own["ours_per_second"] < took
    # each of two photos with two things: a chat and a request for each, or the requests alone
    assert (own["queries"], own["images"], own["targets"]) == (6, 2, 4)
    assert (direct["queries"], direct["images"], direct["targets"]) == (4, 2, 4)
    assert own["tokens"] <= own["tokens_theirs"]
    assert max(own["gradients"], own["gradients_cached"]) < 1e-5 and 0 < own["gradients_bf16"] < 0.1
    assert len(table) == 2 * 6


def test_sides_that_differ_are_noticed(
    train_step: ModuleType, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_query = train_step.by_query

    def spoilt(model: Any, batch: Batch) -> Any:
        batch = batch.to("cpu")
        batch.low = torch.zeros_like(batch.low)
        return by_query(model, batch)

    monkeypatch.setattr(train_step, "by_query", spoilt)
    with pytest.raises(AssertionError, match=r"gradients are \S+ apart"):
        train_step.main(arguments)
