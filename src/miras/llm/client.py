"""A client for any OpenAI-compatible server: paced, retried, cached, within a budget, and answered in a known form.

How a server is told the form of a reply differs: by JSON schema, by `json_object`, or by words alone. The client begins
with the first and steps down while the server refuses, and checks every reply itself, whatever the server promised.
Once the server has answered in a form, a refusal is about the conversation (too long, or against the server's rules).
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ValidationError

from miras.errors import LlmError, ReplyRejected
from miras.llm.forms import FORMS, Form, Message, bare, schema, told, what_is_wrong, wished
from miras.llm.limits import Budget, Limits, Pace
from miras.llm.requests import hashed, prompt_tokens
from miras.llm.store import Reply, Store, key_of
from miras.waits import wait_before_next

__all__ = ["REFUSED", "Client", "Endpoint"]

REFUSED = "refused"
"""The rule that a conversation breaks which the server does not take."""

_LOG = logging.getLogger(__name__)

_Answer = TypeVar("_Answer", bound=BaseModel)

_NEW_LIMIT = "max_completion_tokens"
"""What OpenAI's newer models call `max_tokens`, which they refuse."""
_TALK = "talk"
"""What an answer in no form counts as."""
_SEED = re.compile(r"\bseed\b")
_LONGEST_WAIT = 120.0
_UNKNOWN = {400, 404, 415, 422, 501}
"""Answers to a form or a seed that a server does not know."""
_NOT_THIS = {400, 413, 422}
"""Answers to a conversation that a server does not take, though it may take others."""


@dataclass(frozen=True)
class Endpoint:
    """Which server, which model, and how it is asked."""

    model: str
    base_url: str | None = None
    """None is OpenAI's own."""
    temperature: float | None = None
    max_tokens: int = 2048
    """Most tokens of one reply."""
    seed: int | None = None
    timeout: float = 120.0
    """Seconds until a request is given up."""
    tries: int = 10
    """Requests for one reply, when the server is busy, broken or gone."""
    repairs: int = 2
    """Times that a reply which breaks its schema or rules is asked for again, with what is wrong."""


