"""A benchmark as one file of JSON lines: what is asked of a model, about which images, and what is true.

The first line says what the file is, each other line is one conversation::

    {"format": "miras-cases", "version": 1, "benchmark": "photos", "split": "val", "suite": "direct",
     "images": "/data/photos/images"}
    {"id": "17", "image": "a.jpg", "focus": "left wheel", "labels": {"category": "wheel", "source": "carparts"},
     "turns": [{"question": "Mark the left wheel.", "answer": "[OBJ]left wheel[SEG]",
                "targets": [{"phrase": "left wheel", "mask": {"size": [480, 640], "counts": "…"}}]}]}

Every benchmark is brought into this form, every model answers it, and one scorer reads both. A mask of null is one that
nobody knows; an image of null is one that cannot be had. A target may hold, beside `mask`, the pixels to `ignore`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from miras import tokens
from miras.errors import DataError, MirasError
from miras.evaluate.lines import Line, as_line, read_lines, shown
from miras.files import write_beside
from miras.types import Dialogue, Target, Turn

__all__ = ["FORMAT", "Case", "Cases", "read_cases", "write_cases"]

FORMAT = "miras-cases"
"""What the first line calls itself."""

_VERSION = 1


@dataclass(frozen=True)
class Case:
    """One conversation to be held: its user turns are asked, its assistant turns and targets are the truth."""

    id: str
    """Unique within the file."""
    dialogue: Dialogue
    labels: Mapping[str, str] = field(default_factory=dict)
    """Its stratum in each grouping, such as category and source; size and turn follow from its targets."""

    @property
    def image(self) -> str | None:
        """Path of the image below the folder of images; None where there is no image."""
        return self.dialogue.image

    @property
    def unit(self) -> str:
        """What intervals draw as a whole: the image, or the case where there is none."""
        return self.image or self.id

    @property
    def targets(self) -> tuple[tuple[Target, ...], ...]:
        """The true targets of each turn."""
        counts = [answer.count(tokens.SEG) for answer in self.dialogue.answers]
        ends = [sum(counts[: turn + 1]) for turn in range(len(counts))]
        return tuple(self.dialogue.targets[end - count : end] for end, count in zip(ends, counts, strict=True))

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the image in pixels, as its true masks state it; None where no mask is known."""
        sizes = [target.mask["size"] for target in self.dialogue.targets if target.mask is not None]
        return (sizes[0][0], sizes[0][1]) if sizes else None

    def to_json(self) -> dict[str, Any]:
        """The case as one line holds it."""
        turns = [
            {"question": question, "answer": answer, "targets": [_target_line(target) for target in targets]}
            for question, answer, targets in zip(
                self.dialogue.questions, self.dialogue.answers, self.targets, strict=True
            )
        ]
        about = {"id": self.id, "image": self.image, "focus": self.dialogue.focus, "labels": dict(self.labels)}
        return {**about, "turns": turns}


@dataclass(frozen=True)
class Cases(Sequence[Case]):
    """All conversations of a benchmark, in file order."""

    about: Mapping[str, Any]
    """The first line without `format` and `version`: benchmark, split, suite, images (folder) and what else it says."""
    cases: tuple[Case, ...]
    sha256: str = ""
    """Of the file they were read from."""

    def __getitem__(self, place: Any) -> Any:
        return self.cases[place]

    def __len__(self) -> int:
        return len(self.cases)

    def image_path(self, case: Case, images: Path | None = None) -> Path | None:
        """Where its image lies, below `images` or else below the folder that the file names; None without image."""
        if case.image is None:
            return None
        folder = images or (Path(self.about["images"]) if self.about.get("images") else None)
        return None if folder is None else folder / case.image


def write_cases(path: Path, about: Mapping[str, Any], cases: Iterable[Case]) -> int:
    """Writes a file of cases in one step and returns how many. Raises DataError for an id that comes twice."""
    seen: set[str] = set()
    with write_beside(path) as beside, beside.open("w", encoding="utf-8") as lines:
        lines.write(as_line({"format": FORMAT, "version": _VERSION, **about}))
        for case in cases:
            if case.id in seen:
                raise DataError(f"two cases are called {case.id!r}; give each an id of its own")
            seen.add(case.id)
            lines.write(as_line(case.to_json()))
    return len(seen)


def read_cases(path: Path) -> Cases:
    """The cases of a file. Raises DataError that names the line, what was expected and what came."""
    lines = read_lines(path, FORMAT, _VERSION)
    about = next(lines).content
    cases: dict[str, Case] = {}
    for line in lines:
        case = _case(line)
        if case.id in cases:
            raise line.error(f"the id {case.id!r} comes a second time; give each case an id of its own")
        cases[case.id] = case
    if not cases:
        raise DataError(f"{path} holds no case; write it again with `miras evaluate cases`")
    return Cases(about, tuple(cases.values()), hashlib.sha256(path.read_bytes()).hexdigest())


def _case(line: Line) -> Case:
    name = line.text("id")
    turns, targets = [], []
    for place, turn in enumerate(line.objects("turns")):
        turns += [Turn("user", turn.text("question")), Turn("assistant", turn.text("answer"))]
        targets += [_target(target) for target in turn.objects("targets")]
        if len({tuple(mask["size"]) for t in targets for mask in (t.mask, t.ignore) if mask}) > 1:
            raise line.error(f"the masks of turn {place} have another size than those before; all are of one image")
    labels = line.content.get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise line.error(f"labels should be an object of texts, got {shown(labels)}")
    image, focus = line.text("image", optional=True), line.text("focus", optional=True)
    if image is not None and (Path(image).is_absolute() or ".." in Path(image).parts):
        raise line.error(f"image {image!r} leads out of the folder of images; give a path inside it")
    try:
        return Case(name, Dialogue(tuple(turns), tuple(targets), image=image, focus=focus), labels)
    except MirasError as error:
        raise line.error(str(error)) from error


def _target(line: Line) -> Target:
    mask, ignore = line.mask("mask", optional=True), line.mask("ignore", optional=True)
    return Target(line.text("phrase", empty=True), mask, ignore=ignore)


def _target_line(target: Target) -> dict[str, Any]:
    line = {"phrase": target.phrase, "mask": target.mask}
    return line if target.ignore is None else {**line, "ignore": target.ignore}
