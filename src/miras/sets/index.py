"""Annotations in COCO's JSON, read one image at a time: the file is gone through once, and where things lie is kept.

A process that holds `instances_train2017.json` as Python objects needs gigabytes, once per worker that loads data. Here
the first one to open such a file writes an index of offsets into the cache; everyone maps that index, which the
processes of a machine share, and reads the few records that an image needs from the file itself. The same serves every
JSON with `images` and `annotations` that name their image: outlines, captions, what referring expressions point at.
"""

import hashlib
import json
import logging
import os
import weakref
from array import array
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from miras.errors import DataError
from miras.files import write_beside
from miras.sets.records import Records
from miras.wheels import cache_dir

__all__ = ["Index", "open_index"]

_log = logging.getLogger(__name__)
_MAGIC = b"miras-index\n"
_ARRAYS = ("image_start", "image_length", "image_ids", "image_items", "first", "start", "length", "ids", "places")


class Index:
    """The images of an annotation file in file order, each with its annotations; safe to share between processes."""

    def __init__(self, path: Path, arrays: Mapping[str, np.ndarray], categories: list[dict[str, Any]]) -> None:
        self.path = path
        self.categories = categories
        """The file's categories, as it has them; none for files without."""
        self._arrays = arrays
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._arrays["image_start"])

    def __reduce__(self) -> tuple[Callable[[Path], "Index"], tuple[Path]]:
        return open_index, (self.path,)

    @property
    def annotated(self) -> int:
        """How many annotations the file holds."""
        return len(self._arrays["start"])

    def image(self, item: int) -> dict[str, Any]:
        """The record of image `item`, counted from 0. Raises DataError where the file is not what was indexed."""
        self._check(item)
        return self._record("image_start", "image_length", item)

    def annotations(self, item: int) -> list[dict[str, Any]]:
        """The records of all annotations of image `item`, in file order; raises as `image` does."""
        self._check(item)
        first, end = self._arrays["first"][item : item + 2].tolist()
        return [self._record("start", "length", place) for place in range(first, end)]

    def annotation(self, number: int) -> dict[str, Any]:
        """The annotation with that `id`. Raises DataError where there is none."""
        return self._record("start", "length", self._found(number, "ids", "places", "annotation"))

    def item(self, number: int) -> int:
        """Which item the image with that `id` is. Raises DataError where there is none."""
        return self._found(number, "image_ids", "image_items", "image")

    def _check(self, item: int) -> None:
        if not 0 <= item < len(self):
            raise IndexError(f"{self.path} has {len(self)} images, got item {item}")

    def _found(self, number: int, ids: str, places: str, what: str) -> int:
        known = self._arrays[ids]
        place = int(np.searchsorted(known, number))
        if place == len(known) or known[place] != number:
            raise DataError(f"{self.path} has no {what} with the id {number}; take all files from one release")
        return int(self._arrays[places][place])

    def _record(self, start: str, length: str, place: int) -> dict[str, Any]:
        at = int(self._arrays[start][place])
        raw = os.pread(self._file, int(self._arrays[length][place]), at)
        try:
            record = json.loads(raw)
        except ValueError as error:
            raise DataError(f"{self.path} was changed since it was indexed, at byte {at}; start again") from error
        return record  # type: ignore[no-any-return]  # only objects are indexed


def open_index(path: str | Path) -> Index:
    """The annotation file, indexed at its first use, which takes seconds; the index lies in the cache of the project.

    An index that is cut off, of another reader or of another state of the file (size, time of change) is made anew.
    Raises DataError for a file that is missing, broken or of another form, or a cache that cannot be written.
    """
    path = Path(path).resolve()
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"no file at {path} ({error.strerror}); `miras data check` says where it comes from") from error
    made_from = [state.st_size, state.st_mtime_ns, _reader()]
    kept = cache_dir() / "indexes" / f"{path.name}-{hashlib.sha256(bytes(path)).hexdigest()[:16]}"
    if (found := _load(kept, made_from)) is None:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(kept.with_name(f".{kept.name}.lock")):
                if (found := _load(kept, made_from)) is None:
                    _log.info("indexing %s", path)
                    _write(kept, made_from, *_read(path))
                    found = _load(kept, made_from)
        except OSError as error:
            raise DataError(
                f"the index of {path} cannot be kept in {kept.parent} ({error}); free up space there or set "
                "MIRAS_CACHE to a folder that can be written"
            ) from error
    if found is None:
        raise DataError(f"the index of {path} was changed while it was written to {kept}; start again")
    return Index(path, *found)


