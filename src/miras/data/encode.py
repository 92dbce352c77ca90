"""Dialogues → token ids and labels. Training and sessions write every turn with the same pieces, so the ids of a
conversation are the same whether it was read from a file or spoken turn by turn.

Control tokens come from the chat format, and `[OBJ]` and `[SEG]` from answers; written anywhere else they are
letters like any others, so no text can end a turn, ask for a mask or stand for an image.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from miras import tokens
from miras.types import Dialogue

__all__ = ["CHATML", "FORMATS", "IGNORE", "VICUNA", "ChatFormat", "Encoded", "Encoder", "Row", "Tokenizer", "row"]

IGNORE = -100
"""Label of tokens that are not trained on."""


class Tokenizer(Protocol):
    """What is needed of a Hugging Face tokenizer."""

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = ...) -> list[int]:
        """The ids of a text; with `split_special_tokens` the names of special tokens are read as letters."""

    def decode(self, token_ids: list[int], **kwargs: Any) -> str:
        """The text of some ids."""

    def convert_tokens_to_ids(self, tokens: str) -> int:
        """The id of one token."""


@dataclass(frozen=True)
class ChatFormat:
    """The words around turns: `start` once, then `user` question `assistant` answer `stop` `after`, repeated.

    The image stands between `before_image` and `after_image`, in front of the first question. `gap` stands between
    a role's name and what it says; a question behind an image has none.
    """

    start: str
    user: str
    assistant: str
    stop: str
    after: str
    gap: str = ""
    before_image: str = ""
    after_image: str = "\n"


CHATML = ChatFormat("", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>", "\n")
VICUNA = ChatFormat(
    "<s>A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the human's questions. ",
    "USER:", " ASSISTANT:", "</s>", "", gap=" ",
)  # fmt: skip
FORMATS = {
    "chatml": CHATML,
    "internvl": replace(CHATML, before_image="<img>", after_image="</img>\n"),
    "lisa": replace(VICUNA, before_image="<im_start>", after_image="<im_end>\n"),
    "vicuna": VICUNA,
}
"""How turns are written by name: for Qwen and SmolLM, InternVL, LISA (its template `llava_v1`), LLaVA on Vicuna."""


@dataclass(frozen=True)
class Encoded:
    """One dialogue as ids, and which of them are to be predicted."""

    ids: list[int]
    labels: list[int]
    spans: tuple[tokens.Span, ...] = ()
    """Where each answer's `[OBJ]…[SEG]`s stand; none reaches over the end of its answer."""
    opening: int = 0
    """How many of the ids stand before the first question's words."""


@dataclass(frozen=True)
class Row:
    """Dialogues about one image behind one another, the opening that they share written once."""

    ids: list[int]
    labels: list[int]
    block: list[int]
    """The number of the dialogue that each id belongs to, -1 in the opening."""
    spans: tuple[tuple[int, tokens.Span], ...]
    """The dialogues' numbers and spans, where they stand now."""


_CONTROL = re.compile(r"(</?\|?\w+\|?>)")
_TARGET = re.compile("|".join(f"({re.escape(token)})" for token in (tokens.OBJ, tokens.SEG)))


