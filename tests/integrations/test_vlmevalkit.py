"""The dataset classes for VLMEvalKit, driven as its single-turn and multi-turn inference drive them."""

import inspect
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.evaluate.written import LEFT
from tests.integrations.stubs import ROOT, install_vlmeval, load_file

from miras.evaluate.cases import read_cases
from miras.evaluate.predictions import read_predictions


@pytest.fixture
def kit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    shutil.copy(folder / "direct.jsonl", folder / "MIRAS_Direct.jsonl")
    shutil.copy(folder / "dialogues.jsonl", folder / "MIRAS_Dialogues.jsonl")
    return install_vlmeval(monkeypatch, folder)


def test_one_question_at_a_time(kit: ModuleType, folder: Path, truth: dict[str, str]) -> None:
    data = kit.MirasDirect("MIRAS_Direct")
    image, text = data.build_prompt(0)
    assert image == {"type": "image", "value": str(folder / "images" / "b.png")}
    assert text == {"type": "text", "value": "Mark cup and plate."}
    table = data.data.assign(prediction=[truth["Mark cup and plate."]])
    table.to_csv(folder / "m_MIRAS_Direct.tsv", sep="\t", index=False)
    assert data.evaluate(str(folder / "m_MIRAS_Direct.tsv"), model="none") == {"giou": 1.0, "ciou": 1.0, "n": 2}
    read = read_predictions(folder / "m_MIRAS_Direct_predictions.jsonl", read_cases(folder / "direct.jsonl"))
    assert read.about["model"] == "m" and len(read[0].turns[0].masks) == 2


def chat_mt(messages: list[dict[str, Any]], truth: dict[str, str]) -> list[str]:
    """VLMEvalKit's loop over the turns: what the model said takes the place of what the messages hold."""
    assert len(messages) % 2 == 0
    stack, said = list[dict[str, Any]](), []
    for turn in range(len(messages) // 2):
        stack.append(messages[2 * turn])
        reply = truth[stack[-1]["content"][-1]["value"]]
        stack.append({"role": "assistant", "content": reply})
        said.append(reply)
    return said


def test_dialogues_turn_by_turn(kit: ModuleType, folder: Path, truth: dict[str, str]) -> None:
    data = kit.MirasDialogues("MIRAS_Dialogues")
    assert data.TYPE == "MT" and [len(eval(asked)) for asked in data.data["question"]] == [2, 1]
    prompts = [data.build_prompt(place) for place in range(len(data))]
    assert prompts[0][0]["content"][0] == {"type": "image", "value": str(folder / "images" / "a.png")}
    assert [part["type"] for part in prompts[0][2]["content"]] == ["text"]
    assert "It is" not in json.dumps(prompts), "no true answer is shown"
    said = [chat_mt(prompt, truth) for prompt in prompts]
    table = data.data.assign(
        **{f"prediction_{n}": [[*s, None][n] if len(s) > n else None for s in said] for n in (0, 1)}
    )
    table.to_csv(folder / "m_MIRAS_Dialogues.tsv", sep="\t", index=False)
    assert data.evaluate(str(folder / "m_MIRAS_Dialogues.tsv")) == {"giou": 1.0, "ciou": 1.0, "n": 3}
    read = read_predictions(folder / "m_MIRAS_Dialogues_predictions.jsonl", read_cases(folder / "dialogues.jsonl"))
    assert read.about["history"] == "own" and read[0].turns[0].text == "The cat."
    assert json.loads((folder / "m_MIRAS_Dialogues_score.json").read_text())["n"] == 3


def test_what_is_not_answered_marks_nothing(kit: ModuleType, folder: Path) -> None:
    data = kit.MirasDirect("MIRAS_Direct")
    half = f"<masks>{json.dumps([{'mask': LEFT}])}</masks>"
    data.data.assign(prediction=[half]).to_csv(folder / "m.tsv", sep="\t", index=False)
    assert data.evaluate(str(folder / "m.tsv")) == {"giou": 0.5, "ciou": 0.5, "n": 2}
    data.data.head(0).assign(prediction=[]).to_csv(folder / "m.tsv", sep="\t", index=False)
    assert data.evaluate(str(folder / "m.tsv")) == {"giou": 0.0, "ciou": 0.0, "n": 2}


def test_files_that_do_not_fit_are_named(kit: ModuleType, folder: Path) -> None:
    shutil.copy(folder / "dialogues.jsonl", folder / "MIRAS_Direct.jsonl")
    with pytest.raises(ValueError, match=r"a case of 2 turns; name the file MIRAS_Dialogues\.jsonl"):
        kit.MirasDirect("MIRAS_Direct")
    (folder / "MIRAS_Direct.jsonl").write_text('{"format": "other"}\n')
    with pytest.raises(ValueError, match="written by `miras evaluate cases`"):
        kit.MirasDirect("MIRAS_Direct")
    lines = (folder / "direct.jsonl").read_text().replace('"image": "b.png"', '"image": null')
    (folder / "MIRAS_Direct.jsonl").write_text(lines)
    with pytest.raises(ValueError, match="cases without image; write it again with --images"):
        kit.MirasDirect("MIRAS_Direct")
    assert kit.MirasDirect.supported_datasets() == ["MIRAS_Direct"]
    assert kit.MirasDialogues.supported_datasets() == ["MIRAS_Dialogues"]


def test_what_both_drop_in_files_hold_is_the_same(kit: ModuleType) -> None:
    other = load_file(ROOT / "lmms_eval" / "tasks" / "miras_cases" / "utils.py", "miras_cases_task")
    for name in ("parted", "_is_whole", "_packed", "_pixels"):
        assert inspect.getsource(getattr(kit, name)) == inspect.getsource(getattr(other, name)), name
