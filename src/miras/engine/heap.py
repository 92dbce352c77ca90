"""Memory that nothing needs any more, given back to the system."""

import ctypes
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Heap"]

_APART = 10.0
"""Seconds between two times: each takes some hundredths of a second, and what is given back is soon asked for again."""


class Heap:
    """What the C library holds for this process.

    Answers need hundreds of MiB for moments, conversations some MiB for long, and all of it lies in one heap. GNU's C
    library gives back what is free at the heap's end, and keeps the holes between conversations, which grow for hours.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._next = clock, clock()
        try:
            self._trim: Any = ctypes.CDLL(None).malloc_trim
        except (AttributeError, OSError, TypeError):  # another C library, which has no such call
            self._trim = None

    def tidy(self) -> None:
        """Give the holes back, unless that was done a moment ago."""
        if self._trim is not None and self._clock() >= self._next:
            self._trim(0)
            self._next = self._clock() + _APART
