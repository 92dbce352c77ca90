"""PRIST files: the authors' JSON in and out, without loss, and what breaks its rules.

A file is a list of records::

    {"img_id": "e1de.jpg",
     "dialogue": [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "Sure, [SEG]."}],
     "focus": "leather watch strap"}

Only the last answer asks for a mask, and only `focus` says of what; `load` writes it as `[OBJ]{focus}[SEG]`. The
authors' file holds no masks; ours may hold one per record, as COCO run lengths under `mask`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miras import tokens
from miras.data.masks import area
from miras.errors import DataError, DialogueError, MaskError
from miras.files import write_beside
from miras.types import Dialogue, Target, Turn

__all__ = ["Problem", "dump", "load", "problems", "read", "record", "require", "to_dialogue", "write"]

_ROLES = {"user": "human", "assistant": "gpt"}
_FIELDS = ("img_id", "dialogue", "focus")
_TURN = ("from", "value")


@dataclass(frozen=True)
class Problem:
    """One thing about a record that should be otherwise."""

    kind: str
    """What rule it breaks: schema, roles, segmentation, tokens, focus, mask, …"""
    text: str
    """What was expected and what came."""
    remedy: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}"


def load(path: str | Path, *, named: bool = True) -> list[Dialogue]:
    """All dialogues of a PRIST file, in its order.

    `named` writes the focus before the final `[SEG]`; without it the text stays as it is in the file. Fields that
    are not PRIST's own are kept in `meta`, those of its turns as a list under `dialogue`. Raises DataError when
    the file is not a JSON list, DialogueError when a record breaks the format; both name file, record and remedy.
    """
    dialogues = []
    for index, one in enumerate(read(path)):
        require(one, f"{path}, record {index}")
        dialogues.append(to_dialogue(one, named=named))
    return dialogues


def require(record: Any, where: str) -> dict[str, Any]:
    """The record itself. Raises DialogueError with the first of its `problems`, which begins with `where`."""
    for problem in problems(record):
        raise DialogueError(f"{where}: {problem}")
    return record


def read(path: str | Path) -> list[Any]:
    """The records of a PRIST file, whatever they are. Raises DataError when the file is not a JSON list."""
    path = Path(path)
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"no PRIST file at {path}; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); give a PRIST JSON file") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); mend that line or fetch the file again") from error
    if not isinstance(records, list):
        raise DataError(f"{path} should hold a list of dialogues, got {_json_name(records)}; wrap it in [ ]")
    return records


def problems(record: Any) -> Iterator[Problem]:
    """Every rule of the format that a record breaks, the gravest first; none for one that can be used."""
    if not isinstance(record, dict):
        yield Problem("schema", f"should be an object with {list(_FIELDS)}, got {_json_name(record)}", "rewrite it")
        return
    if missing := [name for name in _FIELDS if name not in record]:
        yield Problem("schema", f"lacks {missing}, it has {sorted(map(str, record))}", "add what is missing")
    for name in [name for name in ("img_id", "focus") if name in record]:
        if not isinstance(record[name], str) or not record[name].strip():
            text = f"{name} should be a text that is not empty, got {_short(record[name])}"
            yield Problem("schema", text, "fill it in")
    image = record.get("img_id")
    if isinstance(image, str) and (image.startswith(("/", "\\")) or ".." in Path(image).parts):
        yield Problem("schema", f"img_id {_short(image)} leads out of the folder of images", "give a name inside it")
    if "dialogue" in record:
        yield from _dialogue_problems(record["dialogue"])
    if isinstance(focus := record.get("focus"), str) and (tokens.OBJ in focus or tokens.SEG in focus):
        yield Problem("tokens", f"there is a token in its focus {_short(focus)}", "take it out, it is added on reading")
    if record.get("mask") is not None:
        yield from _mask_problems(record["mask"])


def _dialogue_problems(turns: Any) -> Iterator[Problem]:
    if not isinstance(turns, list) or not turns:
        yield Problem("schema", f"dialogue should be a list of turns, got {_short(turns)}", "fill it in")
        return
    for index, turn in enumerate(turns):
        if (
            not isinstance(turn, dict)
            or not isinstance(turn.get("value"), str)
            or turn.get("from") not in tuple(_ROLES.values())
        ):
            text = f"turn {index} should have from (human or gpt) and value (a text), got {_short(turn)}"
            yield Problem("schema", text, "rewrite it")
            return
        expected = ("human", "gpt")[index % 2]
        if turn["from"] != expected:
            text = f"turn {index} should be from {expected}, got {turn['from']}"
            yield Problem("roles", text, "roles alternate, human first")
            return
    written = [turn["value"].count(tokens.SEG) for turn in turns]
    if len(turns) % 2 or written != [0] * (len(turns) - 1) + [1]:
        text = f"it should end with an answer that holds the only {tokens.SEG}, got {written} per turn"
        yield Problem("segmentation", text, f"write one {tokens.SEG} in the last answer")
    if any(tokens.OBJ in turn["value"] for turn in turns):
        yield Problem("tokens", f"it already holds {tokens.OBJ}", "take it out, it is added on reading")


def _mask_problems(mask: Any) -> Iterator[Problem]:
    try:
        if not isinstance(mask, dict):
            raise MaskError(f"a mask has size and counts, got {_short(mask)}; write it as COCO run lengths")
        if not area(mask):  # type: ignore[arg-type]  # whether it is one is what is asked
            yield Problem("mask", "its mask is empty", "draw it again or leave the record out")
    except MaskError as error:
        text, _, remedy = str(error).rpartition("; ")
        yield Problem("mask", text, remedy)


def to_dialogue(record: dict[str, Any], *, named: bool = True) -> Dialogue:
    """The dialogue of a record that has no `problems`; what `named` does and what is kept is said at `load`."""
    roles = {name: role for role, name in _ROLES.items()}
    turns = [Turn(roles[turn["from"]], turn["value"]) for turn in record["dialogue"]]  # type: ignore[arg-type]
    focus = record["focus"]
    if named:
        turns[-1] = Turn("assistant", turns[-1].text.replace(tokens.SEG, tokens.write(focus)))
    mask = record.get("mask")
    ours = _FIELDS if mask is None else (*_FIELDS, "mask")
    meta: dict[str, Any] = {name: value for name, value in record.items() if name not in ours}
    extra = [{name: value for name, value in turn.items() if name not in _TURN} for turn in record["dialogue"]]
    if any(extra):
        meta["dialogue"] = extra
    return Dialogue(tuple(turns), (Target(focus, mask),), image=record["img_id"], focus=focus, kind="prist", meta=meta)


def dump(dialogues: Iterable[Dialogue]) -> str:
    """The dialogues as the text of a PRIST file, names taken out again, so that `dump(load(path))` is the file.

    Raises DialogueError for a dialogue without image or focus, or whose only `[SEG]` is not in the last answer.
    """
    return "".join(_pieces(record(dialogue, f"dialogue {index}") for index, dialogue in enumerate(dialogues)))


def write(records: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Writes a PRIST file in one step, record by record, so that it may be of any size."""
    with write_beside(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.writelines(_pieces(records))


def _pieces(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The text that `json.dumps` gives the list of all records, piece by piece."""
    yield "["
    before = "\n    "
    for one in records:
        # JSON has no line breaks within texts but those of other alphabets, which must stay as they are
        yield before + json.dumps(one, ensure_ascii=False, indent=4).replace("\n", "\n    ")
        before = ",\n    "
    yield "\n]" if before[0] == "," else "]"


def record(dialogue: Dialogue, where: str = "the dialogue") -> dict[str, Any]:
    """One dialogue as a PRIST record; errors are those of `dump` and begin with `where`."""
    where = f"{where} ({dialogue.image or 'no image'})"
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
    written = {"img_id": dialogue.image, "dialogue": turns, "focus": dialogue.focus, **own}
    return written if dialogue.targets[0].mask is None else {**written, "mask": dialogue.targets[0].mask}


def _without_name(text: str) -> str:
    start, end = text.find(tokens.OBJ), text.find(tokens.SEG)
    return text[:start] + text[end:] if 0 <= start < end else text


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _json_name(value: Any) -> str:
    """What JSON calls the type of the value."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
