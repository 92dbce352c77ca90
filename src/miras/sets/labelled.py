"""Sets whose every pixel has a class: per image and class one region, read from the values of a label image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from PIL import Image

from miras.errors import DataError, ImageError
from miras.sets.scene import Region, Scene
from miras.sets.upright import Frame, photo_frame

__all__ = ["Classes", "LabelledSet", "read_classes"]

_LABEL_MODES = ("L", "P", "I", "I;16", "1")


@dataclass(frozen=True)
class Classes:
    """What the values of a label image mean. A value without a name is of a class that nobody asks for."""

    things: Mapping[int, str]
    stuff: Mapping[int, str]
    ignored: frozenset[int]
    """Values of pixels that are neither right nor wrong."""
    unasked: frozenset[int] = frozenset()
    """Other values that may occur."""
    alike: tuple[frozenset[str], ...] = ()
    """Names that one and the same thing could have been given."""

    def known(self, value: int) -> bool:
        """Whether a pixel may have that value."""
        return value in self.things or value in self.stuff or value in self.ignored or value in self.unasked

    def absent(self, there: Sequence[str]) -> tuple[str, ...]:
        """The things that are not there, without those that could be meant by what is there."""
        close = set(there).union(*(group for group in self.alike if not group.isdisjoint(there)))
        words = {word for name in there for word in name.split()}
        return tuple(dict.fromkeys(n for n in self.things.values() if n not in close and words.isdisjoint(n.split())))


def read_classes(name: str) -> Classes:
    """The classes in `classes/{name}.yaml`; those with a hyphen in their name are not asked for (LISA's rule)."""
    content = yaml.safe_load((files("miras.sets") / "classes" / f"{name}.yaml").read_text(encoding="utf-8"))
    things, stuff = ({v: n for v, n in content[kind].items() if "-" not in n} for kind in ("things", "stuff"))
    return Classes(
        things,
        stuff,
        ignored=frozenset(content["unlabelled"]),
        unasked=frozenset({*content["things"], *content["stuff"]}.difference(things, stuff)),
        alike=tuple(map(frozenset, content.get("alike", ()))),
    )


class LabelledSet:
    """The label images of a folder by name, each beside the photo of the same stem."""

    def __init__(self, labels: Path, photos: Path, classes: Classes) -> None:
        """Raises DataError for a folder that is missing or holds no `.png`."""
        self._labels, self._photos, self._classes = labels, photos, classes
        try:
            stems = sorted(path.stem for path in labels.iterdir() if path.suffix == ".png")
        except OSError as error:
            raise DataError(
                f"no folder of label images at {labels} ({error.strerror}); `miras data check` says where from"
            ) from error
        if not stems:
            raise DataError(f"no .png in {labels}; it should hold one label image per photo, fetch it again")
        # one array in place of a hundred thousand objects: worker processes share it
        self._stems = np.array([stem.encode() for stem in stems])

    def __len__(self) -> int:
        return len(self._stems)

    def counts(self) -> dict[str, int]:
        """How large the set is, counted as its authors count it."""
        return {"images": len(self._stems)}

    def scene(self, item: int) -> Scene:
        """Image `item`, counted from 0. Raises DataError, naming file and place, for what is broken."""
        if not 0 <= item < len(self):
            raise IndexError(f"{self._labels} has {len(self)} images, got item {item}")
        stem = bytes(self._stems[item]).decode()
        path, photo = self._labels / f"{stem}.png", self._photos / f"{stem}.jpg"
        labels = _read_labels(path)
        frame = photo_frame(photo, (labels.shape[0], labels.shape[1]), str(path))
        values = [int(value) for value in np.unique(labels)]
        if strange := [value for value in values if not self._classes.known(value)]:
            raise DataError(f"{path} has pixels of value {strange[0]}, which is no class of the set; fetch it again")
        ignored = [value for value in values if value in self._classes.ignored]
        ignore = partial(_of, frame, labels, ignored) if ignored else None
        kinds: tuple[tuple[Literal["thing", "stuff"], Mapping[int, str]], ...]
        kinds = ("thing", self._classes.things), ("stuff", self._classes.stuff)
        regions = []
        for kind, names in kinds:
            for name in dict.fromkeys(names[value] for value in values if value in names):
                own = [value for value in values if names.get(value) == name]
                regions.append(Region((name,), partial(_of, frame, labels, own), kind, ignore=ignore))
        return Scene(photo, tuple(regions), self._classes.absent([region.names[0] for region in regions]))


def _read_labels(path: Path) -> np.ndarray:
    """(h, w) whole numbers. Raises ImageError for what is broken, DataError for an image of colours."""
    try:
        with Image.open(path) as image:
            if image.mode not in _LABEL_MODES:
                raise DataError(f"{path} is an image of mode {image.mode}, not of class numbers; fetch it again")
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} is no image that Pillow reads ({error}); fetch it again") from error


def _of(frame: Frame, labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """(H, W) bool as the upright image lies: the pixels of one of the values."""
    return frame.upright(np.isin(labels, values))