class Encoder:
    """Writes turns as ids with one tokenizer and one chat format."""

    def __init__(self, tokenizer: Tokenizer, chat: ChatFormat) -> None:
        self.tokenizer = tokenizer
        self.chat = chat
        self.obj_id, self.seg_id, self.image_id = (tokenizer.convert_tokens_to_ids(t) for t in tokens.SPECIAL)
        self.special_ids = (self.obj_id, self.seg_id, self.image_id)
        self.stop_id = tokenizer.convert_tokens_to_ids(chat.stop)
        self._line = self._encode("\n")
        self._spaced = self._encode("\na") != self._line + self._encode("a")

    def text(self, text: str) -> list[int]:
        """The ids of a piece of the chat format, alone; the control tokens in it are read as such."""
        if not self._spaced:
            return self._encode(text)
        ids = list[int]()
        for piece in filter(None, _CONTROL.split(text)):
            if _CONTROL.fullmatch(piece):
                ids.append(self.tokenizer.convert_tokens_to_ids(piece))
            else:  # LLaVA's tokenizer begins anew behind each control token, with a space of its own
                ids += self._inside(piece) if piece.startswith(" ") else self._encode(piece)
        return ids

    def words(self, text: str) -> list[int]:
        """The ids of somebody's words within a text; whatever they spell, they hold no control token."""
        return self._inside(text, split_special_tokens=True)

    def _encode(self, text: str, **options: bool) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False, **options) if text else []

    def _inside(self, text: str, **options: bool) -> list[int]:
        """The ids of a text that goes on from another, for tokenizers that put a space before all they are given too.

        Llama's does: there a leading space is the tokenizer's own, and where there is none a line's end is put in
        front, which never joins what follows, and taken off again.
        """
        if not self._spaced or not text:
            return self._encode(text, **options)
        if text.startswith(" ") and text.strip(" "):
            return self._encode(text[1:], **options)
        return self._encode("\n" + text, **options)[len(self._line) :]

    def question(self, text: str, *, image_tokens: int | None) -> list[int]:
        """The ids from the end of the last turn to the start of the answer.

        The first turn holds the image, in `image_tokens` tokens; a later one has None.
        """
        later = self.text(self.chat.after) + self.text(self.chat.user)
        begin = later if image_tokens is None else self.opening(image_tokens)
        gap = "" if image_tokens else self.chat.gap
        return begin + self.words(gap + tokens.strip(text).strip()) + self.text(self.chat.assistant)

    def opening(self, image_tokens: int) -> list[int]:
        """The ids that every conversation about an image begins with, up to the first question's words."""
        if not image_tokens:
            return self.text(self.chat.start + self.chat.user)
        before = self.text(self.chat.start + self.chat.user + self.chat.gap + self.chat.before_image)
        return before + [self.image_id] * image_tokens + self.text(self.chat.after_image)

    def answer(self, text: str) -> list[int]:
        """The ids of an answer and the token that ends it."""
        marks, ids = {tokens.OBJ: self.obj_id, tokens.SEG: self.seg_id}, list[int]()
        for piece in filter(None, _TARGET.split(self.chat.gap + text)):
            ids += [marks[piece]] if piece in marks else self.words(piece)
        return [*ids, self.stop_id]

    def dialogue(self, dialogue: Dialogue, *, image_tokens: int, named: bool = True) -> Encoded:
        """A whole dialogue; `named=False` leaves the names out of `[OBJ]{name}[SEG]`."""
        ids: list[int] = []
        labels: list[int] = []
        spans: list[tokens.Span] = []
        for index in range(0, len(dialogue.turns), 2):
            question, answer = dialogue.turns[index : index + 2]
            asked = self.question(question.text, image_tokens=None if index else image_tokens)
            said = self.answer(answer.text if named else tokens.bare(answer.text))
            first = len(ids) + len(asked)
            found = tokens.spans(said, obj_id=self.obj_id, seg_id=self.seg_id)
            spans += [tokens.Span(span.start + first, span.end + first) for span in found]
            ids += asked + said
            labels += [IGNORE] * len(asked) + (said if answer.trained else [IGNORE] * len(said))
        return Encoded(ids, labels, tuple(spans), len(self.opening(image_tokens)))

    def decode(self, ids: Sequence[int]) -> str:
        """Ids of an answer → its text, with the special tokens `[OBJ]` and `[SEG]` kept and the stop token left out."""
        text = self.tokenizer.decode(
            [i for i in ids if i != self.stop_id], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text if self._spaced else text.removeprefix(self.chat.gap)


def row(dialogues: Mapping[int, Encoded]) -> Row:
    """Numbered dialogues that begin alike → one row. Each keeps its ids and labels, in order, behind the opening."""
    first = next(iter(dialogues.values()))
    ids, labels, spans = first.ids[: first.opening], first.labels[: first.opening], list[tuple[int, tokens.Span]]()
    block = [-1] * first.opening
    for number, each in dialogues.items():
        moved = len(ids) - first.opening
        spans += [(number, tokens.Span(span.start + moved, span.end + moved)) for span in each.spans]
        ids, labels = ids + each.ids[first.opening :], labels + each.labels[first.opening :]
        block += [number] * (len(ids) - len(block))
    return Row(ids, labels, block, tuple(spans))
