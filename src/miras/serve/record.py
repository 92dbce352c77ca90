"""Conversations as JSON: what was asked, what was answered, what was marked, and where its pictures lie.

::

    {"model": "nano", "conversations": [
      {"title": "…", "photo": "cat.jpg", "size": [300, 451], "credit": "…", "exchanges": [
        {"question": "…", "answer": "It is [OBJ]cat[SEG].", "plain": "It is cat.", "seconds": 1.2, "targets": [
          {"phrase": "cat", "score": 0.91, "mask": {"size": […], "counts": "…"},
           "overlay": "talk1_3_1_cat.png", "mask_image": "talk1_3_1_cat_mask.png"}]}]}]}

Every file name is relative to the JSON file.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from miras.data.masks import area
from miras.errors import DataError
from miras.files import write_text
from miras.types import Rle

__all__ = ["Exchange", "MarkedTarget", "Record", "TalkRecord", "read_record", "write_record"]


@dataclass(frozen=True)
class MarkedTarget:
    """One mask of an answer."""

    phrase: str
    score: float
    """The model's confidence, 0..1."""
    mask: Rle
    overlay: str
    """File of the photo with the mask on it."""
    mask_image: str
    """File of the mask, white on black."""

    @property
    def share(self) -> float:
        """Share of the image that it covers, 0..1."""
        height, width = self.mask["size"]
        return area(self.mask) / (height * width)


@dataclass(frozen=True)
class Exchange:
    """A question and its answer."""

    question: str
    answer: str
    """With special tokens."""
    plain: str
    """As a person reads it."""
    seconds: float
    targets: tuple[MarkedTarget, ...] = ()


@dataclass(frozen=True)
class TalkRecord:
    """One conversation about one photo."""

    title: str
    photo: str
    """File of the photo."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    exchanges: tuple[Exchange, ...]
    credit: str = ""
    """Who made the photo, and its terms."""

    @property
    def seconds(self) -> float:
        """How long all answers took."""
        return sum(exchange.seconds for exchange in self.exchanges)


@dataclass(frozen=True)
class Record:
    """Conversations with one model."""

    model: str
    conversations: tuple[TalkRecord, ...]


def write_record(path: Path, record: Record) -> Path:
    """Writes the JSON file in one step."""
    return write_text(path, json.dumps(asdict(record), ensure_ascii=False, indent=1) + "\n")


def read_record(path: Path) -> Record:
    """What `write_record` wrote. Raises DataError when the file is missing, not JSON, or lacks a field."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        return Record(whole["model"], tuple(_conversation(talk) for talk in whole["conversations"]))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); write it with `miras demo`") from error
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no record of conversations: it lacks {error}; write it with `miras demo`"
        ) from error


def _conversation(row: dict[str, Any]) -> TalkRecord:
    height, width = row["size"]
    exchanges = tuple(
        Exchange(
            question=item["question"],
            answer=item["answer"],
            plain=item["plain"],
            seconds=item["seconds"],
            targets=tuple(MarkedTarget(**target) for target in item["targets"]),
        )
        for item in row["exchanges"]
    )
    return TalkRecord(row["title"], row["photo"], (height, width), exchanges, row["credit"])
