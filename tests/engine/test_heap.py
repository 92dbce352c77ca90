"""Memory between what is alive goes back to the system, now and then."""

import platform

import psutil
import pytest

from miras.engine.heap import Heap


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no such call in another C library")
def test_holes_are_given_back_but_not_all_the_time() -> None:
    process, now = psutil.Process(), 0.0

    def blocks() -> list[bytearray]:
        """100 MiB with holes: of what was taken one block of eight is left, too small to be given back by itself."""
        return [bytearray(b"x" * 100_000) for _ in range(8 * 1_100)][::8]

    heap = Heap(clock=lambda: now)
    kept, before = [blocks()], process.memory_info().rss
    heap.tidy()
    after = process.memory_info().rss
    assert before - after > 500 * 2**20

    kept.append(blocks())
    before = process.memory_info().rss
    heap.tidy()
    assert process.memory_info().rss > before - 2**20
    now = 11.0
    heap.tidy()
    assert before - process.memory_info().rss > 500 * 2**20
    assert all(block == b"x" * 100_000 for half in kept for block in half)
