"""What is known of a request before it is sent: what its reply is kept under, and how long its prompt may be."""

import json
from collections.abc import Sequence
from typing import Any

from miras.llm.store import key_of

__all__ = ["hashed", "prompt_tokens"]

_IMAGE_TOKENS = 1500
"""Tokens that an image may count for, before its request was answered."""
_LETTERS_PER_TOKEN = 2.5


def hashed(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with their images by their hash, so that a key is made quickly from something short."""

    def part(one: Any) -> Any:
        if isinstance(one, dict) and one.get("type") == "image_url":
            return {"image": key_of(one["image_url"])}
        return one

    return [
        {**message, "content": [part(one) for one in message["content"]]}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


def prompt_tokens(request: dict[str, Any]) -> int:
    """About how many tokens the prompt has, rather too many."""
    letters = images = 0
    for message in request["messages"]:
        for one in message["content"] if isinstance(message["content"], list) else [message["content"]]:
            images += isinstance(one, dict) and one.get("type") == "image_url"
            letters += len(one if isinstance(one, str) else one.get("text", ""))
    letters += len(json.dumps(request.get("response_format", "")))
    return int(letters / _LETTERS_PER_TOKEN) + images * _IMAGE_TOKENS
