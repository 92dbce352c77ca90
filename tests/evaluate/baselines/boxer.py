"""A stand-in for a general model: names a box where one is asked for, and says a word or two otherwise."""

from typing import Any

__all__ = ["reply", "words"]


def reply(request: dict[str, Any]) -> str:
    """The content of a reply to a request, the same every time."""
    asked = words(request["messages"][-1])
    if "<box>" in asked:
        return f"<box>(0, 0), ({1 + len(asked) % 7}, 5)</box> "
    return f"I was asked {len(request['messages'])} things."


def words(message: dict[str, Any]) -> str:
    """The text of a message, whose content may be in parts."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