@cache
def _reader() -> str:
    """A hash of this module, so that an index is never read by other rules than it was made by."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]


def _load(kept: Path, made_from: list[Any]) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]] | None:
    """The arrays of an index, mapped, and the categories; None where it is missing, broken or of something else."""
    try:
        with kept.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return None
            about = json.loads(file.readline())
            at = -(-file.tell() // 8) * 8
        counts = about["counts"]
        if about["made_from"] != made_from or kept.stat().st_size != at + 8 * sum(counts):
            return None
        numbers = np.memmap(kept, dtype=np.int64, mode="r", offset=at, shape=(sum(counts),))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ends = np.cumsum(counts)
    arrays = {name: numbers[end - count : end] for name, count, end in zip(_ARRAYS, counts, ends, strict=True)}
    return arrays, about["categories"]


def _write(kept: Path, made_from: list[Any], arrays: Mapping[str, np.ndarray], categories: list[Any]) -> None:
    counts = [len(arrays[name]) for name in _ARRAYS]
    about = {"made_from": made_from, "counts": counts, "categories": categories}
    with write_beside(kept) as beside, beside.open("wb") as file:
        file.write(_MAGIC + json.dumps(about).encode("ascii") + b"\n")
        file.write(b"\0" * (-file.tell() % 8))
        for name in _ARRAYS:
            file.write(np.ascontiguousarray(arrays[name], dtype=np.int64).tobytes())


def _read(path: Path) -> tuple[dict[str, np.ndarray], list[Any]]:
    """Where every image and annotation lies, annotations by image, and the categories."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); look at its permissions") from error
    try:
        images, annotations, categories = _walk(raw)
        return _arranged(np.array(images).reshape(-1, 3), np.array(annotations).reshape(-1, 4)), categories
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        told = f"a record without {error}" if isinstance(error, KeyError) else f"{error}"
        raise DataError(
            f"{path} should be COCO's JSON, an object with images and annotations that have ids, got {told:.200}; "
            "fetch it again"
        ) from error


def _walk(raw: bytes) -> tuple[array, array, list[Any]]:
    """Flat rows of images (start, length, id) and of annotations (start, length, id, image), and the categories."""
    images, annotations, categories = array("q"), array("q"), []
    seen = set()
    records = Records(raw)
    for name in records.members():
        seen.add(name)
        if name == "images":
            for start, length, one in records.elements():
                images.extend((start, length, one["id"]))
        elif name == "annotations":
            for start, length, one in records.elements():
                annotations.extend((start, length, one["id"], one["image_id"]))
        elif name == "categories":
            categories = [json.loads(raw[start : start + length]) for start, length, _ in records.elements()]
        else:
            records.value()
    if missing := {"images", "annotations"} - seen:
        raise ValueError(f"no {' and no '.join(sorted(missing))}")
    return images, annotations, categories


def _arranged(images: np.ndarray, annotations: np.ndarray) -> dict[str, np.ndarray]:
    """(I, 3) and (A, 4) as `_walk` finds them → the arrays of the index. Raises ValueError where ids do not fit."""
    items = np.argsort(images[:, 2], kind="stable")
    ids = images[items, 2]
    if (twice := ids[1:][ids[1:] == ids[:-1]]).size:
        raise ValueError(f"two images with the id {twice[0]}")
    at = np.searchsorted(ids, annotations[:, 3])
    known = np.append(ids, 0)[at] == annotations[:, 3] if ids.size else np.zeros(len(annotations), dtype=bool)
    known &= at < len(ids)
    if not known.all():
        raise ValueError(f"an annotation of image {annotations[~known][0, 3]}, which is not among the images")
    item = items[at]
    order = np.argsort(item, kind="stable")
    places = np.argsort(annotations[order, 2], kind="stable")
    return {
        "image_start": images[:, 0],
        "image_length": images[:, 1],
        "image_ids": ids,
        "image_items": items,
        "first": np.append(0, np.bincount(item, minlength=len(images)).cumsum()),
        "start": annotations[order, 0],
        "length": annotations[order, 1],
        "ids": annotations[order, 2][places],
        "places": places,
    }
