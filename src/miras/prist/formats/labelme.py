"""labelme: a folder with one file per image, a shape per target labelled with its focus, the dialogues beside it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miras.data.images import load_image
from miras.data.labelme import Labelled, mask_shape, read_labelme, written
from miras.data.masks import decode, encode
from miras.errors import DataError
from miras.files import made_beside

__all__ = ["read", "write"]

_KEY = "prist"


def write(records: Sequence[dict[str, Any]], out: Path, images: Path | None = None) -> None:
    """Writes a folder. Masks become mask shapes, exact to the pixel; a record without one stands there to be drawn.

    Raises DataError for an image whose size is told neither by a mask nor by a file in `images`.
    """
    of_image: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for index, record in enumerate(records):
        of_image.setdefault(record["img_id"], []).append((index, record))
    stems: dict[str, str] = {}
    for name in of_image:
        if (other := stems.setdefault(Path(name).stem, name)) != name:
            raise DataError(f"{other} and {name} would share one labelme file; rename one of the images")
    with made_beside(out, replacing=["*.json"]) as folder:
        for name, group in of_image.items():
            content = written(_labelled(name, group, images))
            text = json.dumps(content, ensure_ascii=False, indent=2)
            (folder / f"{Path(name).stem}.json").write_text(text + "\n", encoding="utf-8")


def _labelled(name: str, group: Sequence[tuple[int, dict[str, Any]]], images: Path | None) -> Labelled:
    masks: dict[str, Any] = {}
    for index, record in group:
        if (mask := record.get("mask")) is not None and masks.setdefault(record["focus"], mask) != mask:
            raise DataError(
                f"record {index} has another mask for {record['focus']!r} on {name} than a record before it; labels "
                "tell masks apart, so rename one of the two"
            )
    if masks:
        height, width = next(iter(masks.values()))["size"]
    elif images is not None:
        height, width = load_image(images / name).shape[:2]
    else:
        raise DataError(f"the size of {name} is told by no mask; give the folder of images with --images")
    shapes = [shape for focus, mask in masks.items() if (shape := mask_shape(focus, decode(mask)))]
    kept = [
        {"index": index, **{key: value for key, value in record.items() if key not in ("img_id", "mask")}}
        for index, record in group
    ]
    shown = str((images / name).resolve()) if images is not None else name
    return Labelled(shown, height, width, tuple(shapes), {_KEY: kept, "img_id": name})


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a folder that `write` wrote, in their first order, with the masks that are drawn there now."""
    files = sorted(path.glob("*.json"))
    if not files:
        raise DataError(f"no labelme files in {path}; give a folder with one JSON file per image")
    found: list[tuple[int, dict[str, Any]]] = []
    for file in files:
        labelled = read_labelme(file)
        if not isinstance(kept := labelled.more.get(_KEY), list):
            raise DataError(f"{file} holds no dialogues under {_KEY}; it was not written by `miras prist convert`")
        for record in kept:
            mask = labelled.mask(record["focus"])
            own = {key: value for key, value in record.items() if key != "index"}
            name = str(labelled.more.get("img_id", labelled.image))
            drawn = {} if mask is None else {"mask": encode(mask)}
            found.append((int(record["index"]), {"img_id": name, **own, **drawn}))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]
