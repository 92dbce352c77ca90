"""The recipes of docs/peers.md, each run against a stand-in of its model: what it writes is read and right."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.integrations.llava_stubs import install_glamm, install_lisa, install_pixellm
from tests.integrations.peer_stubs import Truth, install_omg_llava, install_sa2va

from miras.data.masks import decode, encode
from miras.evaluate.cases import Case, Cases, read_cases, write_cases
from miras.evaluate.predictions import Predictions, read_predictions
from miras.types import Dialogue, Target, Turn

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "peers.md").read_text(encoding="utf-8")
SHARED, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
LEFT, TOP = np.zeros((4, 6), dtype=bool), np.zeros((4, 6), dtype=bool)
LEFT[:, :3], TOP[:2] = True, True
TRUTH: Truth = {
    "Who meows?": ("The cat.", LEFT),
    "Mark it.": ("It is {seg}.", LEFT),
    "And the lid?": ("Sure, {seg}.", TOP),
}
INSTALL: dict[str, Callable[[pytest.MonkeyPatch, Truth], Callable[[], list[str]]]] = {
    "LISA": install_lisa,
    "PixelLM": install_pixellm,
    "OMG-LLaVA": install_omg_llava,
    "GLaMM": install_glamm,
    "Sa2VA": install_sa2va,
}


def blocks(section: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


RECIPES = {section.split("\n", 1)[0]: blocks(section)[0] for section in SECTIONS}


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    """A dialogue that marks twice, and a single question, about an image that is wider than high."""
    Image.new("RGB", (6, 4), "navy").save(tmp_path / "a.png")
    turns = [
        Turn(role, text)  # type: ignore[arg-type]
        for question, (said, _) in TRUTH.items()
        for role, text in (("user", question), ("assistant", said.format(seg="[SEG]")))
    ]
    targets = (Target("cat", encode(LEFT)), Target("lid", encode(TOP)))
    talk = Case("talk", Dialogue(tuple(turns), targets, image="a.png"))
    direct = Case("direct", Dialogue(tuple(turns[2:4]), targets[:1], image="a.png"))
    write_cases(tmp_path / "cases.jsonl", {"benchmark": "two", "images": str(tmp_path)}, [talk, direct])
    return read_cases(tmp_path / "cases.jsonl")


@pytest.fixture
def run(tmp_path: Path, cases: Cases, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Predictions]:
    """Runs code as a script beside miras_cases.py, and reads what it wrote."""
    for name, code in zip(("miras_cases", "miras_llava"), blocks(SHARED), strict=True):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(name: str, *words: str) -> Predictions:
        out = tmp_path / "predictions.jsonl"
        monkeypatch.setattr(sys, "argv", [name, *words, str(tmp_path / "cases.jsonl"), str(out)])
        exec(compile(RECIPES[name], name, "exec"), {"__name__": "__main__"})
        return read_predictions(out, cases)

    return run


def test_every_peer_has_a_recipe_and_a_stand_in() -> None:
    assert list(RECIPES) == list(INSTALL)
    lengths = {name: code.count("\n") for name, code in RECIPES.items() if name != "OMG-LLaVA"}
    assert max(lengths.values()) <= 30, lengths


@pytest.mark.parametrize("name", INSTALL)
def test_a_recipe_writes_the_replies_and_their_own_masks(
    name: str, run: Callable[..., Predictions], cases: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = INSTALL[name](monkeypatch, TRUTH)
    read = run(name, *(["config.py"] if name == "OMG-LLaVA" else []), "weights")
    talk, direct = read
    assert [len(said.masks) for said in talk.turns] == [0, 1, 1] and len(direct.turns[0].masks) == 1
    assert np.array_equal(decode(talk.turns[1].masks[0].mask), LEFT)
    assert np.array_equal(decode(talk.turns[2].masks[0].mask), TOP), "the mask of an earlier turn was taken"
    seg = "".join(f"[SEG{place}]" for place in range(6)) if name == "PixelLM" else "[SEG]"
    assert [said.text for said in talk.turns] == ["The cat.", f"It is {seg}.", f"Sure, {seg}."]
    assert read.about["history"] == "own" and read.about["model"] == "weights"
    assert read.about["cases_sha256"] == cases.sha256
    first, _, last, alone = seen()
    assert "The cat." not in first and "The cat." in last and f"It is {seg}." in last and "Who meows?" not in alone


def _answers(tmp_path: Path, answer: Any, **options: Any) -> None:
    import miras_cases  # type: ignore[import-not-found]

    miras_cases.answer_all(str(tmp_path / "cases.jsonl"), str(tmp_path / "p.jsonl"), "m", answer, **options)


def test_without_history_each_question_stands_alone(
    run: Callable[..., Predictions], tmp_path: Path, cases: Cases
) -> None:
    talks: list[Any] = []

    def answer(path: str, talk: Any, question: str) -> tuple[str, list[np.ndarray]]:
        assert Path(path).is_file()
        talks.append(talk)
        return question, [LEFT, TOP]

    _answers(tmp_path, answer, history="none")
    assert talks == [[]] * 4
    read = read_predictions(tmp_path / "p.jsonl", cases)
    assert read.about["history"] == "none" and [len(said.masks) for said in read[0].turns] == [2, 2, 2]


def test_a_run_that_was_stopped_goes_on(run: Callable[..., Predictions], tmp_path: Path, cases: Cases) -> None:
    asked: list[str] = []

    def answer(path: str, talk: Any, question: str) -> tuple[str, list[np.ndarray]]:
        asked.append(question)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return "yes", []

    with pytest.raises(KeyboardInterrupt):
        _answers(tmp_path, answer)
    assert not (tmp_path / "p.jsonl").exists()
    with (tmp_path / "p.jsonl.part").open("a") as file:
        file.write('{"id": "direct", "tu')  # what a killed program may leave
    _answers(tmp_path, answer)
    assert asked[4:] == ["Mark it."]
    assert len(read_predictions(tmp_path / "p.jsonl", cases)) == 2
    assert not (tmp_path / "p.jsonl.part").exists()
    first = json.loads((tmp_path / "p.jsonl").read_text().splitlines()[0])
    assert first["format"] == "miras-predictions"
