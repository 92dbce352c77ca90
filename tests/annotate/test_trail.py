"""The audit trail is only added to, holds no line twice in a row, and says when it is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from miras.annotate.adjudicate import Decision
from miras.annotate.corrections import Change, TextDecision
from miras.annotate.plan import Item
from miras.annotate.trail import append, mask_entry, read_trail, text_entry
from miras.data.masks import encode
from miras.errors import DataError

ITEM = Item("a.png", "cup\u2028")
OPEN = Decision(ITEM, "differ", ("ann", "bob"), ious={"ann, bob": 0.5}, next="cem")
MASK = encode(np.eye(4, dtype=bool))
DONE = Decision(ITEM, "two of three", ("ann", "cem"), MASK, {"ann, bob": 0.5, "ann, cem": 0.9})


def test_entries_are_added_when_they_say_something_new(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    text = TextDecision(4, "both", {"img_id": "a.png"}, (Change("ann", "turn 1", "x", "y"),), {"ann": "-x\n+y"})
    assert append(path, [mask_entry(OPEN), text_entry(text)], "2026-01-01") == 2
    before = path.read_bytes()
    assert append(path, [mask_entry(OPEN), text_entry(text)], "2026-01-02") == 0
    assert path.read_bytes() == before
    assert append(path, [mask_entry(DONE)], "2026-01-03") == 1
    assert append(path, [mask_entry(OPEN)]) == 1
    assert path.read_bytes().startswith(before)
    entries = read_trail(path)
    assert [(entry.get("when"), entry["rule"]) for entry in entries] == [
        ("2026-01-01", "differ"), ("2026-01-01", "both"), ("2026-01-03", "two of three"), (None, "differ"),
    ]  # fmt: skip
    assert entries[1]["differences"] == {"ann": "-x\n+y"} and entries[1]["where"] == ["turn 1"]
    assert entries[2]["people"] == ["ann", "cem"] and len(entries[2]["mask"]) == 16
    assert mask_entry(DONE)["mask"] != mask_entry(Decision(ITEM, "agree", (), encode(np.ones((4, 4)))))["mask"]


def test_a_broken_trail_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for line, message in (("{", r"audit\.jsonl:2 is not JSON"), ("3", r"audit\.jsonl:2 should be an object")):
        path.write_text(f"{json.dumps(mask_entry(OPEN))}\n{line}\n")
        before = path.read_bytes()
        with pytest.raises(DataError, match=message):
            append(path, [mask_entry(DONE)])
        assert path.read_bytes() == before
