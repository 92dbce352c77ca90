"""A user's own data: a plain JSONL of images with conversations, or with phrases and masks.

One object per line; paths are relative to the file::

    {"image": "photos/1.jpg",
     "dialogue": [{"from": "human", "value": "What keeps the rain off?"},
                  {"from": "gpt", "value": "The umbrella does: [SEG]."}],
     "targets": [{"phrase": "red umbrella", "mask": {"size": [480, 640], "counts": "…"}}]}
    {"image": "photos/2.jpg", "phrase": "left shoe", "mask": "masks/2_shoe.png"}

A mask is COCO run lengths, the path of a PNG that is 0 outside, or a list of polygons [x, y, x, y, …], in the pixels of
the upright image. Each `[SEG]` of the answers, in reading order, has its target; none need be. The short form is asked
for in words that change from pass to pass, and lines about one image go together.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from miras import tokens
from miras.data.images import image_size
from miras.data.masks import decode
from miras.errors import DataError, DialogueError, MirasError
from miras.sets.drawn import read_mask
from miras.sets.packed import Packed
from miras.sets.scene import Region, Scene, Told
from miras.types import Dialogue, Target, Turn

__all__ = ["Own", "OwnRegions", "OwnTalks", "read_own"]

_SHOWN = 10
"""Most lines that a complaint shows."""
_ROLES = ("human", "gpt")
_FORMS = "image with dialogue and targets, or image with phrase and mask (docs/data.md has examples)"

_Tell = Callable[[str], None]


class OwnRegions:
    """The images of the short form, each with all its phrases."""

    def __init__(self, folder: Path, lines: Sequence[dict[str, Any]]) -> None:
        self._folder = folder
        gathered: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            gathered.setdefault(line["image"], []).append({"phrase": line["phrase"], "mask": line["mask"]})
        self._records = Packed({"image": image, "targets": targets} for image, targets in gathered.items())

    def __len__(self) -> int:
        return len(self._records)

    def scene(self, item: int) -> Scene:
        """See RegionSet."""
        record = self._records[item]
        regions = [Region((one["phrase"],), partial(decode, one["mask"]), "expression") for one in record["targets"]]
        return Scene(self._folder / record["image"], tuple(regions))


class OwnTalks:
    """The conversations, one for each line."""

    def __init__(self, folder: Path, lines: Sequence[dict[str, Any]]) -> None:
        self._folder = folder
        self._records = Packed(lines)

    def __len__(self) -> int:
        return len(self._records)

    def told(self, item: int) -> Told:
        """See TalkSet."""
        record = self._records[item]
        return Told(self._folder / record["image"], (_dialogue(record),))


@dataclass(frozen=True)
class Own:
    """What a file holds, by its two forms."""

    regions: OwnRegions
    talks: OwnTalks


def read_own(path: Path, tell: _Tell = lambda _: None) -> Own:
    """Reads a file and checks every line with its image and masks; `tell` hears how far it is.

    Raises DataError that says of the first broken lines what was expected and what came, and of a file without any.
    """
    lines: list[dict[str, Any]] = []
    complaints: list[str] = []
    for number, text in _numbered(path):
        if number % 100 == 0:
            tell(f"{path}: {number} lines checked")
        try:
            lines.append(_line(text, path.parent))
        except (MirasError, KeyError, TypeError, AttributeError) as error:
            lacks = f"{error} is missing in" if isinstance(error, KeyError) else "got"
            told = error if isinstance(error, MirasError) else f"it should hold {_FORMS}, {lacks} {text:.60}"
            complaints.append(f"line {number}: {told}")
    if complaints:
        more = f"\n  … and {len(complaints) - _SHOWN} more" if len(complaints) > _SHOWN else ""
        shown = "".join(f"\n  {complaint}" for complaint in complaints[:_SHOWN])
        of = len(complaints) + len(lines)
        raise DataError(f"{path}: {len(complaints)} of {of} lines cannot be used, mend them:{shown}{more}")
    if not lines:
        raise DataError(f"{path} holds no line; each should hold {_FORMS}")
    short = [line for line in lines if "phrase" in line]
    return Own(OwnRegions(path.parent, short), OwnTalks(path.parent, [line for line in lines if "turns" in line]))


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield number, text.strip()
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}; `own` names a JSONL of your own, see docs/data.md") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); save it as UTF-8") from error


def _line(text: str, folder: Path) -> dict[str, Any]:
    """A line as it is kept: image, and phrase with mask, or turns with targets, each mask as run lengths."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is not JSON ({error}); each line is one object") from error
    image = row["image"]
    if not isinstance(image, str) or not image.strip():
        raise DataError(f"image should be the path of an image, got {image!r:.80}")
    if "dialogue" in row:
        targets = [_target(one, folder, image) for one in row.get("targets", [])]
        kept = {"image": image, "turns": _turns(row["dialogue"]), "targets": targets}
        image_size(folder / image)
        _dialogue(kept)
        return kept
    return {"image": image, **_target(row, folder, image)}


def _target(one: Any, folder: Path, image: str) -> dict[str, Any]:
    phrase, mask = one["phrase"], one["mask"]
    if not isinstance(phrase, str) or not any(map(str.isalnum, phrase)) or any(t in phrase for t in tokens.SPECIAL):
        raise DataError(
            f"phrase should say in words what is marked, without {tokens.OBJ} or {tokens.SEG}, got {phrase!r}"
        )
    return {"phrase": " ".join(phrase.split()), "mask": read_mask(mask, folder, image)}


def _turns(dialogue: Any) -> list[str]:
    """The texts of all turns, whose speakers alternate."""
    if not isinstance(dialogue, list) or not dialogue:
        raise DataError(f"dialogue should be a list of turns, got {dialogue!r:.80}")
    texts = []
    for place, turn in enumerate(dialogue):
        expected = _ROLES[place % 2]
        if not isinstance(turn, dict) or turn.get("from") != expected or not isinstance(turn.get("value"), str):
            raise DataError(f"turn {place} should have from {expected!r} and value, a text, got {turn!r:.80}")
        if not (said := turn["value"].replace(tokens.IMAGE, "").strip()):
            raise DataError(f"turn {place} should say something, got {turn['value']!r}")
        texts.append(said)
    return texts


def _dialogue(record: dict[str, Any]) -> Dialogue:
    """The dialogue of a line, each `[SEG]` with its target's name before it. Raises DialogueError."""
    targets = tuple(Target(one["phrase"], one["mask"]) for one in record["targets"])
    names = iter([target.phrase for target in targets])
    turns = []
    for place, text in enumerate(record["turns"]):
        if place % 2:
            pieces = tokens.bare(text).split(tokens.SEG)
            if any(tokens.OBJ in piece for piece in pieces):
                raise DialogueError(f"turn {place} has an {tokens.OBJ} that no {tokens.SEG} closes; take it out")
            text = pieces[0] + "".join(tokens.write(next(names, "")) + piece for piece in pieces[1:])
        turns.append(Turn("assistant" if place % 2 else "user", text))
    return Dialogue(tuple(turns), targets, image=record["image"], kind="own")
