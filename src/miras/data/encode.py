"""Dialogues → token ids and labels. Training and sessions write every turn with the same pieces, so the ids of a
conversation are the same whether it was read from a file or spoken turn by turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from miras import tokens
from miras.types import Dialogue

__all__ = ["CHATML", "IGNORE", "VICUNA", "ChatFormat", "Encoded", "Encoder", "Tokenizer"]

IGNORE = -100
"""Label of tokens that are not trained on."""


class Tokenizer(Protocol):
    """What is needed of a Hugging Face tokenizer."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """The ids of a text."""

    def decode(self, token_ids: list[int], **kwargs: Any) -> str:
        """The text of some ids."""

    def convert_tokens_to_ids(self, tokens: str) -> int:
        """The id of one token."""


@dataclass(frozen=True)
class ChatFormat:
    """The words around turns: `start` once, then `user` question `assistant` answer `stop` `after`, repeated."""

    start: str
    user: str
    assistant: str
    stop: str
    after: str


CHATML = ChatFormat("", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>", "\n")
VICUNA = ChatFormat(
    "<s>A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the human's questions. ",
    "USER: ", " ASSISTANT: ", "</s>", "",
)  # fmt: skip


@dataclass(frozen=True)
class Encoded:
    """One dialogue as ids, and which of them are to be predicted."""

    ids: list[int]
    labels: list[int]


class Encoder:
    """Writes turns as ids with one tokenizer and one chat format."""

    def __init__(self, tokenizer: Tokenizer, chat: ChatFormat) -> None:
        self.tokenizer = tokenizer
        self.chat = chat
        self.obj_id, self.seg_id, self.image_id = (tokenizer.convert_tokens_to_ids(t) for t in tokens.SPECIAL)
        self.stop_id = tokenizer.convert_tokens_to_ids(chat.stop)

    def text(self, text: str) -> list[int]:
        """The ids of a piece of text, alone."""
        return self.tokenizer.encode(text, add_special_tokens=False) if text else []

    def question(self, text: str, *, image_tokens: int) -> list[int]:
        """The ids from the end of the last turn to the start of the answer; the first turn holds the image."""
        image = [self.image_id] * image_tokens + self.text("\n") if image_tokens else []
        begin = self.text(self.chat.start) if image_tokens else self.text(self.chat.after)
        words = self.text(_without_special(text))
        return begin + self.text(self.chat.user) + image + words + self.text(self.chat.assistant)

    def answer(self, text: str) -> list[int]:
        """The ids of an answer and the token that ends it."""
        return [*self.text(text), self.stop_id]

    def dialogue(self, dialogue: Dialogue, *, image_tokens: int, named: bool = True) -> Encoded:
        """A whole dialogue; `named=False` leaves the names out of `[OBJ]{name}[SEG]`."""
        ids: list[int] = []
        labels: list[int] = []
        for index in range(0, len(dialogue.turns), 2):
            question, answer = dialogue.turns[index : index + 2]
            asked = self.question(question.text, image_tokens=0 if index else image_tokens)
            said = self.answer(answer.text if named else tokens.bare(answer.text))
            ids += asked + said
            labels += [IGNORE] * len(asked) + (said if answer.trained else [IGNORE] * len(said))
        return Encoded(ids, labels)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids → text with the special tokens `[OBJ]` and `[SEG]` kept and the stop token left out."""
        return self.tokenizer.decode(
            [i for i in ids if i != self.stop_id], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )


def _without_special(text: str) -> str:
    """A user's words cannot ask for masks or images by writing the special tokens."""
    return tokens.strip(text)
