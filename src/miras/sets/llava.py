"""LLaVA's instructions as conversations: questions about photos of COCO, answered in words."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from miras import tokens
from miras.sets.entry import Entry, Need
from miras.sets.official import Present, none_left, read_json
from miras.sets.packed import Packed
from miras.sets.scene import Told
from miras.types import Dialogue, Turn

__all__ = ["LLAVA_INSTRUCT", "LLAVA_INSTRUCT_80K", "LlavaSet"]

_SPEAKERS = ("human", "gpt")


class LlavaSet:
    """One file of conversations; those that cannot be used are left out and counted."""

    def __init__(self, path: Path, images: Path) -> None:
        """Reads the file and lists the folder of images. Raises DataError for a file that is missing or broken."""
        self.images = images
        self.left_out: Counter[str] = Counter()
        """Why conversations were left out → how many."""
        present, kept = Present(), []
        for one in read_json(path, list, "a list of conversations"):
            told = _told(one)
            if not isinstance(told, str) and images / told["image"] not in present:
                told = "without an image file"
            if isinstance(told, str):
                self.left_out[told] += 1
            else:
                kept.append(told)
        if not kept:
            raise none_left(path, self.left_out)
        self._records = Packed(kept)

    def __len__(self) -> int:
        return len(self._records)

    def told(self, item: int) -> Told:
        """See TalkSet."""
        record = self._records[item]
        turns = tuple(
            Turn("assistant" if place % 2 else "user", text)  # the roles were looked at when it was read
            for place, text in enumerate(record["turns"])
        )
        return Told(self.images / record["image"], (Dialogue(turns, image=record["image"], kind="vqa"),))


def _told(one: Any) -> dict[str, Any] | str:
    """Image and texts of an entry, or why it cannot be used."""
    turns = one.get("conversations") if isinstance(one, dict) else None
    if not isinstance(turns, list) or not turns:
        return "of another form"
    if not isinstance(one.get("image"), str):
        return "about no image"
    texts = []
    for place, turn in enumerate(turns):
        if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
            return "of another form"
        if turn.get("from") != _SPEAKERS[place % 2]:
            return "whose speakers do not alternate"
        texts.append(turn["value"].replace(tokens.IMAGE, "").strip())
    if len(texts) % 2:
        return "that end with a question"
    if not all(texts):
        return "with an empty turn"
    if any(token in text for token in (tokens.OBJ, tokens.SEG) for text in texts):
        return f"that hold {tokens.OBJ} or {tokens.SEG}"
    return {"image": one["image"], "turns": texts}


def _open(file: str, root: Path, _: str) -> LlavaSet:
    return LlavaSet(root / file, root / "coco" / "train2017")


def _entry(name: str, title: str, **counts: str) -> Entry:
    file = f"llava_dataset/{name}.json" if name.endswith("k") else f"llava_dataset/{name}_150k.json"
    return Entry(
        name=name,
        title=title,
        needs=(Need(file, "conversations"), Need("coco/train2017", "photos of COCO 2017")),
        where="https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K",
        licence="images: their owners' on Flickr; conversations: CC BY 4.0, and OpenAI's terms",
        open=partial(_open, file),
        splits=("train",),
        counts=counts,
    )


LLAVA_INSTRUCT = _entry("llava_instruct", "LLaVA-Instruct-150K", train="157,712 conversations")
LLAVA_INSTRUCT_80K = _entry("llava_instruct_80k", "LLaVA-Instruct-80K")
