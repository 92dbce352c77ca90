"""Many questions to a judge: each asked until its reply can be used or given up, all kept and every failure counted."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from miras.errors import ReplyRejected
from miras.evaluate.judge.forms import DIMENSIONS, Scores, Verdict
from miras.evaluate.judge.rubric import pair_messages, score_messages
from miras.evaluate.judge.talks import Talk
from miras.llm.client import REFUSED, Client
from miras.llm.forms import Message
from miras.llm.pictures import LONGEST, sent
from miras.llm.work import work_through

__all__ = ["Counts", "Judge", "Marks", "Telling", "Wanted"]

_LOG = logging.getLogger(__name__)
_Form = TypeVar("_Form", bound=BaseModel)
_Item = TypeVar("_Item")
_Found = TypeVar("_Found")

Telling = Callable[[int, float], None]
"""Is told of each answer: how many there are by now, and what has been spent over all starts."""


@dataclass(frozen=True)
class Wanted:
    """One request for scores."""

    talk: Talk
    seed: int
    order: tuple[str, ...] = tuple(DIMENSIONS)
    """The order of the dimensions in the rubric."""


@dataclass(frozen=True)
class Marks:
    """The scores of one reply."""

    marks: dict[str, float]
    """Table 4's letters → 0..5."""
    summary: str

    @property
    def overall(self) -> float:
        """Mean of the four."""
        return sum(self.marks.values()) / len(self.marks)


@dataclass
class Counts:
    """What became of the requests to a judge, over all starts of a run."""

    asked: int = 0
    """Questions: a conversation, a repeat."""
    asked_again: int = 0
    """Times that a reply could not be used and the question was asked once more."""
    missing: Counter[str] = field(default_factory=Counter)
    """Questions without an answer after all that, by the rule that the last reply broke; REFUSED where the server took
    no such question."""
    wrong_totals: int = 0
    """Replies whose total is not the sum of their scores; the total is never used."""

    def to_json(self) -> dict[str, Any]:
        """As a report holds them; unparsable are all replies that could not be used."""
        missing = self.missing.total()
        return {
            "asked": self.asked,
            "unparsable": self.asked_again + missing - self.missing[REFUSED],
            "asked_again": self.asked_again,
            "missing": missing,
            "missing_by_rule": dict(self.missing.most_common()),
            "wrong_totals": self.wrong_totals,
        }


class Judge:
    """Asks one model, and counts what comes of it.

    Every start asks everything; what was answered before comes from the client's store, so that counts and scores are
    those of the whole run however often it was interrupted.
    """

    def __init__(self, client: Client, *, longest: int = LONGEST, tell: Telling | None = None) -> None:
        self.client, self.longest, self.counts = client, longest, Counts()
        self._tell, self._done = tell, 0

    async def score(self, wanted: Sequence[Wanted]) -> list[Marks | None]:
        """The scores of each request, None where no reply could be used. Raises LlmError when the server fails."""

        async def one(want: Wanted) -> Marks | None:
            asked = score_messages(want.talk, await self._image(want.talk), want.order)
            reply = await self._ask(want.talk, asked, Scores, Scores.check, want.seed)
            if reply is None:
                return None
            self.counts.wrong_totals += not reply.total_is_right
            return Marks(reply.marks, reply.summary)

        return await self._all(wanted, one)

    async def compare(self, pairs: Sequence[tuple[Talk, Talk]], seed: int) -> list[Verdict | None]:
        """Which of each two is better, the first being A. Raises LlmError when the server fails."""

        async def one(pair: tuple[Talk, Talk]) -> Verdict | None:
            asked = pair_messages(*pair, await self._image(pair[0]))
            return await self._ask(pair[0], asked, Verdict, None, seed)

        return await self._all(pairs, one)

    async def _ask(
        self, talk: Talk, asked: Sequence[Message], form: type[_Form], check: Callable[[_Form], None] | None, seed: int
    ) -> _Form | None:
        self.counts.asked += 1
        try:
            return await self.client.ask(asked, form, check, seed=seed)
        except ReplyRejected as error:
            _LOG.info("%s: no answer: %s", talk.id, error)
            self.counts.missing[error.rule] += 1
            return None

    async def _all(
        self, wanted: Sequence[_Item], one: Callable[[_Item], Awaitable[_Found | None]]
    ) -> list[_Found | None]:
        found: list[_Found | None] = [None] * len(wanted)
        repaired = self.client.repaired

        async def work(number: int) -> None:
            found[number] = await one(wanted[number])
            self._done += 1
            if self._tell is not None:
                self._tell(self._done, self.client.budget.cost)

        await work_through(range(len(wanted)), work, at_once=2 * self.client.budget.limits.at_once)
        self.counts.asked_again += self.client.repaired - repaired
        return found

    async def _image(self, talk: Talk) -> str | None:
        return None if talk.image is None else await asyncio.to_thread(_uri, talk.image, self.longest)


@lru_cache(maxsize=64)
def _uri(path: Path, longest: int) -> str:
    """Read once for the repeats of a conversation, which are asked side by side."""
    return sent(path, longest).uri
