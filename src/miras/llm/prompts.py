"""Prompts as files beside the code that uses them, `prompts/*.md`, with slots to be filled.

Each file says what the model is, then a line `---`, then what it is asked.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from miras.errors import ConfigError

__all__ = ["Prompts"]


@dataclass(frozen=True)
class Prompts:
    """The prompts of one package."""

    package: str
    """Dotted name of the package that holds `prompts/`."""
    names: tuple[str, ...]
    """Names of the files, without `.md`."""

    def parts(self, name: str, slots: Mapping[str, str]) -> tuple[str, str]:
        """(what the model is, what it is asked), the slots of the latter filled.

        Raises ConfigError when a slot of the prompt is not given.
        """
        system, asked = _read(self.package, name)
        try:
            return system, Template(asked).substitute(slots).strip()
        except (KeyError, ValueError) as error:
            raise ConfigError(f"prompts/{name}.md has the slot {error}, which is not given {sorted(slots)}") from error

    def messages(self, name: str, slots: Mapping[str, str], image: str | None = None) -> list[dict[str, Any]]:
        """The chat that asks for it: a system turn and a user turn, which holds the image given as a data URI.

        Raises ConfigError when a slot of the prompt is not given.
        """
        system, text = self.parts(name, slots)
        shown = [{"type": "image_url", "image_url": {"url": image}}] if image else []
        return [
            {"role": "system", "content": system},
            {"role": "user", "content": [*shown, {"type": "text", "text": text}]},
        ]

    @property
    def fingerprint(self) -> str:
        """A hash of all prompts: what was made with other ones is not gone on with."""
        text = "\n".join(part for name in self.names for part in _read(self.package, name))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _read(package: str, name: str) -> tuple[str, str]:
    text = (files(package) / "prompts" / f"{name}.md").read_text(encoding="utf-8")
    system, line, asked = text.partition("\n---\n")
    if not line:
        raise ConfigError(f"prompts/{name}.md should hold a line of --- between what is said first and what is asked")
    return system.strip(), asked.strip()
