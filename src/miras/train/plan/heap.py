"""The memory of a processor as the C library gives it out: all that is alive, and the holes between.

Of other C libraries than GNU's nothing is known.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Heap"]

_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
_ALIGNED = 64
"""What torch's tensors lie at a multiple of."""
_FRESH = 2**27
"""Bytes of a process's own that may lie free: what is asked for goes there first, and is not seen."""


class _Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def _library() -> Any:
    """GNU's C library from 2.33 on, None where this process has another."""
    try:
        library = ctypes.CDLL(None)
        library.mallinfo2.restype = _Info
        library.posix_memalign.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_size_t]
        library.free.argtypes = [ctypes.c_void_p]
    except (AttributeError, OSError, TypeError):
        return None
    return library


class Heap:
    """Memory for tensors that have no values, asked of the C library and given back as they go.

    Nothing is written to it, so that it takes addresses and hardly any memory.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._start = self._held()
        self._taken = set[int]()
        self.most = 0
        """Bytes that the C library has held for all this at most, holes counted."""

    @classmethod
    @contextmanager
    def here(cls) -> Iterator["Heap | None"]:
        """A heap that is given back at the end; None where the C library cannot tell what it holds for it.

        That is any but GNU's, and one that has much of this process's memory lying free.
        """
        library = _library()
        heap = cls(library) if library is not None and library.mallinfo2().fordblks < _FRESH else None
        try:
            yield heap
        finally:
            if heap is not None:
                for place in list(heap._taken):
                    heap.give(place)

    def take(self, size: int) -> int:
        """Memory for so many bytes, by its address."""
        place = ctypes.c_void_p()
        if self._library.posix_memalign(ctypes.byref(place), _ALIGNED, max(size, 1)):
            raise MemoryError(f"{size} bytes of addresses were asked for; plan on a machine with more memory")
        self._taken.add(place.value or 0)
        self.most = max(self.most, self._held() - self._start)
        return place.value or 0

    def give(self, place: int) -> None:
        """Give memory back, unless that was done at the end."""
        if place in self._taken:
            self._taken.remove(place)
            self._library.free(place)

    def _held(self) -> int:
        info = self._library.mallinfo2()
        return int(info.arena + info.hblkhd)
