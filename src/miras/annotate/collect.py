"""What people give back: masks by exact label and corrected dialogues, and every remark about what is not right.

Nothing that one person left out or broke stops the rest: it is remarked, and the mask counts as not given.
"""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from miras.annotate.plan import Item, Record
from miras.annotate.tasks import DIALOGUES, fingerprint, proposal
from miras.data.labelme import Labelled, read_labelme
from miras.data.masks import encode
from miras.data.prist import problems
from miras.errors import DataError
from miras.types import Rle

__all__ = ["Remark", "Work", "collect"]


@dataclass(frozen=True)
class Remark:
    """One thing about what a person gave back that should be otherwise."""

    person: str
    image: str
    label: str | None
    """The label it is about; None where it is about the whole file."""
    kind: str
    """unreadable, size, missing, misspelt, unasked, no area, contradiction or dialogue."""
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.person}, {self.image}: {self.text}; {self.remedy}"


@dataclass(frozen=True)
class Work:
    """What one person gave back."""

    person: str
    masks: Mapping[Item, Rle] = field(default_factory=dict)
    """An empty mask where the person says that the image does not show it; no entry where nothing was given."""
    records: Mapping[int, Record] = field(default_factory=dict)
    """Number of the record → the record with focus and dialogue as the person left them."""
    looked: frozenset[int] = frozenset()
    """Numbers of the records whose texts a resolver or the reviewer changed, or says to have decided on."""
    remarks: tuple[Remark, ...] = ()


def collect(
    folder: Path,
    person: str,
    wanted: Mapping[str, Mapping[Item, Sequence[int]]],
    records: Sequence[Record],
    sizes: Mapping[str, tuple[int, int]],
    *,
    all_due: bool,
    tell: Callable[[], None] = lambda: None,
) -> Work:
    """Reads the folder of one person.

    `wanted` is image → its items with the numbers of their records. With `all_due` every image of it should be there,
    and what is missing is remarked; else the images whose files are in the folder are read, and items that are not
    marked are simply not given. `tell` is called after each image. Raises DataError when the folder is missing though
    all is due.
    """
    if not folder.is_dir():
        if not all_due:
            return Work(person)
        raise DataError(f"no folder {folder}; put what {person} gave back there, files not done yet included")
    masks: dict[Item, Rle] = {}
    texts: dict[int, Record] = {}
    looked: set[int] = set()
    remarks: list[Remark] = []
    for image, asked in wanted.items():
        if not all_due and not (folder / f"{Path(image).stem}.json").exists():
            continue
        page = _Page(folder, person, image, asked, all_due)
        texts.update(page.texts(records, looked))
        masks.update(page.masks(sizes[image]))
        remarks += page.remarks
        tell()
    return Work(person, masks, texts, frozenset(looked), tuple(remarks))


@dataclass
class _Page:
    """One image as one person gave it back."""

    folder: Path
    person: str
    image: str
    asked: Mapping[Item, Sequence[int]]
    all_due: bool
    absent: set[str] = field(default_factory=set)
    """Labels of what the person says is not shown."""
    remarks: list[Remark] = field(default_factory=list)

    def remark(self, name: str | None, kind: str, text: str, remedy: str) -> None:
        self.remarks.append(Remark(self.person, self.image, name, kind, text, remedy))

    def texts(self, records: Sequence[Record], looked: set[int]) -> Iterator[tuple[int, Record]]:
        """The records as the person left them, and into `looked` and `absent` what else is said there."""
        rows = self._rows()
        for item, numbers in self.asked.items():
            for number in numbers:
                row = rows.get(number)
                if row is None:
                    continue
                record = {**records[number], "focus": row.get("focus"), "dialogue": row.get("dialogue")}
                if broken := [str(problem) for problem in problems({**record, "mask": None})]:
                    self.remark(
                        item.label, "dialogue", f"record {number}: {broken[0]}", "mend it; until then a person decides"
                    )
                    continue
                yield number, record
                # who changed a word has looked, whether they said so or not
                if row.get("looked") is True or ("given" in row and row["given"] != fingerprint(record)):
                    looked.add(number)
                if row.get("absent") is True:
                    self.absent.add(item.label)

    def _rows(self) -> dict[int, Mapping[str, Any]]:
        path = self.folder / DIALOGUES / f"{Path(self.image).stem}.json"
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            return {int(row["record"]): row for row in rows}
        except FileNotFoundError:
            if self.all_due:
                self.remark(
                    None,
                    "dialogue",
                    f"there is no {DIALOGUES}/{path.name}",
                    "put it back, changed or not; until then a person decides",
                )
        except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError) as error:
            remedy = "mend that place; until then a person decides"
            self.remark(None, "dialogue", f"{DIALOGUES}/{path.name} is not as it was written ({error!r})", remedy)
        return {}

    def masks(self, size: tuple[int, int]) -> Iterator[tuple[Item, Rle]]:
        """The masks that were given, by exact label."""
        labelled = self._labelled(size)
        unasked = [] if labelled is None else self._unasked(labelled)
        for item in self.asked:
            drawn = None if labelled is None else labelled.mask(item.label)
            if item.label in self.absent:
                if drawn is not None and drawn.any():
                    text = f"{item.label!r} is marked and said to be absent"
                    self.remark(item.label, "contradiction", text, "take one of the two back")
                else:
                    yield item, encode(np.zeros(size, dtype=bool))
            elif drawn is None:
                if labelled is not None:
                    self._missing(item, unasked)
            elif not drawn.any():
                text = f"the shapes labelled {item.label!r} have no area inside the image"
                self.remark(item.label, "no area", text, "draw a polygon, or write absent: true beside its dialogue")
            else:
                yield item, encode(drawn)
        for name in unasked:
            self.remark(name, "unasked", f"a shape is labelled {name!r}", "nobody asked for that; label or delete it")

    def _labelled(self, size: tuple[int, int]) -> Labelled | None:
        try:
            labelled = read_labelme(self.folder / f"{Path(self.image).stem}.json")
        except DataError as error:
            text, _, remedy = str(error).rpartition("; ")
            self.remark(None, "unreadable", text, remedy)
            return None
        if (labelled.height, labelled.width) != size:
            drawn = f"{labelled.height} x {labelled.width}"
            text = f"the shapes were drawn on {drawn} pixels, the image has {size[0]} x {size[1]}"
            self.remark(None, "size", text, "draw them on the image that was given out")
            return None
        return labelled

    def _unasked(self, labelled: Labelled) -> list[str]:
        wanted = {item.label for item in self.asked}
        return [name for name in labelled.labels if name not in wanted and proposal(name) not in wanted]

    def _missing(self, item: Item, unasked: list[str]) -> None:
        """Remarks a label that no shape has, and takes the one that was likely meant off the list of those unasked."""
        near = difflib.get_close_matches(item.label.lower(), [name.lower() for name in unasked], n=1, cutoff=0.7)
        meant = [name for name in unasked if [name.lower()] == near]
        if meant:
            unasked.remove(meant[0])
            text = f"no shape is labelled exactly {item.label!r}, one is labelled {meant[0]!r}"
            self.remark(item.label, "misspelt", text, "give it the label as it is written in labels.txt")
        elif self.all_due:
            text = f"no shape is labelled {item.label!r}"
            self.remark(item.label, "missing", text, "draw it, or write absent: true beside its dialogue")
