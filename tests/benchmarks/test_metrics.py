"""The benchmark of mask figures runs, and its last line says what it found."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from miras.data.masks import decode
from miras.metrics.masks import counts

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "metrics.py"
NOWHERE = Path("no/such/folder")


@pytest.fixture(scope="module")
def metrics() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_benchmark", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_last_line_holds_the_ratios(metrics: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--targets", "40", "--side", "64", "--subset", "20", "--rounds", "1"]
    metrics.main([*sizes, "--photos", str(NOWHERE)])
    *table, last = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(last)
    assert figures["ratio"] == pytest.approx(figures["torchmetrics_us"] / figures["ours_us"], rel=0.05)
    assert figures["ratio_pycocotools"] == pytest.approx(figures["pycocotools_us"] / figures["ours_us"], rel=0.05)
    assert (figures["masks"], figures["targets"], figures["side"]) == ("drawn", 40, 64)
    assert 0 <= figures["extra_mb"] < 200 and len(table) == 7


def test_pairs_are_of_every_kind_and_the_same_every_time(metrics: ModuleType) -> None:
    pairs = metrics.pairs_of(NOWHERE, 300, 64)
    assert pairs == metrics.pairs_of(NOWHERE, 300, 64)
    predicted = [one for one, _ in pairs]
    assert any(one is None for one in predicted)
    assert any(one is not None and not decode(one).any() for one in predicted)
    ious = [counts(*pair).iou for pair in pairs]
    assert 0.3 < np.mean(ious) < 0.95 and min(ious) == 0


def test_sides_that_differ_are_noticed(metrics: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = metrics.with_torchmetrics
    monkeypatch.setattr(metrics, "with_torchmetrics", lambda pairs: usual(pairs) | {"giou": 0.5})
    with pytest.raises(AssertionError, match="giou"):
        metrics.main(["--targets", "9", "--side", "32", "--subset", "9", "--rounds", "1", "--photos", str(NOWHERE)])
