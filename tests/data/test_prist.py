"""PRIST files: the authors' file comes back byte for byte, and what breaks the format is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from miras.data.prist import dump, load, write
from miras.errors import DataError, DialogueError
from miras.types import Dialogue, Target, Turn


def turn(speaker: str, value: str) -> dict[str, Any]:
    return {"from": speaker, "value": value}


RECORD: dict[str, Any] = {
    "img_id": "a.jpg",
    "dialogue": [
        turn("human", "Which straße?"),
        turn("gpt", "The left one."),
        turn("human", "Mark it."),
        turn("gpt", "Sure, [SEG]."),
    ],
    "focus": "sign of the straße",
}


def file_of(tmp_path: Path, *records: Any) -> Path:
    path = tmp_path / "test.json"
    path.write_text(json.dumps(list(records), ensure_ascii=False, indent=4), encoding="utf-8")
    return path


def test_the_focus_becomes_the_name_of_the_target(tmp_path: Path) -> None:
    (dialogue,) = load(file_of(tmp_path, RECORD))
    assert dialogue.answers == ("The left one.", "Sure, [OBJ]sign of the straße[SEG].")
    assert dialogue.questions == ("Which straße?", "Mark it.")
    assert dialogue.targets == (Target("sign of the straße", mask=None),)
    assert (dialogue.image, dialogue.focus, dialogue.kind) == ("a.jpg", "sign of the straße", "prist")
    (bare,) = load(file_of(tmp_path, RECORD), named=False)
    assert bare.answers[-1] == "Sure, [SEG]."
    assert bare.targets == dialogue.targets


@pytest.mark.parametrize("named", [True, False])
def test_the_authors_file_round_trips_byte_for_byte(named: bool, shared_prist: Path) -> None:
    dialogues = load(shared_prist, named=named)
    assert len(dialogues) == 508
    assert dump(dialogues).encode() == shared_prist.read_bytes()
    assert all(dialogue.answers[-1].count("[OBJ]") == named for dialogue in dialogues)


def test_unknown_fields_are_kept(tmp_path: Path) -> None:
    extra = RECORD | {"split": "val", "id": 7}
    extra["dialogue"] = [*RECORD["dialogue"][:3], RECORD["dialogue"][3] | {"mask": {"size": [1, 1], "counts": "01"}}]
    path = file_of(tmp_path, extra, RECORD)
    dialogues = load(path)
    assert dialogues[0].meta["split"] == "val"
    assert dialogues[0].meta["dialogue"][3] == {"mask": {"size": [1, 1], "counts": "01"}}
    assert dialogues[1].meta == {}
    assert dump(dialogues) == path.read_text(encoding="utf-8")


def changed(**fields: Any) -> dict[str, Any]:
    return RECORD | fields


TURNS = RECORD["dialogue"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, "should be an object .* got a number"),
        ([], "got a list"),
        (None, "got null"),
        ({"img_id": "a"}, r"lacks \['dialogue', 'focus'\], it has \['img_id'\]"),
        (changed(focus=" "), "focus should be a text that is not empty, got ' '"),
        (changed(img_id=3), "img_id should be a text"),
        (changed(dialogue=[]), "dialogue should be a list of turns"),
        (changed(dialogue="hi"), "dialogue should be a list of turns"),
        (changed(dialogue=["hi"]), "turn 0 should have from"),
        (changed(dialogue=[turn("user", "hi")]), "turn 0 should have from"),
        (changed(dialogue=[turn("human", "hi"), {"from": "gpt"}]), "turn 1 should have from"),
        (changed(dialogue=TURNS[1:]), "turn 0 should be from human, got gpt"),
        (changed(dialogue=[TURNS[0], TURNS[0]]), "turn 1 should be from gpt, got human"),
        (changed(dialogue=TURNS[:3]), r"the only \[SEG\], got \[0, 0, 0\]"),
        (changed(dialogue=TURNS[:2]), r"write one \[SEG\] in the last answer"),
        (changed(dialogue=[TURNS[0], turn("gpt", "[SEG] and [SEG]")]), r"got \[0, 2\]"),
        (changed(dialogue=[turn("human", "[SEG]"), TURNS[3]]), r"got \[1, 1\]"),
        (changed(dialogue=[*TURNS[:3], turn("gpt", "[OBJ]sign[SEG]")]), r"already holds \[OBJ\]"),
        (changed(focus="a [SEG]"), r"a token in its focus"),
    ],
)
def test_a_bad_record_is_named(record: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DialogueError, match=rf"test\.json, record 1.*{message}"):
        load(file_of(tmp_path, RECORD, record))


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no PRIST file at .*none\.json; check the path"):
        load(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        load(tmp_path)
    path = tmp_path / "bad.json"
    for content, message in ((b"[{", "is not JSON"), (b"{}", "got an object"), (b"3", "number"), (b"\xff", "UTF-8")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"bad\.json .*{message}"):
            load(path)


def test_only_prist_dialogues_can_be_dumped() -> None:
    turns = (Turn("user", "Mark it."), Turn("assistant", "It is [OBJ]cup[SEG]."))
    whole = Dialogue(turns, (Target("cup"),), image="a.jpg", focus="cup")
    assert json.loads(dump([whole]))[0]["dialogue"][1]["value"] == "It is [SEG]."
    with pytest.raises(DialogueError, match=r"dialogue 1 \(no image\) needs an image and a focus"):
        dump([whole, replace(whole, image=None)])
    two = (*turns, Turn("user", "And?"), Turn("assistant", "[SEG]"))
    with pytest.raises(DialogueError, match=r"only \[SEG\] in the last answer"):
        dump([replace(whole, turns=two, targets=(Target("cup"), Target("cup")))])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_written_piece_by_piece_it_is_the_same_text(count: int, tmp_path: Path) -> None:
    strange = "line\nbreak, next\x85line, line\u2028separator, page\x0cfeed"  # what other line splitters break at
    records = [{"img_id": f"{index}.jpg", "focus": strange, "n": [], "mask": {}} for index in range(count)]
    write(records, tmp_path / "set.json")
    text = (tmp_path / "set.json").read_bytes().decode("utf-8")
    assert text == json.dumps(records, ensure_ascii=False, indent=4) and json.loads(text) == records
