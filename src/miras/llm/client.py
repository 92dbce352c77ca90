"""A client for any OpenAI-compatible server: paced, retried, cached, within a budget, and answered in a known form.

How a server is told the form of a reply differs: by JSON schema, by `json_object`, or by words alone. The client begins
with the first and steps down when the server refuses it, and checks every reply itself, whatever the server promised.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_args
from weakref import WeakValueDictionary

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ValidationError

from miras.errors import LlmError, ReplyRejected
from miras.llm.limits import Budget, Limits, Pace
from miras.llm.requests import hashed, prompt_tokens
from miras.llm.store import Reply, Store, key_of
from miras.waits import wait_before_next

__all__ = ["Client", "Endpoint", "Form", "Message"]

_LOG = logging.getLogger(__name__)

Form = Literal["json_schema", "json_object", "words"]
Message = dict[str, Any]
_Answer = TypeVar("_Answer", bound=BaseModel)

_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)
_NEW_LIMIT = "max_completion_tokens"
"""What OpenAI's newer models call `max_tokens`, which they refuse."""
_SEED = re.compile(r"\bseed\b")
_LONGEST_WAIT = 120.0
_SCHEMA = "Reply with one JSON object and nothing else. It follows this JSON schema:\n"
_REFUSED = {400, 404, 415, 422, 501}
"""Answers to a form that a server does not know."""
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
        self.form: Form = noted if noted in get_args(Form) else "json_schema"  # type: ignore[assignment]
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
        and asked again. Raises ReplyRejected when that does not help, BudgetSpent, or LlmError when the server fails.
        """
        talk, rule, wrong = list(messages), "schema", ""
        for attempt in range(self.endpoint.repairs + 1):
            self.repaired += attempt > 0
            reply = await self._reply(talk, answer, self.endpoint.seed if seed is None else seed)
            try:
                read = answer.model_validate_json(_bare(reply.text))
                if check is not None:
                    check(read)
            except (ValidationError, ReplyRejected) as error:
                rule, wrong = _told(error)
                # some servers take the schema and ignore it, so it is said in words as well
                again = f"That reply cannot be used: {wrong}. Reply again. {_SCHEMA}{json.dumps(_schema(answer))}"
                talk += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": again}]
            else:
                return read
        times = self.endpoint.repairs + 1
        raise ReplyRejected(
            f"the reply broke its rules {times} times, at last: {wrong}; drop the item or try another model", rule
        )

    async def say(self, messages: Sequence[Message]) -> Reply:
        """What the model says to a conversation, in no form that it is told; empty where it says nothing.

        Raises ReplyRejected when the server takes no such conversation (too long, or against its rules), BudgetSpent,
        or LlmError when it fails.
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
        while True:
            form, limit, seeded = self.form, self.limit, seed is not None and self.sends_seeds
            try:
                if answer is None:
                    return await self._once(self._request(messages), seed, empty=True)
                return await self._once(self._in_form(messages, answer, form), seed)
            except openai.APIStatusError as error:
                if limit != _NEW_LIMIT and _NEW_LIMIT in str(error):
                    self.limit = self._learn("limit", _NEW_LIMIT)
                elif seeded and error.status_code in _REFUSED and _SEED.search(str(error)):
                    self._learn("seeds", "refused")
                    self.sends_seeds = False
                elif answer is None and error.status_code in _NOT_THIS:
                    raise ReplyRejected(
                        f"{self._who} takes no such conversation: {error.message:.300}", "refused"
                    ) from error
                elif answer is None or form == "words" or error.status_code not in _REFUSED:
                    raise LlmError(f"{self._who} answered {error.status_code}: {error.message:.300}") from error
                elif self.form == form:
                    self._step_down(form, error)

    async def _once(self, request: dict[str, Any], seed: int | None, *, empty: bool = False) -> Reply:
        """The reply to a request, from the store where it is there. Who asks the same at the same time waits for it."""
        seeded = request if seed is None else {**request, "seed": seed}
        key = key_of({"base_url": self.endpoint.base_url, **hashed(seeded)})
        if self.sends_seeds:
            request = seeded
        lock = self._asking.setdefault(key, asyncio.Lock())
        async with lock:
            if (kept := self.store.reply(key)) is not None:
                self.cached += 1
                return kept
            expected = prompt_tokens(request), self.endpoint.max_tokens
            async with self.pace.slot(sum(expected)), self.budget.promise(*expected) as used:
                reply = await self._send(request, empty)
                self.store.keep(key, reply)
                used(reply.prompt_tokens, reply.reply_tokens)
                return reply

    def _step_down(self, form: Form, error: openai.APIStatusError) -> None:
        forms = get_args(Form)
        self.form = forms[forms.index(form) + 1]
        self._learn("form", self.form)
        _LOG.info("%s refuses %s (%s); asking by %s", self._who, form, error.status_code, self.form)

    def _known(self, what: str) -> str | None:
        """What an earlier start has learned about the server."""
        return self.store.note(f"{what} of {self.endpoint.base_url} {self.endpoint.model}")

    def _learn(self, what: str, value: str) -> str:
        self.store.write_down(f"{what} of {self.endpoint.base_url} {self.endpoint.model}", value)
        return value

    def _request(self, messages: Sequence[Message]) -> dict[str, Any]:
        request = {"model": self.endpoint.model, "messages": list(messages), self.limit: self.endpoint.max_tokens}
        if self.endpoint.temperature is not None:
            request["temperature"] = self.endpoint.temperature
        return request

    def _in_form(self, messages: Sequence[Message], answer: type[BaseModel], form: Form) -> dict[str, Any]:
        schema, request = _schema(answer), self._request(messages)
        if form == "json_schema":
            named = {"name": answer.__name__, "schema": schema, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
            return request
        if form == "json_object":
            request["response_format"] = {"type": "json_object"}
        request["messages"] = [{"role": "system", "content": f"{_SCHEMA}{json.dumps(schema)}"}, *messages]
        return request

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


@cache
def _schema(answer: type[BaseModel]) -> dict[str, Any]:
    return answer.model_json_schema()


def _read(answered: Any, seconds: float, empty: bool) -> Reply:
    """The reply in a completion, or what the model says instead. Raises ValueError where there is none.

    So it is from a server that was cut off. With `empty`, a model may say nothing.
    """
    choice = answered.choices[0]
    text, used = choice.message.content or getattr(choice.message, "refusal", None) or "", answered.usage
    if not isinstance(text, str) or not (text.strip() or empty):
        raise ValueError(f"the completion holds no text, it ended by {choice.finish_reason}")
    return Reply(text, used.prompt_tokens if used else 0, used.completion_tokens if used else 0, seconds)


def _bare(text: str) -> str:
    """The JSON of a reply that stands in a code fence, or between words."""
    text = text.strip()
    if fenced := _FENCE.match(text):
        return fenced[1]
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _told(error: ValidationError | ReplyRejected) -> tuple[str, str]:
    """Which rule is broken, and how."""
    if isinstance(error, ReplyRejected):
        return error.rule, str(error)
    parts = [f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in error.errors()[:3]]
    return "schema", "; ".join(parts)
