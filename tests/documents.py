"""What stands in the project's pages between fences."""

import re
from pathlib import Path

__all__ = ["FENCE", "blocks"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block between fences: its language and what it holds."""


def blocks(page: Path, language: str) -> list[str]:
    """The contents of a page's blocks of one language, in order."""
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]
