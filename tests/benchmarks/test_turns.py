"""The benchmark of turns runs, and its last line says what it found."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "turns.py"


@pytest.fixture(scope="module")
def turns() -> ModuleType:
    spec = importlib.util.spec_from_file_location("turns", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_last_line_holds_the_ratio(turns: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    turns.main(["--model", "tiny", "--rounds", "1"])
    *table, last = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(last)
    assert figures["peer"] == "the same turns computed from nothing" and figures["turns"] == "2 to 8"
    assert figures["ratio"] == pytest.approx(figures["kept_seconds"] / figures["from_nothing_seconds"], abs=1e-2)
    assert "random" in figures["model"] and len(table) == 2 + 8


def test_sides_that_differ_are_noticed(turns: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = turns._model("tiny")
    monkeypatch.setattr(turns, "TOLERANCE", 0.0)
    with pytest.raises(AssertionError, match="apart"):
        turns.measure(model, np.zeros((40, 60, 3), dtype=np.uint8))
