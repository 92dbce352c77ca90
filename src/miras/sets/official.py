"""Official files as they come: JSON read whole, and which of many images are there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from miras.errors import DataError

__all__ = ["Present", "none_left", "read_json"]


class Present:
    """Which files are there; each folder is listed once, as asking for many files one by one takes minutes."""

    def __init__(self) -> None:
        self._folders: dict[Path, frozenset[str]] = {}

    def __contains__(self, path: Path) -> bool:
        folder = path.parent
        if folder not in self._folders:
            try:
                self._folders[folder] = frozenset(entry.name for entry in os.scandir(folder))
            except OSError:
                self._folders[folder] = frozenset()
        return path.name in self._folders[folder]


def read_json(path: Path, kind: type, what: str) -> Any:
    """What a JSON file holds. Raises DataError where it is missing, broken, or holds no `kind`; `what` says of what."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}; docs/sets.md says where it comes from") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(content, kind):
        raise DataError(f"{path} should hold {what}, got {content!r:.80}; fetch it again")
    return content


def none_left(where: Path, left_out: Mapping[str, int]) -> DataError:
    """The error for a set of which nothing can be used."""
    told = ", ".join(f"{count} {why}" for why, count in left_out.items() if count) or "it is empty"
    return DataError(f"{where} holds nothing that can be used: {told}; check that its images lie where they belong")
