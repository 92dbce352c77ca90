"""The whole tree in little: every mask set of the catalogue with its training split."""

from pathlib import Path
from typing import Any

import numpy as np
from tests.sets.official import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    box,
    labels,
    outline,
    packed,
    photo,
    runs,
    write_coco,
    write_json,
)

__all__ = ["CAT", "DOGS", "SIZE", "write_tree"]

SIZE = (48, 64)
DOGS = ((4, 4, 20, 20), (30, 10, 50, 30))
CAT = (10, 30, 26, 44)
CROWD = (40, 26, 60, 46)
_PHOTO = [(DOGS[0], RED), (DOGS[1], RED), (CAT, GREEN), (CROWD, BLUE)]


def write_tree(root: Path) -> Path:
    """Writes coco, cocostuff, ade20k, mapillary, paco and pascal_part below `root`, and gives `root`."""
    for write in (_coco, _cocostuff, _ade20k, _mapillary, _paco, _pascal_part):
        write(root)
    return root


def _image(number: int, size: tuple[int, int] = SIZE, folder: str = "", **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"{folder}{number:012d}.jpg", "height": size[0], "width": size[1], **more}


def _coco(root: Path) -> None:
    folder = root / "coco" / "train2017"
    for number in (9, 5, 7):
        photo(folder / f"{number:012d}.jpg", SIZE, _PHOTO)
    photo(folder / f"{25:012d}.jpg", SIZE, [(DOGS[1], RED)], turn=6)
    images = [_image(9), _image(25), _image(5), _image(7)]
    annotations: list[dict[str, Any]] = [
        {"image_id": 25, "category_id": 18, "segmentation": outline(DOGS[1])},
        {"image_id": 9, "category_id": 18, "segmentation": outline(DOGS[0])},
        {"image_id": 9, "category_id": 17, "segmentation": outline((10, 30, 18, 44), (18, 30, 26, 44))},
        {"image_id": 9, "category_id": 18, "segmentation": outline(DOGS[1])},
        {"image_id": 9, "category_id": 18, "segmentation": runs(box(SIZE, CROWD)), "iscrowd": 1},
        # image 5: a crowd alone, nothing drawn, and a polygon that holds no pixel
        {"image_id": 5, "category_id": 18, "segmentation": runs(box(SIZE, CROWD)), "iscrowd": 1},
        {"image_id": 5, "category_id": 17, "segmentation": []},
        {"image_id": 5, "category_id": 62, "segmentation": [[3.1, 3.1, 3.2, 3.1, 3.2, 3.2]]},
    ]
    names = {17: "cat", 18: "dog", 62: "chair", 72: "tv"}
    write_coco(root / "coco/annotations/instances_train2017.json", images, annotations, names)


def _cocostuff(root: Path) -> None:
    values = np.full(SIZE, 156)  # sky, and below a brick wall that nobody asks for
    values[30:] = 170
    values[box(SIZE, *DOGS)], values[box(SIZE, CAT)], values[box(SIZE, CROWD)] = 17, 16, 255
    labels(root / f"cocostuff/train2017/{9:012d}.png", values)
    labels(root / f"cocostuff/train2017/{25:012d}.png", np.where(box(SIZE, DOGS[1]), 17, 93), palette=True)


def _ade20k(root: Path) -> None:
    folder = root / "ade20k"
    photo(folder / "images/training/ADE_train_00000001.jpg", SIZE, _PHOTO)
    values = np.full(SIZE, 1)
    values[box(SIZE, *DOGS)], values[box(SIZE, CAT)], values[box(SIZE, CROWD)] = 31, 150, 0
    labels(folder / "annotations/training/ADE_train_00000001.png", values)


def _mapillary(root: Path) -> None:
    folder = root / "mapillary"
    photo(folder / "training/images/abc-DEF_1.jpg", SIZE, _PHOTO)
    values = np.full(SIZE, 1)
    values[box(SIZE, *DOGS)], values[box(SIZE, CAT)], values[box(SIZE, CROWD)] = 0, 2, 4
    values[:2], values[-2:] = 3, 5
    labels(folder / "training/v2.0/labels/abc-DEF_1.png", values, palette=True)
    readable = [
        ("Car", "object--vehicle--car", True, True),
        ("Road", "construction--flat--road", True, False),
        ("Traffic Sign (Front)", "object--traffic-sign--front", True, True),
        ("Ego Vehicle", "void--ego-vehicle", True, False),
        ("Unlabeled", "void--unlabeled", False, False),
        ("Traffic Sign - Ambiguous", "object--traffic-sign--ambiguous", True, True),
        ("Truck", "object--vehicle--truck", True, True),
        ("Bird", "animal--bird", True, True),
    ]
    known = [{"readable": r, "name": n, "evaluate": e, "instances": i, "color": [0, 0, 0]} for r, n, e, i in readable]
    write_json(folder / "config_v2.0.json", {"version": "2.0", "mapping": "public", "labels": known})


def _paco(root: Path) -> None:
    names = {1: "trash_can", 2: "car_(automobile)", 3: "bottle", 4: "wrench", 101: "bottle:cap", 102: "trash_can:lid"}
    more: dict[str, Any] = {"neg_category_ids": [4, 2, 102], "not_exhaustive_category_ids": [1]}
    # image 25 says of cars both that there are none and that not all are outlined
    other: dict[str, Any] = {"neg_category_ids": [4, 2], "not_exhaustive_category_ids": [2]}
    images = [_image(9, folder="train2017/", **more), _image(25, folder="train2017/", **other)]
    caps = ((4, 4, 20, 8), (30, 10, 50, 14))
    annotations = [
        {"image_id": 9, "category_id": 3, "segmentation": packed(box(SIZE, DOGS[0])), "obj_ann_id": 1000},
        {"image_id": 9, "category_id": 3, "segmentation": packed(box(SIZE, DOGS[1])), "obj_ann_id": 1001},
        {"image_id": 9, "category_id": 101, "segmentation": packed(box(SIZE, caps[0])), "obj_ann_id": 1000},
        {"image_id": 9, "category_id": 101, "segmentation": packed(box(SIZE, caps[1])), "obj_ann_id": 1001},
        {"image_id": 9, "category_id": 1, "segmentation": packed(box(SIZE, CAT)), "obj_ann_id": 1004},
    ]
    write_coco(root / "vlpart/paco/annotations/paco_lvis_v1_train.json", images, annotations, names)


def _pascal_part(root: Path) -> None:
    folder = root / "vlpart" / "pascal_part"
    photo(folder / "VOCdevkit/VOC2010/JPEGImages/2008_000008.jpg", SIZE, [(DOGS[0], YELLOW), (CAT, GREEN)])
    image = {"id": 2008000008, "file_name": "2008_000008.jpg", "height": SIZE[0], "width": SIZE[1]}
    annotations = [
        {"image_id": 2008000008, "category_id": 84, "segmentation": packed(box(SIZE, DOGS[0]))},
        {"image_id": 2008000008, "category_id": 13, "segmentation": packed(box(SIZE, CAT))},
    ]
    write_coco(folder / "train.json", [image], annotations, {84: "potted plant:pot", 13: "bird:wing"})
