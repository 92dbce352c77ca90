"""The benchmark of conversations at once runs, and its last line says what it found."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "together.py"


@pytest.fixture(scope="module")
def together() -> ModuleType:
    spec = importlib.util.spec_from_file_location("together", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_last_line_holds_the_ratio(
    together: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "QUESTIONS", together.QUESTIONS[:2])
    together.main(["--model", "tiny", "--conversations", "2"])
    *table, last = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(last)
    assert figures["peer"] == "the same conversations one after another" and figures["conversations"] == 2
    assert table[2].split()[-1] == f"{figures['ratio']:.2f}" and "random" in figures["model"] and len(table) == 5


def test_answers_that_differ_are_noticed(together: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = together._model("tiny")
    sides: list[Any] = [together.Side((1.0, 1.0), ((said,),), 1.0) for said in ("one", "two")]
    monkeypatch.setattr(together, "_side", lambda *_, **__: sides.pop())
    with pytest.raises(AssertionError, match="differ"):
        together.measure(model, together.pictures(1))


def test_every_conversation_has_an_image_of_its_own(together: ModuleType) -> None:
    images = together.pictures(12)
    assert len({image.tobytes() for image in images}) == 12
