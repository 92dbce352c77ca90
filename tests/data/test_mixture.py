"""The mixture: exact ratios, no repeats within a pass, and the same draws however they are taken."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miras.data.mixture import Mixture, shard
from miras.errors import ConfigError

SOURCES = [range(50), range(7), range(3), range(1)]
RATIOS = [9, 6, 2, 2]


@given(st.integers(0, 10_000), st.integers(0, 2**40))
def test_any_window_holds_the_ratio_exactly(start: int, seed: int) -> None:
    mixture = Mixture(SOURCES, RATIOS, seed)
    drawn = Counter(mixture[index].source for index in range(start, start + 19))
    assert [drawn[source] for source in range(4)] == RATIOS


def test_a_pass_repeats_nothing_and_each_pass_has_its_own_order() -> None:
    mixture = Mixture(SOURCES, RATIOS, 5)
    draws = [mixture[index] for index in range(19 * 50)]
    for source, items in enumerate(SOURCES):
        walked = [draw.item for draw in draws if draw.source == source]
        passes = [walked[first : first + len(items)] for first in range(0, len(walked) - len(items) + 1, len(items))]
        assert all(sorted(one) == list(items) for one in passes)
        if len(items) > 5:
            assert passes[0] != passes[1]


def test_the_seed_of_a_draw_differs_from_item_to_item_and_pass_to_pass() -> None:
    mixture = Mixture(SOURCES, RATIOS, 5)
    seeds = [mixture[index].seed for index in range(500)]
    assert len(set(seeds)) == 500
    assert all(0 <= seed < 2**63 for seed in seeds)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20))
def test_a_draw_depends_on_its_number_only(indices: list[int]) -> None:
    walked = Mixture(SOURCES, RATIOS, 1)
    assert [walked[index] for index in indices] == [Mixture(SOURCES, RATIOS, 1)[index] for index in indices]


def test_another_seed_gives_another_order() -> None:
    first, second = Mixture(SOURCES, RATIOS, 0), Mixture(SOURCES, RATIOS, 1)
    assert [first[i] for i in range(40)] != [second[i] for i in range(40)]
    assert [first[i].item for i in range(40)] != [second[i].item for i in range(40)]


def test_a_source_with_ratio_0_is_never_drawn() -> None:
    mixture = Mixture([range(4), []], [3, 0], 0)
    source, item, _ = mixture[0]
    assert source == 0
    assert item in range(4)
    assert {mixture[index].source for index in range(30)} == {0}


@pytest.mark.parametrize(("world", "batch"), [(1, 8), (2, 4), (4, 2), (8, 1)])
def test_processes_share_the_same_global_batches(world: int, batch: int) -> None:
    for step in (0, 1, 1000):
        together = [index for rank in range(world) for index in shard(step, batch=batch, rank=rank, world=world)]
        assert together == list(range(8 * step, 8 * step + 8))


def test_resuming_is_starting_at_a_later_step() -> None:
    whole = Mixture(SOURCES, RATIOS, 3)
    steps = [[whole[index] for index in shard(step, batch=4)] for step in range(10)]
    resumed = Mixture(SOURCES, RATIOS, 3)
    assert [[resumed[index] for index in shard(step, batch=4)] for step in range(6, 10)] == steps[6:]


@pytest.mark.parametrize(
    ("sources", "ratios", "seed", "message"),
    [
        ([range(3)], [1, 2], 0, "1 sources, 2 ratios"),
        ([], [], 0, "not all 0"),
        ([range(3)], [0], 0, "not all 0"),
        ([range(3)], [-1], 0, r"got \[-1\]"),
        ([range(3)], [0.5], 0, "whole numbers"),
        ([range(3)], [1], -1, "seed of a mixture is 0 or more, got -1"),
        ([range(3), []], [1, 1], 0, "source 1 is empty but has ratio 1"),
    ],
)
def test_wrong_settings_are_refused(sources: list[Any], ratios: list[Any], seed: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Mixture(sources, ratios, seed)


@pytest.mark.parametrize("wrong", [{"rank": 2, "world": 2}, {"rank": -1}, {"batch": 0}, {"step": -1}])
def test_wrong_shards_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="0 <= rank < world"):
        shard(**({"step": 0, "batch": 4} | wrong))  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="counted from 0"):
        Mixture(SOURCES, RATIOS, 0)[-1]
