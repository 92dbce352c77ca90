"""Annotators who are not there: they mark with known noise, make known mistakes, and save labelme files."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from miras.annotate.plan import TASKS
from miras.annotate.project import Project
from miras.data.labelme import mask_shape, read_labelme, written


def mark(folder: Path, image: str, masks: Mapping[str, np.ndarray]) -> None:
    """Saves the masks by their labels into a person's labelme file of the image, over what is drawn there."""
    path = folder / f"{Path(image).stem}.json"
    shapes = tuple(shape for name, mask in masks.items() if (shape := mask_shape(name, mask)))
    path.write_text(json.dumps(written(replace(read_labelme(path), shapes=shapes))), encoding="utf-8")


def correct(folder: Path, image: str, number: int, **fields: Any) -> None:
    """Changes fields of a record's entry among a person's dialogues; `turn` is (place, text)."""
    path = folder / "dialogues" / f"{Path(image).stem}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    row = next(row for row in rows if row["record"] == number)
    if turn := fields.pop("turn", None):
        row["dialogue"][turn[0]]["value"] = turn[1]
    row.update(fields)
    path.write_text(json.dumps(rows), encoding="utf-8")


def folder_of(project: Project, person: str) -> Path:
    return project.folder / TASKS / person


def noisy(mask: np.ndarray, rng: np.random.Generator, pixels: float) -> np.ndarray:
    """The mask with its outline moved by `pixels` (rms), smoothly along it, and by half as much as a whole."""
    inside, outside = (ndimage.distance_transform_edt(part) for part in (mask, ~mask))
    depth = inside - outside - np.sign(inside - outside) / 2
    field = ndimage.gaussian_filter(rng.standard_normal(mask.shape), 4)
    return depth + pixels * field / field.std() + pixels / 2 * rng.standard_normal() > 0


def shifted(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    """The mask moved; what leaves the image is lost."""
    height, width = mask.shape
    moved = np.zeros_like(mask)
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = mask[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved
