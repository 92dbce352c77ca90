"""The form of a reply: how a server is told of it, and how a reply is read in it."""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError

from miras.errors import ReplyRejected

__all__ = ["FORMS", "Form", "Message", "bare", "schema", "told", "what_is_wrong", "wished"]

Form = Literal["json_schema", "json_object", "words"]
"""How a server is told: by a schema, by the wish for JSON with the schema in words, or in words alone."""
FORMS: tuple[Form, ...] = get_args(Form)
"""From the strictest to what every server takes."""
Message = dict[str, Any]
"""One turn of a chat, as the protocol has it."""

_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


@cache
def schema(answer: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a form."""
    return answer.model_json_schema()


def wished(answer: type[BaseModel]) -> str:
    """The wish for that form in words."""
    return f"Reply with one JSON object and nothing else. It follows this JSON schema:\n{json.dumps(schema(answer))}"


def told(messages: Sequence[Message], answer: type[BaseModel], form: Form) -> dict[str, Any]:
    """The parts of a request that ask for an `answer`: `messages`, and `response_format` where it is used."""
    if form == "json_schema":
        named = {"name": answer.__name__, "schema": schema(answer), "strict": True}
        return {"messages": list(messages), "response_format": {"type": form, "json_schema": named}}
    asked = {"messages": [{"role": "system", "content": wished(answer)}, *messages]}
    return asked if form == "words" else {**asked, "response_format": {"type": form}}


def bare(text: str) -> str:
    """The JSON of a reply that stands in a code fence, or between words."""
    text = text.strip()
    if fenced := _FENCE.match(text):
        return fenced[1]
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def what_is_wrong(error: ValidationError | ReplyRejected) -> tuple[str, str]:
    """(the rule that a reply breaks, how it does so)."""
    if isinstance(error, ReplyRejected):
        return error.rule, str(error)
    parts = [f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in error.errors()[:3]]
    return "schema", "; ".join(parts)
