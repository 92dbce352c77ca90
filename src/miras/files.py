"""Files and folders that are whole or absent, and file names made from words that a model or a user wrote."""

import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

__all__ = ["made_beside", "printable", "safe_name", "write_beside", "write_json", "write_text"]

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


def write_json(path: Path, content: Any) -> Path:
    """Writes a JSON file in one step. Raises ValueError for NaN and infinities, which JSON does not know."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def made_beside(folder: Path, *, replacing: Sequence[str]) -> Iterator[Path]:
    """An empty folder to fill; when the block ends well it takes the place of `folder`, else nothing changes.

    What lies in an older `folder` and matches none of the patterns in `replacing` is kept, over what the block wrote.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.making-", dir=folder.parent) as beside:
        new, old = Path(beside) / "new", Path(beside) / "old"
        new.mkdir()
        yield new
        if not folder.exists():
            new.rename(folder)
            return

        def replaced(parent: str, names: list[str]) -> list[str]:
            return [name for name in names if Path(parent) == folder and any(fnmatch(name, p) for p in replacing)]

        shutil.copytree(folder, new, symlinks=True, ignore=replaced, copy_function=_link, dirs_exist_ok=True)
        folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            old.rename(folder)
            raise


def _link(source: str, target: str) -> None:
    """A second name for a file, or a copy where the file system knows no second names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
