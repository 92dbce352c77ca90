"""One conversation with a general model: what it is sent, turn by turn, and what it says.

It is asked in plain chat. Where the true answer marks something, the prompt for a box (paper, figure "Segmentation
Prompt") is added to the user's words; all other turns are the user's words alone.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from miras import tokens
from miras.errors import ReplyRejected
from miras.evaluate.cases import Case
from miras.evaluate.predictions import History
from miras.llm.client import Client
from miras.llm.forms import Message
from miras.llm.pictures import Sent
from miras.llm.prompts import Prompts

__all__ = ["PROMPTS", "Held", "Uttered", "asks_for_box", "hold"]

PROMPTS = Prompts("miras.evaluate.baselines", ("box",))
"""The prompt for a box."""


@dataclass(frozen=True)
class Uttered:
    """What the model said in one turn."""

    text: str
    seconds: float | None = None
    refused: bool = False
    """Whether the server did not take the conversation; the text is empty then."""


@dataclass(frozen=True)
class Held:
    """A conversation as it was held."""

    id: str
    """Of the case."""
    uttered: tuple[Uttered, ...]
    sent: tuple[int, int] | None = None
    """(height, width) of the image as the model was sent it; None where there is no image, and nothing was asked."""
    original: tuple[int, int] | None = None
    """(height, width) of the upright original."""

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Held":
        """What `to_json` gave."""
        sizes = (None if kept[name] is None else (kept[name][0], kept[name][1]) for name in ("sent", "original"))
        return cls(kept["id"], tuple(Uttered(**one) for one in kept["uttered"]), *sizes)


def asks_for_box(case: Case, turn: int) -> bool:
    """Whether the true answer of that turn marks something."""
    return tokens.SEG in case.dialogue.answers[turn]


async def hold(case: Case, image: Sent | None, client: Client, history: History) -> Held:
    """Holds the conversation of a case. Raises LlmError when the server fails, or has never answered.

    A conversation that the server does not take (too long, or against its rules) is answered by an empty text.
    """
    if image is None:
        return Held(case.id, (Uttered(""),) * len(case.dialogue.questions))
    uttered: list[Uttered] = []
    for _ in case.dialogue.questions:
        try:
            reply = await client.say(_talk(case, uttered, image, history))
        except ReplyRejected:
            uttered.append(Uttered("", refused=True))
        else:
            uttered.append(Uttered(reply.text, reply.seconds))
    return Held(case.id, tuple(uttered), image.size, image.original)


def _talk(case: Case, uttered: Sequence[Uttered], image: Sent, history: History) -> list[Message]:
    """All that is sent to be answered next: the turns so far, and the next question."""
    turn = len(uttered)
    talk: list[Message] = []
    for earlier in range(turn) if history != "none" else ():
        if history == "own":
            asked, answer = _asked(case, earlier), uttered[earlier].text
        else:
            asked, answer = case.dialogue.questions[earlier], tokens.strip(case.dialogue.answers[earlier])
        talk += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    talk.append({"role": "user", "content": _asked(case, turn)})
    shown = {"type": "image_url", "image_url": {"url": image.uri}}
    talk[0] = {"role": "user", "content": [shown, {"type": "text", "text": talk[0]["content"]}]}
    return talk


def _asked(case: Case, turn: int) -> str:
    """What the user says, with the prompt for a box where one is wanted."""
    question = case.dialogue.questions[turn]
    return PROMPTS.parts("box", {"question": question})[1] if asks_for_box(case, turn) else question
