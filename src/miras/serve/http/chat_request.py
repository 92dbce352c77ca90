"""OpenAI's chat request as a conversation about one image, and what of it cannot be meant here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from miras.model.session import ANSWER_LIMIT
from miras.serve.http.bodies import Words
from miras.serve.http.outlines import MaskForm
from miras.serve.http.refusals import Refusal
from miras.serve.http.sessions import checked
from miras.serve.http.settings import ServerSettings
from miras.types import Turn

__all__ = ["ChatRequest", "Conversation", "Message", "conversation_of"]


class _Text(BaseModel):
    type: Literal["text"]
    text: Words


class _Address(BaseModel):
    url: str = Field(description="data:image/png;base64,…, or an address on a host that the server may ask.")


class _Image(BaseModel):
    type: Literal["image_url"]
    image_url: _Address


class Message(BaseModel):
    """One message; whatever else it holds is not read, such as the masks of an answer that is sent again."""

    model_config = ConfigDict(extra="allow", strict=True)

    role: Literal["user", "assistant"] = Field(description="The model knows no system message and no tools.")
    content: Words | list[Annotated[_Text | _Image, Field(discriminator="type")]] = Field(
        description="An answer as it came, `[OBJ]phrase[SEG]` included."
    )

    @property
    def text(self) -> str:
        """The words alone."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, _Text))

    @property
    def images(self) -> list[str]:
        """The addresses of the images."""
        return [] if isinstance(self.content, str) else [p.image_url.url for p in self.content if isinstance(p, _Image)]


class _StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """OpenAI's chat request with two fields more. Answers are the likeliest words: temperature, top_p, seed and other
    fields of sampling are taken and change nothing."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: Literal[1] | None = Field(default=None, description="There is one likeliest answer.")
    mask_format: MaskForm = Field(default="rle", description="How the masks of `segments` are written.")
    session: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{16,64}$",
        description="The `session` of an earlier answer: `messages` then holds the next question alone.",
    )


@dataclass(frozen=True)
class Conversation:
    """What a chat request asks."""

    question: str
    limit: int
    """Tokens."""
    image: str | None
    """Its address; None where the conversation goes on by its name."""
    history: tuple[Turn, ...] = ()


_REFUSED = ("tools", "functions", "stop", "logit_bias", "logprobs", "top_logprobs", "audio")
_UNSET: dict[str, tuple[Any, ...]] = {
    "tool_choice": (None, "none", "auto"),
    "function_call": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
}


def conversation_of(body: ChatRequest, settings: ServerSettings) -> Conversation:
    """Read a chat request. Raises Refusal with 400 for what the model cannot do, 404 for another model."""
    if body.model != settings.model:
        message = f"there is no model {body.model!r:.80} here, only {settings.model!r}"
        raise Refusal(404, "model_not_found", message, param="model")
    _refuse(body.model_extra or {})
    _check_messages(body.messages, settings)
    images = {url for message in body.messages for url in message.images}
    limit = min(body.max_completion_tokens or body.max_tokens or ANSWER_LIMIT, settings.answer_tokens)
    question = body.messages[-1].text
    if body.session is not None:
        if images or len(body.messages) > 1:
            raise _wrong("with `session`, messages holds the next question alone; what came before is known")
        return Conversation(question, limit, None)
    if len(images) != 1 or not body.messages[0].images:
        raise _wrong(f"a conversation is about one image, given in its first message; got {len(images)} images")
    history = tuple(Turn(message.role, message.text) for message in body.messages[:-1])
    return Conversation(question, limit, images.pop(), history)


def _check_messages(messages: Sequence[Message], settings: ServerSettings) -> None:
    """Raise Refusal unless user and assistant take turns, and neither says too much."""
    for place, message in enumerate(messages):
        if message.role != ("assistant" if place % 2 else "user"):
            raise _wrong("messages alternate between user and assistant, and begin and end with the user")
        if message.role == "assistant" and (message.images or (message.model_extra or {}).get("tool_calls")):
            raise _wrong("an assistant's message holds text alone")
        checked(message.text, settings.words)
    if len(messages) % 2 == 0:
        raise _wrong("the last message is the user's question")
    if len(messages) > 2 * settings.turns:
        raise _wrong(f"a conversation has at most {settings.turns} questions; begin another")


def _refuse(extra: dict[str, Any]) -> None:
    """Raise Refusal for fields that would have to change the answer."""
    for name in _REFUSED:
        if extra.get(name):
            raise Refusal(400, "unsupported", f"{name} is not supported; leave it out", param=name)
    for name, unset in _UNSET.items():
        if extra.get(name) not in unset:
            raise Refusal(400, "unsupported", f"{name} is not supported; leave it out", param=name)


def _wrong(why: str) -> Refusal:
    return Refusal(400, "invalid_messages", why, param="messages")
