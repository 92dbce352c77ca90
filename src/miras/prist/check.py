"""What is wrong with a PRIST file, and what should be looked at: every finding with its record and a remedy."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miras.data.images import load_image
from miras.data.labelme import Labelled, read_labelme
from miras.data.prist import Problem, problems, read
from miras.errors import DataError, ImageError

__all__ = ["TURNS", "Checked", "Finding", "check"]

TURNS = (3, 7)
"""Fewest and most questions of a dialogue in the paper (section 3.2.3 and table 2)."""


@dataclass(frozen=True)
class Finding:
    """One thing found in one record."""

    file: str
    index: int
    """Place of the record in its file, from 0."""
    kind: str
    text: str
    remedy: str
    fatal: bool
    """Whether the record cannot be used as it is."""

    def __str__(self) -> str:
        return f"{self.file}, record {self.index}: {self.text}; {self.remedy}"


@dataclass(frozen=True)
class Checked:
    """What a check found in one file."""

    file: str
    records: int
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> int:
        """Records without a fatal finding."""
        return self.records - len({finding.index for finding in self.findings if finding.fatal})

    @property
    def counts(self) -> Mapping[str, int]:
        """Kind of finding → how often, in the order in which they were looked for."""
        return Counter(finding.kind for finding in self.findings)


def check(path: str | Path, *, images: Path | None = None, masks: Path | None = None) -> Checked:
    """Every finding in a PRIST file.

    `images` is the folder where each `img_id` should be, `masks` one with a labelme file per image of the same stem;
    what is not given is not looked for. Raises DataError only when the file itself cannot be read as a list.
    """
    records = read(path)
    found: list[Finding] = []

    def note(index: int, kind: str, text: str, remedy: str, fatal: bool = False) -> None:
        found.append(Finding(str(path), index, kind, text, remedy, fatal))

    good: dict[int, dict[str, Any]] = {}
    for index, record in enumerate(records):
        broken = list(problems(record))
        for problem in broken:
            note(index, problem.kind, problem.text, problem.remedy, fatal=True)
        if not broken:
            good[index] = record
    for index, record in good.items():
        for problem in _oddities(record):
            note(index, problem.kind, problem.text, problem.remedy)
    for index, problem in (*_duplicates(good), *_collisions(good)):
        note(index, problem.kind, problem.text, problem.remedy)
    for index, problem in _missing(good, images, masks):
        note(index, problem.kind, problem.text, problem.remedy, fatal=True)
    return Checked(str(path), len(records), tuple(found))


def _oddities(record: Mapping[str, Any]) -> Iterator[Problem]:
    """What a single record that can be used should still have otherwise."""
    texts = {f"turn {index}": turn["value"] for index, turn in enumerate(record["dialogue"])}
    for where, text in {**texts, "focus": record["focus"]}.items():
        if strange := "".join(dict.fromkeys(letter for letter in text if not letter.isascii())):
            names = f"{where} holds {strange!r}"
            remedy = "keep it if it is meant; a model that was trained on plain text alone may not read it"
            yield Problem("non-ASCII focus" if where == "focus" else "non-ASCII turn", names, remedy)
        if text != text.strip():
            yield Problem("space", f"{where} begins or ends with a space, {text!r:.60}", "take it off")
    turns = len(record["dialogue"]) // 2
    if not TURNS[0] <= turns <= TURNS[1]:
        yield Problem("turns", f"it has {turns} turns, the paper's have {TURNS[0]} to {TURNS[1]}", "split or drop it")
    if re.search(rf"\b{re.escape(_plain(record['focus']))}\b", _plain(texts[f"turn {len(texts) - 2}"])):
        text = f"the last request names the target {record['focus']!r}"
        yield Problem("named", text, "point back to it instead: what is meant should follow from the dialogue")


def _duplicates(records: Mapping[int, Mapping[str, Any]]) -> Iterator[tuple[int, Problem]]:
    first: dict[tuple[str, str], int] = {}
    for index, record in records.items():
        key = record["img_id"], record["focus"]
        if key in first:
            same = "the same dialogue" if record["dialogue"] == records[first[key]]["dialogue"] else "another dialogue"
            text = f"image {key[0]} and focus {key[1]!r} are those of record {first[key]}, with {same}"
            yield index, Problem("duplicate", text, "keep one of the two, or tell them apart in the focus")
        first.setdefault(key, index)


def _collisions(records: Mapping[int, Mapping[str, Any]]) -> Iterator[tuple[int, Problem]]:
    """Names that hold another name of the same image: readers that look for a substring take both masks for one."""
    of_image: dict[str, dict[str, int]] = defaultdict(dict)
    for index, record in records.items():
        of_image[record["img_id"]].setdefault(_plain(record["focus"]), index)
    for names in of_image.values():
        for short, index in names.items():
            for long, other in names.items():
                if short != long and short in long:
                    text = f"its focus {short!r} is part of {long!r}, the focus of record {other} on the same image"
                    yield index, Problem("collision", text, "match labels exactly, or rename one of the two")


def _missing(
    records: Mapping[int, Mapping[str, Any]], images: Path | None, masks: Path | None
) -> Iterator[tuple[int, Problem]]:
    sizes: dict[str, tuple[int, int] | ImageError] = {}
    labels: dict[str, Labelled | DataError] = {}
    for index, record in records.items():
        name, mask = record["img_id"], record.get("mask")
        if images is not None:
            size = sizes[name] if name in sizes else sizes.setdefault(name, _size(images, name))
            if isinstance(size, ImageError):
                yield index, Problem("image", *_halves(size))
            elif mask is not None and tuple(mask["size"]) != size:
                text = f"its mask is {mask['size'][0]} x {mask['size'][1]} pixels, its image {size[0]} x {size[1]}"
                yield index, Problem("mask", text, "draw the mask in original, upright pixels")
        if masks is not None and mask is None:
            file = labels[name] if name in labels else labels.setdefault(name, _labels(masks, name))
            if isinstance(file, DataError):
                yield index, Problem("mask", *_halves(file))
            elif (drawn := file.mask(record["focus"])) is None or not drawn.any():
                text = f"no shape is labelled exactly {record['focus']!r}, there are {list(file.labels)}"
                yield index, Problem("mask", text, "draw it, or give the shape that label")


def _size(folder: Path, name: str) -> tuple[int, int] | ImageError:
    try:
        height, width = load_image(folder / name).shape[:2]
    except ImageError as error:
        return error
    return height, width


def _labels(folder: Path, name: str) -> Labelled | DataError:
    try:
        return read_labelme(folder / f"{Path(name).stem}.json")
    except DataError as error:
        return error


def _halves(error: Exception) -> Sequence[str]:
    text, _, remedy = str(error).rpartition("; ")
    return text, remedy


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
