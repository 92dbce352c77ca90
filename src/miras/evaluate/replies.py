"""Whether replies mark something when they should, and only then."""

from collections.abc import Iterable, Sequence
from typing import Any

from miras import tokens
from miras.types import Dialogue, Said

__all__ = ["reply_figures"]


def reply_figures(pairs: Iterable[tuple[Dialogue, Sequence[Said]]]) -> dict[str, Any]:
    """How often a mask is asked for when it should be, and when it should not, over all turns.

    `seg_rate`: share of turns whose true answer marks something in which the reply's text is well formed, every `[SEG]`
    closing a named `[OBJ]`; `marked_rate`: in which it gives a mask, whatever its text.
    `false_seg_rate`: share of the other turns in which the reply holds a `[SEG]` or a mask. None without such turns.
    `empty`: replies without a word.
    """
    formed: list[bool] = []
    given: list[bool] = []
    unasked: list[bool] = []
    empty = 0
    for dialogue, replies in pairs:
        for true, said in zip(dialogue.answers, replies, strict=True):
            empty += not said.text
            if tokens.SEG in true:
                formed.append(tokens.well_formed(said.text))
                given.append(bool(said.masks))
            else:
                unasked.append(tokens.SEG in said.text or bool(said.masks))
    return {
        "seg_rate": sum(formed) / len(formed) if formed else None,
        "marked_rate": sum(given) / len(given) if given else None,
        "false_seg_rate": sum(unasked) / len(unasked) if unasked else None,
        "seg_turns": len(formed),
        "text_turns": len(unasked),
        "empty": empty,
    }
