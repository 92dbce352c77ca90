"""The audit trail: a line of JSON per decision, in the order in which they were made, never rewritten."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from miras.annotate.adjudicate import Decision
from miras.annotate.corrections import TextDecision
from miras.errors import DataError
from miras.files import write_text
from miras.types import Rle

__all__ = ["TRAIL", "append", "mask_entry", "read_trail", "text_entry"]

TRAIL = "audit.jsonl"
"""Name in a project's folder."""

_KEY = ("kind", "image", "label", "record")


def mask_entry(decision: Decision) -> dict[str, Any]:
    """What the trail says of a decision on a mask: rule, figures, people, and the settled mask by its hash."""
    return {
        "kind": "mask",
        "image": decision.item.image,
        "label": decision.item.label,
        "rule": decision.rule,
        "settled": decision.settled,
        "people": list(decision.people),
        "iou": dict(decision.ious),
        "text": decision.text,
        "next": decision.next,
        "mask": None if decision.mask is None else _hash(decision.mask),
    }


def text_entry(decision: TextDecision) -> dict[str, Any]:
    """What the trail says of a decision on a dialogue: rule, who changed which turn, and the differences in full."""
    return {
        "kind": "text",
        "image": decision.record["img_id"],
        "record": decision.number,
        "rule": decision.rule,
        "settled": decision.settled,
        "people": list(dict.fromkeys(change.person for change in decision.changes)),
        "where": sorted({change.where for change in decision.changes}),
        "differences": dict(decision.differences or {}),
    }


def append(path: Path, entries: Iterable[Mapping[str, Any]], when: str | None = None) -> int:
    """Adds the entries that say something else than the last one of the same item or record; returns how many.

    `when` is written into each where it is given. The file is whole at every moment, and what is in it stays.
    """
    before = read_trail(path) if path.exists() else []
    last = {_key(entry): _content(entry) for entry in before}
    new = [entry for entry in entries if last.get(_key(entry)) != _content(entry)]
    if new:
        old = path.read_text(encoding="utf-8") if before else ""
        lines = (json.dumps({**({"when": when} if when else {}), **entry}, ensure_ascii=False) for entry in new)
        write_text(path, old + "".join(f"{line}\n" for line in lines))
    return len(new)


def read_trail(path: Path) -> list[dict[str, Any]]:
    """The entries, oldest first. Raises DataError for a line that is no entry."""
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), 1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{path}:{number} is not JSON ({error}); mend that line, or keep the file elsewhere"
            ) from error
        if not isinstance(entry, dict):
            raise DataError(f"{path}:{number} should be an object, got {entry!r:.40}; take that line out")
        entries.append(entry)
    return entries


def _key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in _KEY)


def _content(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "when"}


def _hash(mask: Rle) -> str:
    return sha256(f"{mask['size']}{mask['counts']}".encode()).hexdigest()[:16]
