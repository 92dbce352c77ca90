"""Which images dialogues are made of: what lies in a folder, and a seeded choice among it (paper section 3.1)."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from miras.data.images import load_image
from miras.errors import DataError, ImageError

__all__ = ["SUFFIXES", "Picture", "captioned", "choose", "listed"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Endings of the files that count as images."""

_ALIKE = 4
"""Two images are near-duplicates when at most so many of their 64 bits differ."""


@dataclass(frozen=True)
class Picture:
    """One image that dialogues are to be made of."""

    name: str
    """Path within the folder, with `/`; unique, and the `img_id` of its dialogues."""
    path: Path
    categories: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


def listed(folder: Path) -> list[Picture]:
    """Every image file below a folder, by name; the folder that holds it is its category.

    Raises DataError when there is none.
    """
    if not folder.is_dir():
        raise DataError(f"no folder at {folder}; give the folder of the images")
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    found = [(path.relative_to(folder), path) for path in paths]
    if not found:
        raise DataError(f"{folder} holds no image ({', '.join(SUFFIXES)}); give the folder of the images")
    return [
        Picture(name.as_posix(), path, (name.parts[0],) if len(name.parts) > 1 else ()) for name, path in sorted(found)
    ]


def captioned(annotations: Path, folder: Path) -> list[Picture]:
    """The images of a TextCaps annotation file that lie in a folder, with their classes and captions, by name.

    The file is `{"data": [{"image_id", "image_classes", "caption_str", …}, …]}`, one entry per caption. Raises
    DataError for a file that is not so, or when none of its images is there.
    """
    try:
        entries = json.loads(annotations.read_text(encoding="utf-8"))["data"]
        classes: dict[str, tuple[str, ...]] = {}
        captions: dict[str, list[str]] = {}
        for entry in entries:
            known = str(entry["image_id"])
            classes[known] = tuple(map(str, entry.get("image_classes") or ()))
            captions.setdefault(known, []).extend([str(entry["caption_str"])] if entry.get("caption_str") else [])
    except FileNotFoundError as error:
        raise DataError(f"no annotations at {annotations}; check the path") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{annotations} should be TextCaps' JSON, {{'data': [{{'image_id', 'image_classes', 'caption_str'}}, …]}}, "
            f"got {type(error).__name__} {error}; fetch it again"
        ) from error
    there = [picture for picture in listed(folder) if picture.path.stem in classes]
    if not there:
        raise DataError(f"none of the {len(classes)} images of {annotations} is in {folder}; fetch them first")
    return [
        Picture(picture.name, picture.path, classes[stem], tuple(dict.fromkeys(captions[stem])))
        for picture in there
        if (stem := picture.path.stem)
    ]


def choose(pictures: Sequence[Picture], *, categories: int, per_category: int, seed: int) -> list[Picture]:
    """So many images of each of the most frequent categories, drawn by the seed, no two of them alike.

    The paper's choice is 280 of each of 10. An image of several of these categories counts for the rarest of them.
    Images that look the same to a difference hash are taken once; files that cannot be read are passed over. Raises
    DataError when there are not enough.
    """
    counts = Counter(name for picture in pictures for name in set(picture.categories))
    common = sorted(counts, key=lambda name: (-counts[name], name))[:categories]
    if len(common) < categories:
        raise DataError(f"{categories} categories are wanted, the images have {len(common)}; ask for fewer")
    groups: dict[str, list[Picture]] = {name: [] for name in common}
    for picture in pictures:
        mine = [name for name in picture.categories if name in groups]
        if mine:
            groups[min(mine, key=lambda name: (counts[name], name))].append(picture)
    seen = np.zeros(0, dtype=np.uint64)
    chosen: list[Picture] = []
    for name in sorted(groups, key=lambda name: (len(groups[name]), name)):
        taken, drawn = 0, groups[name]
        random.Random(f"{seed} {name}").shuffle(drawn)
        for picture in drawn:
            if taken == per_category:
                break
            try:
                look = _look(load_image(picture.path))
            except ImageError:
                continue
            if (np.bitwise_count(seen ^ look) > _ALIKE).all():
                seen = np.append(seen, look)
                chosen.append(picture)
                taken += 1
        if taken < per_category:
            raise DataError(
                f"{per_category} images of {name!r} are wanted, {taken} different ones can be read of "
                f"{len(drawn)}; ask for {taken}"
            )
    return sorted(chosen, key=lambda picture: picture.name)


def _look(pixels: np.ndarray) -> np.uint64:
    """64 bits, one for each pair of neighbours on a 9 x 8 gray copy: whether the left one is brighter."""
    small = np.asarray(Image.fromarray(pixels).convert("L").resize((9, 8), Image.Resampling.BILINEAR)).astype(int)
    return np.packbits(small[:, :-1] > small[:, 1:]).view(np.uint64)[0]
