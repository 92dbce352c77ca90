"""How fast and how much: requests in flight, requests and tokens a minute, and a budget that is never overdrawn."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from miras.errors import BudgetSpent

__all__ = ["Budget", "Limits", "Pace"]


@dataclass(frozen=True)
class Limits:
    """What a server and a purse allow; None is no limit."""

    at_once: int = 16
    """Requests in flight."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    tokens: int | None = None
    """Tokens of the whole run, prompts and replies together."""
    money: float | None = None
    """Cost of the whole run, in the currency of the prices."""
    prompt_price: float = 0.0
    """Price of a million prompt tokens."""
    reply_price: float = 0.0
    """Price of a million reply tokens."""

    def part(self, at_work: int, parts: int) -> "Limits":
        """The limits of one of `parts` parts of a run, of which `at_work` run at a time."""

        def divided(value: float | None, by: int) -> float | None:
            return None if value is None else value / by

        return replace(
            self,
            at_once=max(1, self.at_once // at_work),
            requests_per_minute=divided(self.requests_per_minute, at_work),
            tokens_per_minute=divided(self.tokens_per_minute, at_work),
            tokens=None if self.tokens is None else self.tokens // parts,
            money=divided(self.money, parts),
        )

    def cost(self, prompt_tokens: int, reply_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt_price + reply_tokens * self.reply_price) / 1e6


class Budget:
    """Counts what is spent and what requests in flight may still spend; their sum never passes the limits."""

    def __init__(self, limits: Limits, prompt_tokens: int = 0, reply_tokens: int = 0) -> None:
        self.limits = limits
        self.prompt_tokens, self.reply_tokens = prompt_tokens, reply_tokens
        self._promised = (0, 0)

    @property
    def cost(self) -> float:
        """Spent so far."""
        return self.limits.cost(self.prompt_tokens, self.reply_tokens)

    @asynccontextmanager
    async def promise(self, prompt_tokens: int, reply_tokens: int) -> AsyncIterator[Callable[[int, int], None]]:
        """Sets so many tokens aside for a request; what it is given books those that were used.

        Raises BudgetSpent when the request might pass a limit.
        """
        prompt, reply = self._promised
        prompt, reply = prompt + prompt_tokens, reply + reply_tokens
        self._must_bear(self.prompt_tokens + prompt, self.reply_tokens + reply, prompt_tokens, reply_tokens)
        self._promised = prompt, reply
        try:
            yield self._book
        finally:
            prompt, reply = self._promised
            self._promised = prompt - prompt_tokens, reply - reply_tokens

    def _book(self, prompt_tokens: int, reply_tokens: int) -> None:
        self.prompt_tokens += prompt_tokens
        self.reply_tokens += reply_tokens

    def _must_bear(self, prompt: int, reply: int, next_prompt: int, next_reply: int) -> None:
        limits = self.limits
        if limits.tokens is not None and prompt + reply > limits.tokens:
            raise BudgetSpent(
                f"the run may use {limits.tokens:,} tokens, {self.prompt_tokens + self.reply_tokens:,} are used, the "
                f"next request may take {next_prompt + next_reply:,}; raise the limit and start again"
            )
        if limits.money is not None and limits.cost(prompt, reply) > limits.money:
            raise BudgetSpent(
                f"the run may cost {limits.money:.2f}, {self.cost:.2f} is spent and the next request may take "
                f"{limits.cost(next_prompt, next_reply):.4f}; raise the limit and start again"
            )


class Pace:
    """Lets requests through: so many at once, so many a minute, so many tokens a minute, in the order they came."""

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._room = asyncio.Semaphore(limits.at_once)
        self._clock, self._sleep = clock, sleep
        self._buckets = [
            (_Bucket(rate / 60, clock()), by_token)
            for rate, by_token in ((limits.requests_per_minute, False), (limits.tokens_per_minute, True))
            if rate is not None
        ]
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def slot(self, tokens: int) -> AsyncIterator[None]:
        """A place for one request that may take so many tokens."""
        async with self._room:
            if self._buckets:
                async with self._turn:
                    for bucket, by_token in self._buckets:
                        await self._sleep(bucket.take(tokens if by_token else 1, self._clock()))
            yield


class _Bucket:
    """Fills at a steady rate up to a second's worth; what is taken beyond that is waited for."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate, self.level, self.last = rate, rate, now

    def take(self, amount: float, now: float) -> float:
        """Seconds to wait until so much is there."""
        self.level = min(self.rate, self.level + (now - self.last) * self.rate) - amount
        self.last = now
        return max(0.0, -self.level / self.rate)
