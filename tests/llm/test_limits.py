"""Limits: a budget that is never overdrawn, and a pace that is kept."""

import asyncio

import pytest

from miras.errors import BudgetSpent
from miras.llm.limits import Budget, Limits, Pace


def test_promises_count_until_they_are_kept() -> None:
    async def work() -> None:
        budget = Budget(Limits(tokens=100))
        async with budget.promise(30, 20) as used:
            with pytest.raises(BudgetSpent, match="may use 100 tokens, 0 are used, the next request may take 60"):
                async with budget.promise(40, 20):
                    pass
            used(10, 5)
        async with budget.promise(40, 20):
            pass
        assert (budget.prompt_tokens, budget.reply_tokens) == (10, 5)

    asyncio.run(work())


def test_money_counts_both_prices() -> None:
    async def work() -> None:
        budget = Budget(Limits(money=1.0, prompt_price=2.0, reply_price=10.0), 100_000, 50_000)
        assert budget.cost == pytest.approx(0.7)
        async with budget.promise(50_000, 20_000):
            with pytest.raises(BudgetSpent, match=r"may cost 1\.00, 0\.70 is spent"):
                async with budget.promise(1, 1):
                    pass

    asyncio.run(work())


def test_a_part_of_a_run_gets_its_part_of_the_limits() -> None:
    whole = Limits(at_once=16, requests_per_minute=60, tokens_per_minute=None, tokens=1000, money=3.0)
    part = whole.part(at_work=4, parts=10)
    assert (part.at_once, part.requests_per_minute, part.tokens_per_minute) == (4, 15, None)
    assert (part.tokens, part.money) == (100, pytest.approx(0.3))
    assert Limits(at_once=2).part(8, 8).at_once == 1


async def _through(limits: Limits, tokens: list[int]) -> list[float]:
    """When each request gets through, in seconds of a clock that only sleep moves."""
    now = 0.0
    moments: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(limits, clock=lambda: now, sleep=sleep)
    for count in tokens:
        async with pace.slot(count):
            moments.append(now)
    return moments


def test_requests_and_tokens_a_minute() -> None:
    moments = asyncio.run(_through(Limits(requests_per_minute=120), [1] * 5))
    assert moments == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0], abs=0.51) and moments[-1] >= 1.5
    moments = asyncio.run(_through(Limits(tokens_per_minute=6000), [50, 100, 300, 10]))
    # 100 tokens a second, and a second's worth to begin with
    assert moments == pytest.approx([0.0, 0.5, 3.5, 3.6])


def test_so_many_at_once() -> None:
    async def most() -> int:
        pace, inside, seen = Pace(Limits(at_once=3)), 0, 0

        async def one() -> None:
            nonlocal inside, seen
            async with pace.slot(1):
                inside += 1
                seen = max(seen, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(one() for _ in range(20)))
        return seen

    assert asyncio.run(most()) == 3
