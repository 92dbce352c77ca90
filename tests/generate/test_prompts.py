"""Prompts: any change of what a model is asked shows here, and is taken over with MIRAS_ACCEPT=1."""

import os
from pathlib import Path

import pytest

from miras.errors import ConfigError
from miras.generate.prompts import PROMPTS, STEPS
from miras.llm.prompts import Prompts

SLOTS = {
    "captions": "People described it so: Mugs on a shelf.\n", "elements": "- mug: It is brown. It stands there.",
    "target": "mug", "earlier": "Not good enough, 1 of 3 points: What is it? (Too simple.)\n",
    "question": "What would one drink from?", "questions": "Path 1: What would one drink from? (target: mug)",
    "path": "What holds liquids? → Something hollow.", "wrong": "", "dialogue": "1. Person: Hm?\n   Assistant: Mm.",
}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_snapshot(step: str) -> None:
    system, user = PROMPTS.messages(step, SLOTS, "data:image/jpeg;base64,AAAA")
    assert user["content"][0]["image_url"]["url"].endswith("AAAA")
    text = f"{system['content']}\n\n=== user ===\n{user['content'][1]['text']}\n"
    kept = Path(__file__).parent / "snapshots" / f"{step}.txt"
    if os.environ.get("MIRAS_ACCEPT") == "1":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8"), "the prompt changed; MIRAS_ACCEPT=1 takes it over"


def test_a_slot_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"prompts/score\.md has the slot 'elements'"):
        PROMPTS.messages("score", {"target": "mug"})


def test_what_goes_into_a_slot_stays_as_it_is() -> None:
    [_, user] = PROMPTS.messages("score", {**SLOTS, "question": "Does it cost $5 or ${target}?"})
    assert "Does it cost $5 or ${target}?" in user["content"][0]["text"]


def test_the_fingerprint_is_of_all_prompts() -> None:
    assert len(PROMPTS.fingerprint) == 16 and PROMPTS.fingerprint == Prompts("miras.generate", STEPS).fingerprint
    assert Prompts("miras.generate", STEPS[:-1]).fingerprint != PROMPTS.fingerprint
