"""RefCOCO and ReasonSeg as their authors hand them out, a few drawn images each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["INSTANCES", "REFS", "as_python2", "reason_seg_json", "ref_json", "write_reason_seg", "write_refcoco"]

TRAIN2014 = "images/mscoco/images/train2014"


def as_python2(value: Any) -> bytes:
    """A pickle as Python 2 wrote it: protocol 0, plain texts as 8-bit strings."""

    def body(one: Any) -> str:
        if isinstance(one, dict):
            return "(d" + "".join(f"{body(name)}{body(item)}s" for name, item in one.items())
        if isinstance(one, list):
            return "(l" + "".join(f"{body(item)}a" for item in one)
        return f"S{one!r}\n" if isinstance(one, str) else f"I{one}\n"

    return body(value).encode("latin-1") + b"."


def ref_json(number: int, annotation: int, image: int, split: str, *sentences: str) -> dict[str, Any]:
    """One ref as `refs(…).p` holds it."""
    said = [
        {"sent_id": 10 * number + place, "sent": text, "raw": text.title(), "tokens": text.split()}
        for place, text in enumerate(sentences)
    ]
    return {
        "ref_id": number,
        "ann_id": annotation,
        "image_id": image,
        "category_id": 18,
        "split": split,
        "sentences": said,
        "sent_ids": [one["sent_id"] for one in said],
        "file_name": f"COCO_train2014_{image:012d}_{annotation}.jpg",
    }


REFS = [
    ref_json(1, 101, 7, "val", "left dog", "Dog that sits "),
    ref_json(2, 102, 7, "testA", "two boxes"),
    ref_json(3, 103, 8, "testAB", "the crowd"),
    ref_json(4, 104, 8, "train", "not drawn"),
]
INSTANCES: dict[str, list[dict[str, Any]]] = {
    "images": [
        {"id": 7, "file_name": "COCO_train2014_000000000007.jpg", "height": 6, "width": 8},
        {"id": 8, "file_name": "COCO_train2014_000000000008.jpg", "height": 4, "width": 4},
    ],
    "annotations": [
        {"id": 101, "segmentation": [[1, 1, 4, 1, 4, 5, 1, 5]], "iscrowd": 0},
        {"id": 102, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 6, 1, 6, 3, 1, 3]], "iscrowd": 0},
        {"id": 103, "segmentation": {"size": [4, 4], "counts": [4, 8, 4]}, "iscrowd": 1},
        {"id": 104, "segmentation": [], "iscrowd": 0},
    ],
    "categories": [{"id": 18, "name": "dog"}],
}


def write_refcoco(
    root: Path,
    name: str = "refcoco",
    partition: str = "unc",
    *,
    refs: list[dict[str, Any]] = REFS,
    instances: dict[str, list[dict[str, Any]]] = INSTANCES,
    images: str = TRAIN2014,
) -> Path:
    """A folder refer_seg below `root`, and gives `root`: four refs about two images, or what is given."""
    folder = root / "refer_seg" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"refs({partition}).p").write_bytes(as_python2(refs))
    (folder / "instances.json").write_text(json.dumps(instances))
    for image in instances["images"]:
        path = root / "refer_seg" / images / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (image["width"], image["height"]), "navy").save(path)
    return root


def reason_seg_json(text: list[str], is_sentence: bool, *shapes: tuple[str, list[list[float]]]) -> dict[str, Any]:
    """The content of one file; a shape is its label and its corners."""
    drawn = [{"label": label, "labels": [label], "shape_type": "polygon", "points": points} for label, points in shapes]
    return {"text": text, "is_sentence": is_sentence, "shapes": drawn}


def write_reason_seg(root: Path, split: str = "val") -> Path:
    """A folder reason_seg/ReasonSeg below `root`, and gives `root`: two images of a split."""
    folder = root / "reason_seg" / "ReasonSeg" / split
    folder.mkdir(parents=True)
    inner = [[2.0, 2.0], [4.9, 2.0], [4.0, 4.0], [2.0, 4.0]]
    whole = [[0.0, 0.0], [7.0, 0.0], [7.0, 7.0], [0.0, 7.0]]
    files = {
        # the ignored square is smaller than the target, so it is laid over it although it comes first
        "a": reason_seg_json(["the thing that barks", "who barks"], False, ("Ignore", inner), ("target", whole)),
        "b": reason_seg_json(["Who would eat this?"], True, ("target", inner), ("flag", whole)),
    }
    for name, content in files.items():
        encoded = json.dumps({**content, "note": "café"}, ensure_ascii=False)
        (folder / f"{name}.json").write_bytes(encoded.encode("cp1252" if name == "a" else "utf-8"))
        pixels = np.zeros((8, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.jpg")
    return root
