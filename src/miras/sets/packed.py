"""Many small records in one block of memory, which processes share: what is known of a data set's images."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["Packed"]


class Packed:
    """Records of plain JSON values, kept as text and read again when one is asked for.

    A list of a hundred thousand dicts costs several times its text, and every process that reads it ends up with a copy
    of its own, as Python counts references inside the objects.
    """

    def __init__(self, records: Iterable[Any]) -> None:
        text, ends = bytearray(), [0]
        for record in records:
            text += json.dumps(record, ensure_ascii=False).encode("utf-8")
            ends.append(len(text))
        self._text = np.frombuffer(bytes(text), dtype=np.uint8)
        self._ends = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> Any:
        """A new copy of the record at a place, counted from 0. Raises IndexError for a place that is not there."""
        if not 0 <= place < len(self):
            raise IndexError(f"places are counted from 0 to {len(self) - 1}, got {place}")
        return json.loads(self._text[self._ends[place] : self._ends[place + 1]].tobytes())
