"""PRIST files: the authors' JSON in and out, without loss.

A file is a list of records::

    {"img_id": "e1de.jpg",
     "dialogue": [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "Sure, [SEG]."}],
     "focus": "leather watch strap"}

Only the last answer asks for a mask, and only `focus` says of what; `load` writes it as `[OBJ]{focus}[SEG]`.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from miras import tokens
from miras.errors import DataError, DialogueError
from miras.types import Dialogue, Target, Turn

__all__ = ["dump", "load"]

_ROLES = {"user": "human", "assistant": "gpt"}
_FIELDS = ("img_id", "dialogue", "focus")
_TURN = ("from", "value")


def load(path: str | Path, *, named: bool = True) -> list[Dialogue]:
    """All dialogues of a PRIST file, in its order.

    `named` writes the focus before the final `[SEG]`; without it the text stays as it is in the file. Fields that
    are not PRIST's own are kept in `meta`, those of its turns as a list under `dialogue`. Raises DataError when
    the file is not a JSON list, DialogueError when a record breaks the format; both name file, record and remedy.
    """
    path = Path(path)
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"no PRIST file at {path}; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); give a PRIST JSON file") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON ({error}); mend that line or fetch the file again") from error
    if not isinstance(records, list):
        raise DataError(f"{path} should hold a list of dialogues, got {_json_name(records)}; wrap it in [ ]")
    return [_dialogue(record, f"{path}, record {index}", named) for index, record in enumerate(records)]


def dump(dialogues: Iterable[Dialogue]) -> str:
    """The dialogues as the text of a PRIST file, names taken out again, so that `dump(load(path))` is the file.

    Raises DialogueError for a dialogue without image or focus, or whose only `[SEG]` is not in the last answer.
    """
    records = [_record(dialogue, index) for index, dialogue in enumerate(dialogues)]
    return json.dumps(records, ensure_ascii=False, indent=4)


def _dialogue(record: Any, where: str, named: bool) -> Dialogue:
    if not isinstance(record, dict):
        raise DialogueError(f"{where} should be an object with {list(_FIELDS)}, got {_json_name(record)}; rewrite it")
    if missing := [name for name in _FIELDS if name not in record]:
        raise DialogueError(f"{where} lacks {missing}, it has {sorted(record)}; add what is missing")
    for name in ("img_id", "focus"):
        if not isinstance(record[name], str) or not record[name].strip():
            raise DialogueError(f"{where}: {name} should be a text that is not empty, got {record[name]!r}; fill it in")
    if not isinstance(record["dialogue"], list) or not record["dialogue"]:
        raise DialogueError(f"{where}: dialogue should be a list of turns, got {record['dialogue']!r}; fill it in")
    turns = [_turn(turn, f"{where}, turn {index}", index) for index, turn in enumerate(record["dialogue"])]
    focus = record["focus"]
    _check_segs(turns, focus, where)
    if named:
        turns[-1] = Turn("assistant", turns[-1].text.replace(tokens.SEG, tokens.write(focus)))
    meta: dict[str, Any] = {name: value for name, value in record.items() if name not in _FIELDS}
    extra = [{name: value for name, value in turn.items() if name not in _TURN} for turn in record["dialogue"]]
    if any(extra):
        meta["dialogue"] = extra
    return Dialogue(tuple(turns), (Target(focus),), image=record["img_id"], focus=focus, kind="prist", meta=meta)


def _turn(turn: Any, where: str, index: int) -> Turn:
    if not isinstance(turn, dict) or not isinstance(turn.get("value"), str) or turn.get("from") not in _ROLES.values():
        raise DialogueError(f"{where} should have from (human or gpt) and value (a text), got {turn!r}; rewrite it")
    expected = ("human", "gpt")[index % 2]
    if turn["from"] != expected:
        raise DialogueError(f"{where} should be from {expected}, got {turn['from']}; roles alternate, human first")
    return Turn("user" if expected == "human" else "assistant", turn["value"])


def _check_segs(turns: list[Turn], focus: str, where: str) -> None:
    written = [turn.text.count(tokens.SEG) for turn in turns]
    if len(turns) % 2 or written != [0] * (len(turns) - 1) + [1]:
        raise DialogueError(
            f"{where} should end with an answer that holds the only {tokens.SEG}, got {written} per turn; "
            f"write one {tokens.SEG} in the last answer"
        )
    if any(tokens.OBJ in text for text in (focus, *(turn.text for turn in turns))) or tokens.SEG in focus:
        raise DialogueError(f"{where} already holds {tokens.OBJ}, or a token in its focus; take it out, load adds it")


def _record(dialogue: Dialogue, index: int) -> dict[str, Any]:
    where = f"dialogue {index} ({dialogue.image or 'no image'})"
    if not dialogue.image or not dialogue.focus:
        raise DialogueError(f"{where} needs an image and a focus to be PRIST, got {dialogue.focus!r}; fill them in")
    if [turn.text.count(tokens.SEG) for turn in dialogue.turns] != [0] * (len(dialogue.turns) - 1) + [1]:
        raise DialogueError(f"{where} should hold its only {tokens.SEG} in the last answer; split or shorten it")
    extra = dialogue.meta.get("dialogue", [{}] * len(dialogue.turns))
    turns = [
        {"from": _ROLES[turn.role], "value": _without_name(turn.text), **more}
        for turn, more in zip(dialogue.turns, extra, strict=True)
    ]
    own = {name: value for name, value in dialogue.meta.items() if name not in _FIELDS}
    return {"img_id": dialogue.image, "dialogue": turns, "focus": dialogue.focus, **own}


def _without_name(text: str) -> str:
    start, end = text.find(tokens.OBJ), text.find(tokens.SEG)
    return text[:start] + text[end:] if 0 <= start < end else text


def _json_name(value: Any) -> str:
    """What JSON calls the type of the value."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
