"""COCO instances: `images`, `annotations` and `categories`, the masks as run lengths.

An annotation carries the record it came from under `prist`, so that nothing is lost on the way back; tools for COCO
pass over it. A category is the record's `class` where it has one, else its focus.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from miras.data.masks import area, box, decode
from miras.errors import DataError
from miras.files import write_text

__all__ = ["read", "write"]


def write(records: Sequence[dict[str, Any]], out: Path, images: Path | None = None) -> None:
    """Writes one JSON file. Raises DataError when a record has no mask, since COCO has no instance without one."""
    if bare := [index for index, record in enumerate(records) if record.get("mask") is None]:
        raise DataError(
            f"COCO instances need a mask in every record, {len(bare)} of {len(records)} have none, the first is "
            f"record {bare[0]}; give the folder of labelme files with --masks"
        )
    sizes = {record["img_id"]: record["mask"]["size"] for record in records}
    numbers = {name: number for number, name in enumerate(sizes, 1)}
    categories = {name: number for number, name in enumerate(sorted({_category(record) for record in records}), 1)}
    content = {
        "info": {"description": "PRIST dialogues as COCO instances"},
        "licenses": [],
        "images": [
            {"id": numbers[name], "file_name": name, "height": height, "width": width}
            for name, (height, width) in sizes.items()
        ],
        "annotations": [_annotation(record, number, numbers, categories) for number, record in enumerate(records, 1)],
        "categories": [{"id": number, "name": name, "supercategory": "target"} for name, number in categories.items()],
    }
    write_text(out, json.dumps(content, ensure_ascii=False) + "\n")


def _category(record: Mapping[str, Any]) -> str:
    named = record.get("class")
    return named if isinstance(named, str) else str(record["focus"])


def _annotation(
    record: dict[str, Any], number: int, images: Mapping[str, int], categories: Mapping[str, int]
) -> dict[str, Any]:
    left, top, right, bottom = box(decode(record["mask"])) or (0, 0, 0, 0)
    return {
        "id": number,
        "image_id": images[record["img_id"]],
        "category_id": categories[_category(record)],
        "segmentation": record["mask"],
        "area": area(record["mask"]),
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": 0,
        "prist": {name: value for name, value in record.items() if name not in ("img_id", "mask")},
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file that `write` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in content["images"]}
        return [
            {"img_id": names[one["image_id"]], **one["prist"], "mask": one["segmentation"]}
            for one in content["annotations"]
        ]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a JSON file ({error}); give COCO instances") from error
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} lacks {error}; only COCO files whose annotations hold their dialogue under prist become PRIST"
        ) from error
