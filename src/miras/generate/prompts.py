"""The prompts of each step, read from `prompts/*.md`: what the model is, a line `---`, and what it is asked."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from miras.errors import ConfigError

__all__ = ["STEPS", "fingerprint", "messages"]

STEPS = ("elements", "question", "score", "tree", "dialogue", "feedback")
"""The steps, in order."""


def messages(step: str, slots: Mapping[str, str], image: str | None = None) -> list[dict[str, Any]]:
    """The chat that asks for a step: a system turn and a user turn, which holds the image given as a data URI.

    Raises ConfigError when a slot of the prompt is not given.
    """
    system, asked = _read(step)
    try:
        text = Template(asked).substitute(slots).strip()
    except (KeyError, ValueError) as error:
        raise ConfigError(f"prompts/{step}.md has the slot {error}, which is not given {sorted(slots)}") from error
    shown = [{"type": "image_url", "image_url": {"url": image}}] if image else []
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": [*shown, {"type": "text", "text": text}]},
    ]


def fingerprint() -> str:
    """A hash of all prompts: what was made with other ones is not gone on with."""
    return hashlib.sha256("\n".join(part for step in STEPS for part in _read(step)).encode()).hexdigest()[:16]


@cache
def _read(step: str) -> tuple[str, str]:
    text = (files("miras.generate") / "prompts" / f"{step}.md").read_text(encoding="utf-8")
    system, line, asked = text.partition("\n---\n")
    if not line:
        raise ConfigError(f"prompts/{step}.md should hold a line of --- between what is said first and what is asked")
    return system.strip(), asked.strip()
