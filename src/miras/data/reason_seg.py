"""ReasonSeg in its official files: one JSON beside each image, with its questions and outlines.

::

    ReasonSeg/val/1234_5678.jpg
    ReasonSeg/val/1234_5678.json    {"text": ["the food that …"], "is_sentence": false,
                                     "shapes": [{"label": "target", "points": [[x, y], …]}, …]}

A shape's label says what it does: `flag` is left out, one with `ignore` in it marks pixels that are not scored, every
other is the target. Shapes are laid over each other from the largest to the smallest, so a small one stays visible.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from miras.data.images import image_size
from miras.errors import DataError

__all__ = ["Reasoned", "draw_outline", "load_reason_seg", "read_reasoned", "reasoned_files"]


@dataclass(frozen=True)
class Reasoned:
    """One image with the question that has to be thought about, and what is to be marked."""

    name: str
    """The file's stem, unique within the split."""
    image: Path
    texts: tuple[str, ...]
    """The question in one or several wordings; the official evaluation asks the first."""
    is_sentence: bool
    """Whether the texts are whole sentences (long queries) or phrases (short ones)."""
    target: np.ndarray = field(repr=False)
    """(H, W) bool."""
    ignored: np.ndarray = field(repr=False)
    """(H, W) bool: pixels that are neither right nor wrong."""


def load_reason_seg(root: str | Path, split: str) -> Iterator[Reasoned]:
    """All images of a split, by name. Masks are as large as the upright image and drawn as each is reached.

    `root` is the folder of the splits, or one above it as `reason_seg/ReasonSeg`. Raises DataError for what is missing
    and for a file of another form.
    """
    return map(read_reasoned, reasoned_files(root, split))


def reasoned_files(root: str | Path, split: str) -> list[Path]:
    """The JSON files of a split, by name; `root` and errors are those of `load_reason_seg`."""
    folder = _folder(Path(root), split)
    files = sorted(folder.glob("*.json"))
    if not files:
        raise DataError(f"no .json in {folder}; it should hold one beside each .jpg, see docs/benchmarks.md")
    return files


def draw_outline(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, 2) x, y → (H, W) bool of what the polygon encloses, its border included.

    Corners are cut to whole pixels. Crossing borders enclose by turns (even-odd). For corners inside the image the
    result is that of OpenCV's `fillPoly` and `polylines` pixel by pixel, so that figures can be compared.
    """
    corners = points.astype(np.int64)
    drawn = np.zeros((height, width), dtype=bool)
    crossings = np.zeros((height, width + 1), dtype=np.int64)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        xs, ys = _line(start, end)
        inside = (xs >= 0) & (ys >= 0) & (xs < width) & (ys < height)
        drawn[ys[inside], xs[inside]] = True
        (left, top), (right, bottom) = sorted((tuple(start), tuple(end)), key=lambda corner: corner[1])
        rows = np.arange(max(top, 0), min(bottom, height))
        if len(rows):
            at = np.ceil(left + (right - left) * (rows - top) / (bottom - top))
            np.add.at(crossings, (rows, np.clip(at, 0, width).astype(np.int64)), 1)
    return drawn | (crossings.cumsum(axis=1)[:, :width] % 2 == 1)


def _line(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the pixels between two corners, always from left to right: halves are rounded the same both ways."""
    (x, y), (to_x, to_y) = (start, end) if start[0] <= end[0] else (end, start)
    across, down = int(to_x - x), int(abs(to_y - y))
    steps = np.arange(max(across, down) + 1)
    longer, shorter = max(across, down, 1), min(across, down)
    aside = np.maximum(0, -((longer - 2 * shorter * steps) // (2 * longer)))
    right, along = (steps, aside) if across >= down else (aside, steps)
    return x + right, y + (along if to_y >= y else -along)


def _folder(root: Path, split: str) -> Path:
    for folder in (root / split, root / "ReasonSeg" / split, root / "reason_seg" / "ReasonSeg" / split):
        if folder.is_dir():
            return folder
    raise DataError(
        f"no folder {split} in {root} nor in its reason_seg/ReasonSeg; it should hold pairs of .jpg and .json, see "
        "docs/benchmarks.md for where they come from"
    )


def read_reasoned(path: Path) -> Reasoned:
    """One JSON file and the size of the image beside it. Raises DataError for what is missing or of another form."""
    content = _content(path)
    image = path.with_suffix(".jpg")
    texts, shapes = content.get("text"), content.get("shapes")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise DataError(f"{path}: text should be a list of questions, got {texts!r:.80}; fetch the file again")
    if not isinstance(content.get("is_sentence"), bool):
        raise DataError(f"{path}: is_sentence should be true or false, got {content.get('is_sentence')!r:.80}")
    if not isinstance(shapes, list):
        raise DataError(f"{path}: shapes should be a list, got {shapes!r:.80}; fetch the file again")
    target, ignored = _masks(shapes, image_size(image), str(path))
    return Reasoned(path.stem, image, tuple(texts), content["is_sentence"], target, ignored)


def _content(path: Path) -> Mapping[str, Any]:
    raw = path.read_bytes()
    try:
        try:
            content = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError:  # some of the official files are in the code page of Western Windows
            content = json.loads(raw.decode("cp1252"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); fetch the file again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} should hold an object with text, is_sentence and shapes, got {content!r:.80}")
    return content


def _masks(shapes: list[Any], size: tuple[int, int], where: str) -> tuple[np.ndarray, np.ndarray]:
    outlines = []
    for place, shape in enumerate(shapes):
        try:
            label, points = str(shape["label"]).lower(), np.array(shape["points"], dtype=float)
            if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
                raise ValueError(f"points of shape {points.shape}")
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}, shape {place} should have label and points [[x, y], …], got {error}") from error
        if label != "flag":
            outlines.append((draw_outline(points, *size), "ignore" in label))
    target, ignored = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    # the official reader sorts upwards and then turns the list round, so of two equal ones the later lies below
    order = np.argsort([outline.sum() for outline, _ in outlines], kind="stable")[::-1]
    for place in order:
        outline, leaves_out = outlines[place]
        target[outline], ignored[outline] = not leaves_out, leaves_out
    return target, ignored
