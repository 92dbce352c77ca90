"""Mapillary Vistas 2.0: street scenes with a class for every pixel, which the set's own file names.

::

    mapillary/config_v2.0.json                   labels: readable, name, evaluate, instances, by number from 0
    mapillary/training/v2.0/labels/NAME.png      an image of class numbers
    mapillary/training/images/NAME.jpg

A class is called by its readable name in small letters, as LISA does it. Labels that the set does not evaluate, void
ones (`void--ego-vehicle`) and ambiguous ones are no classes: their pixels are ignored.
"""

import json
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.sets.entry import Entry, Need
from miras.sets.labelled import Classes, LabelledSet

__all__ = ["MAPILLARY", "open_mapillary"]

_FOLDERS = {"train": "training", "val": "validation"}
_VOID = frozenset({"unlabeled", "ego vehicle", "car mount", "dynamic", "ground", "static"})
_ALIKE = (
    frozenset({"person", "person group", "bicyclist", "motorcyclist", "other rider"}),
    frozenset({"bicycle", "bicyclist"}),
    frozenset({"motorcycle", "motorcyclist"}),
    frozenset({"car", "truck", "bus", "caravan", "trailer", "on rails", "other vehicle", "vehicle group"}),
    frozenset({"street light", "pole", "pole group", "utility pole", "traffic sign frame"}),
    frozenset({"manhole", "catch basin", "water valve", "pothole"}),
    frozenset({"banner", "signage - advertisement", "signage - store", "signage - other", "signage - information"}),
)


def open_mapillary(root: Path, split: str) -> LabelledSet:
    """Mapillary Vistas below the root of all sets; a split is train or val. Raises DataError for what is missing."""
    folder = root / "mapillary"
    inside = folder / _FOLDERS[split]
    return LabelledSet(inside / "v2.0" / "labels", inside / "images", _classes(folder / "config_v2.0.json"))


def _classes(path: Path) -> Classes:
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        ignored = frozenset(value for value, label in enumerate(labels) if _void(label))
        named = {value: str(label["readable"]).lower() for value, label in enumerate(labels) if value not in ignored}
        things = {value for value in named if labels[value].get("instances")}
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}; it comes with release 2.0 of the set") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} should hold labels with readable names ({error!r}); fetch it again") from error
    return Classes(
        {value: name for value, name in named.items() if value in things},
        {value: name for value, name in named.items() if value not in things},
        ignored,
        alike=_ALIKE,
    )


def _void(label: dict[str, Any]) -> bool:
    name, readable = str(label.get("name", "")), label["readable"].lower()
    return label.get("evaluate") is False or name.startswith("void--") or readable in _VOID or "ambiguous" in readable


MAPILLARY = Entry(
    name="mapillary",
    title="Mapillary Vistas 2.0",
    needs=(
        Need("mapillary/config_v2.0.json", "names of the classes"),
        Need("mapillary/training/v2.0/labels", "label images of the training split", ("train",)),
        Need("mapillary/training/images", "photos of the training split", ("train",)),
        Need("mapillary/validation/v2.0/labels", "label images of the validation split", ("val",)),
        Need("mapillary/validation/images", "photos of the validation split", ("val",)),
    ),
    where="https://www.mapillary.com/dataset/vistas",
    licence="on request, under the terms that come with it",
    open=open_mapillary,
    counts={"train": "18,000 images", "val": "2,000 images"},
)
