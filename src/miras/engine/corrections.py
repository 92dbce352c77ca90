"""What a person corrected of a turn: kept beside the conversation, never fed to the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miras.data.masks import read_runs
from miras.errors import MaskError
from miras.types import Rle

__all__ = ["Correction"]


@dataclass(frozen=True)
class Correction:
    """How a turn should have been; None where it is right as it is."""

    question: str | None = None
    answer: str | None = None
    """With its special tokens, one `[SEG]` per target."""
    targets: tuple[tuple[str, Rle], ...] | None = None
    """Phrase and mask of everything that should be marked, in reading order."""

    def check(self, size: tuple[int, int]) -> None:
        """Raise MaskError unless every mask decodes and has the image's (height, width) in pixels."""
        for place, (_, mask) in enumerate(self.targets or (), 1):
            read_runs([mask])
            if tuple(mask["size"]) != size:
                got = " x ".join(map(str, mask["size"]))
                raise MaskError(
                    f"mask {place} should be {size[0]} x {size[1]} pixels high and wide like its image, got {got}; "
                    "draw it on the image as the server gives it"
                )

    def to_json(self) -> dict[str, Any]:
        """The correction as JSON can hold it."""
        targets = None
        if self.targets is not None:
            targets = [{"phrase": phrase, "mask": mask} for phrase, mask in self.targets]
        return {"question": self.question, "answer": self.answer, "targets": targets}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Correction":
        """What `to_json` gave. Raises KeyError or TypeError for anything else."""
        targets = data["targets"]
        read = None if targets is None else tuple((str(t["phrase"]), t["mask"]) for t in targets)
        return cls(data["question"], data["answer"], read)
