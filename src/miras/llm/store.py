"""One SQLite file per run, only ever added to: every reply that was paid for, and every item that is finished.

Written ahead (WAL), so that a killed process loses nothing that was kept and the file opens again as it was.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from miras.errors import ConfigError, DataError
from miras.settings import differences

__all__ = ["Reply", "Store", "key_of"]

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
  key TEXT PRIMARY KEY, text TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL,
  seconds REAL NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (name TEXT PRIMARY KEY, content TEXT NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Reply:
    """What a model answered, and what it took."""

    text: str
    prompt_tokens: int = 0
    reply_tokens: int = 0
    seconds: float = 0.0


class Store:
    """Replies by the hash of their request, items by name, and notes about the run."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # no transaction is left open between calls: each row is kept as soon as it is added
            self._base = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise DataError(f"{path} is not the store of a run ({error}); name another folder") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def reply(self, key: str) -> Reply | None:
        """The reply that was kept under the key."""
        row = self._base.execute(
            "SELECT text, prompt_tokens, reply_tokens, seconds FROM replies WHERE key = ?", (key,)
        ).fetchone()
        return Reply(*row) if row else None

    def keep(self, key: str, reply: Reply) -> None:
        """Keeps a reply; a second one under the same key is not taken."""
        self._base.execute(
            "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?)",
            (key, reply.text, reply.prompt_tokens, reply.reply_tokens, reply.seconds, time.time()),
        )

    def spent(self) -> tuple[int, int, int]:
        """(replies, prompt tokens, reply tokens) of all that was kept, in this start and those before it."""
        row = self._base.execute(
            "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(reply_tokens), 0) FROM replies"
        ).fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def finish(self, name: str, content: Mapping[str, Any]) -> None:
        """Keeps the result of an item; a second one of that name is not taken."""
        text = json.dumps(content, ensure_ascii=False)
        self._base.execute("INSERT OR IGNORE INTO items VALUES (?, ?, ?)", (name, text, time.time()))

    def finished(self) -> set[str]:
        """The names of all items that are finished."""
        return {row[0] for row in self._base.execute("SELECT name FROM items")}

    def items(self) -> Iterator[dict[str, Any]]:
        """The content of every finished item, by name."""
        for (content,) in self._base.execute("SELECT content FROM items ORDER BY name"):
            yield json.loads(content)

    def note(self, name: str) -> str | None:
        """What was written down about the run under that name."""
        row = self._base.execute("SELECT content FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def write_down(self, name: str, content: str) -> None:
        """Writes a note, over an older one."""
        self._base.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, content))

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Writes down the settings of the run, or compares them with those it began with.

        Raises ConfigError when they differ: what the run holds would then come from two different ones.
        """
        said = json.dumps(settings, sort_keys=True, ensure_ascii=False)
        began = self.note("settings")
        if began is None:
            self.write_down("settings", said)
        elif began != said:
            changed = differences(json.loads(began), settings)
            raise ConfigError(f"the run in this folder was begun otherwise ({changed}); name another folder")


def key_of(request: Any) -> str:
    """A hash of all that a reply depends on; long texts such as images count by their own hash."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
