"""Files that are whole or absent, with names made from words that a model wrote."""

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["printable", "safe_name", "write_beside", "write_text"]

_LONGEST_NAME = 40


def printable(text: str) -> str:
    """The text without control characters, which could drive a terminal or break a page; line breaks stay."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


def safe_name(words: str) -> str:
    """Any words as a part of a file name: `a-z`, `0-9` and hyphens, at most 40 letters, `target` when none is left."""
    ascii_words = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode("ascii").lower()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_words)[:_LONGEST_NAME].strip("-")
    return name or "target"


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Gives a path to write to, which takes the place of `path` once the block ends well and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> Path:
    """Writes a text file in one step."""
    with write_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path
