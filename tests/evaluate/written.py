"""Hand-made cases of 4 x 4 pixels, and files of them and of answers, whole or spoilt in one line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from miras.data.masks import encode
from miras.types import Rle

__all__ = ["HEAD", "LEFT", "TOP", "answer_lines", "case_lines", "drawn", "write_lines"]

HEAD = {"format": "miras-predictions", "version": 1, "model": "a model", "history": "own"}


def drawn(*rows: str) -> Rle:
    """A mask from rows of `#` and `.`, as run lengths."""
    return encode(np.array([[letter == "#" for letter in row] for row in rows]))


LEFT = drawn("##..", "##..", "##..", "##..")
TOP = drawn("####", "####", "....", "....")


def case_lines() -> list[dict[str, Any]]:
    """The first line and two cases: one that marks the left half at last, one that marks two things at once."""
    cat = {"phrase": "cat", "mask": LEFT}
    return [
        {"format": "miras-cases", "version": 1, "benchmark": "halves", "split": "val", "suite": "talk", "images": "i"},
        {
            "id": "cat",
            "image": "a.png",
            "focus": "cat",
            "labels": {"category": "animal"},
            "turns": [
                {"question": "Who meows?", "answer": "The cat.", "targets": []},
                {"question": "Mark it.", "answer": "It is [OBJ]cat[SEG].", "targets": [cat]},
            ],
        },
        {
            "id": "both",
            "image": "b.png",
            "focus": None,
            "labels": {"category": "thing"},
            "turns": [
                {
                    "question": "Mark cup and plate.",
                    "answer": "[OBJ]cup[SEG] and [OBJ]plate[SEG]",
                    "targets": [{"phrase": "cup", "mask": LEFT}, {"phrase": "plate", "mask": TOP}],
                }
            ],
        },
    ]


def answer_lines() -> list[dict[str, Any]]:
    """The first line and the true answers to those two cases, the second case first and its masks in another order."""
    plate = {"phrase": "plate", "score": 0.5, "mask": TOP}
    cup = {"phrase": "cup", "score": None, "mask": LEFT}
    cat = {"phrase": "cat", "score": 1.0, "mask": LEFT}
    return [
        HEAD,
        {"id": "both", "turns": [{"text": "[OBJ]plate[SEG], [OBJ]cup[SEG]", "masks": [plate, cup], "seconds": 0.5}]},
        {
            "id": "cat",
            "turns": [
                {"text": "The cat.", "masks": [], "seconds": None},
                {"text": "It is [OBJ]cat[SEG].", "masks": [cat]},
            ],
        },
    ]


def write_lines(path: Path, lines: Sequence[Mapping[str, Any] | str]) -> Path:
    """A file with one object per line; a text is written as it is."""
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines))
    return path
