"""LLaVA's conversations: a JSON list with `id`, `image` and `conversations`, the image placeholder in the first turn.

What LLaVA does not know (focus, mask, a record's own fields) stands beside them under its own name, which readers of
the format pass over.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.files import write_text

__all__ = ["IMAGE", "read", "row", "write"]

IMAGE = "<image>\n"
"""What stands before the first question."""
_KNOWN = ("id", "image", "conversations")


def write(records: Sequence[dict[str, Any]], out: Path, images: Path | None = None) -> None:
    """Writes one JSON file; the images stay where they are."""
    rows = [row(record, index) for index, record in enumerate(records)]
    write_text(out, json.dumps(rows, ensure_ascii=False, indent=2) + "\n")


def row(record: dict[str, Any], index: int) -> dict[str, Any]:
    """One record as LLaVA has it."""
    first, *rest = record["dialogue"]
    more = {name: value for name, value in record.items() if name not in ("img_id", "dialogue")}
    return {
        "id": f"{Path(record['img_id']).stem}_{index}",
        "image": record["img_id"],
        "conversations": [{**first, "value": IMAGE + first["value"]}, *rest],
        **more,
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file that `write` wrote, or of any LLaVA file whose rows have a `focus`."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a JSON file of conversations ({error}); give LLaVA's format") from error
    if not isinstance(rows, list):
        raise DataError(f"{path} should hold a list of conversations, got {type(rows).__name__}; wrap it in [ ]")
    return [_record(one, f"{path}, row {index}") for index, one in enumerate(rows)]


def _record(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict) or not isinstance(row.get("conversations"), list) or not row["conversations"]:
        raise DataError(f"{where} should have image and conversations, got {str(row)[:80]}; add what is missing")
    if "image" not in row or "focus" not in row:
        raise DataError(f"{where} lacks image or focus, without which it is no PRIST; add the words for what is marked")
    first, *rest = row["conversations"]
    if not isinstance(first, dict) or not isinstance(first.get("value"), str):
        raise DataError(f"{where} begins with {str(first)[:80]}; a turn has from and value")
    value = first["value"].replace("<image>", "", 1).strip("\n") if "<image>" in first["value"] else first["value"]
    more = {name: value for name, value in row.items() if name not in _KNOWN}
    return {"img_id": row["image"], "dialogue": [{**first, "value": value}, *rest], **more}