class Client:
    """Asks one endpoint, and keeps every reply in a store."""

    def __init__(self, endpoint: Endpoint, store: Store, limits: Limits, *, server: openai.AsyncOpenAI) -> None:
        self.endpoint, self.store, self.server = endpoint, store, server
        self.budget = Budget(limits, *store.spent()[1:])
        self.pace = Pace(limits)
        noted = self._known("form")
        self.form: Form = next((form for form in FORMS if form == noted), FORMS[0])
        self._settled = {form for form in (noted, self._known(_TALK)) if form is not None}
        self.limit = self._known("limit") or "max_tokens"
        self.sends_seeds = self._known("seeds") != "refused"
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.asked = self.cached = self.retried = self.repaired = 0

    async def ask(
        self,
        messages: Sequence[Message],
        answer: type[_Answer],
        check: Callable[[_Answer], None] | None = None,
        *,
        seed: int | None = None,
    ) -> _Answer:
        """The reply as an `answer`, after `check` has found nothing wrong with it.

        `seed` stands in for the endpoint's. What is asked again under another seed is another question with a reply of
        its own, also where the server does not know seeds.

        `check` raises ReplyRejected with what is wrong; the model is told, as it is told where the schema is broken,
        and asked again. Raises ReplyRejected when that does not help, and under the rule REFUSED when the server takes
        no such conversation; BudgetSpent; and LlmError when the server fails or has never answered.
        """
        talk, rule, wrong = list(messages), "schema", ""
        for attempt in range(self.endpoint.repairs + 1):
            self.repaired += attempt > 0
            reply = await self._reply(talk, answer, self.endpoint.seed if seed is None else seed)
            try:
                read = answer.model_validate_json(bare(reply.text))
                if check is not None:
                    check(read)
            except (ValidationError, ReplyRejected) as error:
                rule, wrong = what_is_wrong(error)
                # some servers take the schema and ignore it, so it is said in words as well
                again = f"That reply cannot be used: {wrong}. Reply again. {wished(answer)}"
                talk += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": again}]
            else:
                return read
        times = self.endpoint.repairs + 1
        raise ReplyRejected(
            f"the reply broke its rules {times} times, at last: {wrong}; drop the item or try another model", rule
        )

    async def say(self, messages: Sequence[Message]) -> Reply:
        """What the model says to a conversation, in no form that it is told; empty where it says nothing.

        Raises ReplyRejected under the rule REFUSED when the server takes no such conversation; BudgetSpent; and
        LlmError when the server fails or has never answered.
        """
        return await self._reply(messages, None, self.endpoint.seed)

    @property
    def spent(self) -> dict[str, int | float]:
        """What was asked in this start, and what all starts together used."""
        return {
            "requests": self.asked,
            "from_store": self.cached,
            "asked_again_by_error": self.retried,
            "asked_again_by_rule": self.repaired,
            "prompt_tokens": self.budget.prompt_tokens,
            "reply_tokens": self.budget.reply_tokens,
            "cost": round(self.budget.cost, 6),
        }

    async def _reply(self, messages: Sequence[Message], answer: type[BaseModel] | None, seed: int | None) -> Reply:
        question = self._question(messages, answer, seed)
        lock = self._asking.setdefault(question, asyncio.Lock())
        async with lock:  # who asks the same at the same time waits for it
            if (kept := self.store.reply(question)) is not None:
                self.cached += 1
                return kept
            while True:
                form: Form | None = None if answer is None else self.form
                request = self._request(messages, answer, seed if self.sends_seeds else None)
                try:
                    reply = await self._paid(question, request, empty=answer is None)
                except openai.APIStatusError as error:
                    self._learn_from(error, request, form)
                else:
                    self._settle(form)
                    return reply

    def _question(self, messages: Sequence[Message], answer: type[BaseModel] | None, seed: int | None) -> str:
        """What a reply is kept under: all that is asked, and nothing of how this server must be asked."""
        endpoint = self.endpoint
        return key_of(
            {
                "server": endpoint.base_url,
                "model": endpoint.model,
                "messages": hashed(messages),
                "temperature": endpoint.temperature,
                "tokens": endpoint.max_tokens,
                "seed": seed,
                "answer": None if answer is None else schema(answer),
            }
        )

    async def _paid(self, question: str, request: dict[str, Any], *, empty: bool) -> Reply:
        """The reply to a request, within pace and purse, kept."""
        expected = prompt_tokens(request), self.endpoint.max_tokens
        async with self.pace.slot(sum(expected)), self.budget.promise(*expected) as used:
            reply = await self._send(request, empty)
            self.store.keep(question, reply)
            used(reply.prompt_tokens, reply.reply_tokens)
            return reply

    def _learn_from(self, error: openai.APIStatusError, request: dict[str, Any], form: Form | None) -> None:
        """Returns when asking in another way may help. Raises ReplyRejected or LlmError where it will not."""
        status = error.status_code
        if _NEW_LIMIT not in request and _NEW_LIMIT in str(error):
            self.limit = self._learn("limit", _NEW_LIMIT)
        elif "seed" in request and status in _UNKNOWN and _SEED.search(str(error)):
            self._learn("seeds", "refused")
            self.sends_seeds = False
        elif status in _NOT_THIS and (form or _TALK) in self._settled:
            raise ReplyRejected(f"{self._who} takes no such conversation: {error.message:.300}", REFUSED) from error
        elif form is not None and form != self.form:
            return  # another conversation has found a form by now
        elif form not in (None, FORMS[-1], *self._settled) and status in _UNKNOWN:
            self.form = FORMS[FORMS.index(self.form) + 1]
            _LOG.info("%s refuses %s (%s); asking by %s", self._who, form, status, self.form)
        else:
            hint = "" if self._settled else "; it has answered nothing so far, so see whether the model's name is right"
            raise LlmError(f"{self._who} answered {status}: {error.message:.300}{hint}") from error

    def _settle(self, form: Form | None) -> None:
        """The first form that the server answers in is the one that it is asked in from then on."""
        if form is None and _TALK not in self._settled:
            self._settled.add(self._learn(_TALK, _TALK))
        elif form is not None and self._settled.isdisjoint(FORMS):
            self.form = form
            self._settled.add(self._learn("form", form))

    def _known(self, what: str) -> str | None:
        """What an earlier start has learned about the server."""
        return self.store.note(f"{what} of {self.endpoint.base_url} {self.endpoint.model}")

    def _learn(self, what: str, value: str) -> str:
        self.store.write_down(f"{what} of {self.endpoint.base_url} {self.endpoint.model}", value)
        return value

    def _request(self, messages: Sequence[Message], answer: type[BaseModel] | None, seed: int | None) -> dict[str, Any]:
        """The request as this server takes it, as far as that is known."""
        request = {"model": self.endpoint.model, self.limit: self.endpoint.max_tokens}
        if self.endpoint.temperature is not None:
            request["temperature"] = self.endpoint.temperature
        if seed is not None:
            request["seed"] = seed
        return request | ({"messages": list(messages)} if answer is None else told(messages, answer, self.form))

    async def _send(self, request: dict[str, Any], empty: bool) -> Reply:
        """One reply, after as many requests as it takes. Errors that another try will not mend come through."""
        reason: Exception | None = None
        for attempt in range(self.endpoint.tries):
            self.retried += attempt > 0
            self.asked += 1
            start, asked_for = time.monotonic(), None
            try:
                # `chat.completions.create` walks through every message to rename fields: 40 % of the processor's time
                answered = await self.server.post(
                    "/chat/completions",
                    cast_to=ChatCompletion,
                    body=request,
                    options={"timeout": self.endpoint.timeout},
                )
                return _read(answered, time.monotonic() - start, empty)
            except openai.APIStatusError as error:
                if error.status_code not in (408, 409, 429) and error.status_code < 500:
                    raise
                reason, asked_for = error, error.response.headers.get("retry-after")
            except (openai.APIError, ValueError, LookupError, TypeError) as error:
                reason = error
            _LOG.info("%s: %s %s, try %s", self._who, type(reason).__name__, str(reason)[:200], attempt + 1)
            if attempt + 1 < self.endpoint.tries:
                await asyncio.sleep(wait_before_next(attempt, asked_for, _LONGEST_WAIT))
        raise LlmError(
            f"{self._who} gave no reply in {self.endpoint.tries} tries, at last: {type(reason).__name__} {reason}; "
            "see whether the server runs, then start again"
        ) from reason

    @property
    def _who(self) -> str:
        return f"{self.endpoint.model} at {self.endpoint.base_url or 'OpenAI'}"


def _read(answered: Any, seconds: float, empty: bool) -> Reply:
    """The reply in a completion, or what the model says instead. Raises ValueError where there is none.

    So it is from a server that was cut off. With `empty`, a model may say nothing.
    """
    choice = answered.choices[0]
    text, used = choice.message.content or getattr(choice.message, "refusal", None) or "", answered.usage
    if not isinstance(text, str) or not (text.strip() or empty):
        raise ValueError(f"the completion holds no text, it ended by {choice.finish_reason}")
    return Reply(text, used.prompt_tokens if used else 0, used.completion_tokens if used else 0, seconds)
