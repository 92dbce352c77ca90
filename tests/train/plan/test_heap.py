"""What the C library holds is more than what is alive."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from miras.train.plan import heap as module
from miras.train.plan.heap import Heap
from miras.train.plan.rehearsal import rehearse

MIB = 2**20


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests before have left free, these may begin."""
    monkeypatch.setattr(module, "_FRESH", 2**50)
    if module._library() is None:
        pytest.skip("needs GNU's C library, 2.33 or newer")


def _alone(code: str) -> list[int]:
    """The numbers that a process of its own prints, in which nothing lies free yet."""
    head = "from miras.train.plan.heap import Heap\nMIB = 2**20\n"
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_what_is_taken_is_held_until_it_is_given_back() -> None:
    code = """
with Heap.here() as heap:
    print(heap.most)
    places = [heap.take(64 * MIB) for _ in range(3)]
    print(heap.most // MIB)
    for place in places:
        heap.give(place)
    heap.give(places[0])  # a second time is none
    heap.give(heap.take(64 * MIB))
    print(heap.most // MIB)
"""
    assert _alone(code) == [0, 192, 192]


def test_holes_between_what_is_alive_are_held() -> None:
    code = """
with Heap.here() as heap:
    heap.give(heap.take(30 * MIB))  # from now on blocks up to this size lie in one heap
    places = [heap.take(size * MIB) for _ in range(20) for size in (8, 1)]
    for place in places[::2]:
        heap.give(place)
    heap.take(29 * MIB)  # fits into no hole
    print(heap.most // MIB)
"""
    (held,) = _alone(code)
    assert 205 <= held <= 215


def test_a_process_with_much_free_memory_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRESH", 0)
    with Heap.here() as heap:
        assert heap is None


def test_of_another_c_library_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_library", lambda: None)
    with Heap.here() as heap:
        assert heap is None


def test_a_rehearsal_takes_what_it_counts() -> None:
    net, x = (
        nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 512)).to("meta"),
        torch.empty(4096, 512, device="meta"),
    )
    alone = rehearse(net, lambda: net(x).sum(), autocast=False, accumulated=False)
    counting = _Counting()
    assert rehearse(net, lambda: net(x).sum(), autocast=False, accumulated=False, heap=counting) == alone
    assert counting.peak == alone.peak and not counting.now


class _Counting(Heap):
    """A heap that has no holes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.now = self.peak = 0

    def take(self, size: int) -> int:
        self.sizes.append(size)
        self.now += size
        self.peak = max(self.peak, self.now)
        return len(self.sizes) - 1

    def give(self, place: int) -> None:
        self.now -= self.sizes[place]
