"""Folders that are whole or not there: made beside their place, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

__all__ = ["made_beside"]


@contextmanager
def made_beside(folder: Path, *, replacing: Sequence[str]) -> Iterator[Path]:
    """An empty folder to fill; when the block ends well it takes the place of `folder`, else nothing changes.

    What lies in an older `folder` and matches none of the patterns in `replacing` is kept.
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
