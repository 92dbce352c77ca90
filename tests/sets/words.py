"""Sets of words in their official files, a few drawn images each, and scenes in memory."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.data.official import ref_json, write_refcoco

from miras.data.masks import encode
from miras.sets.scene import Region, Scene

__all__ = [
    "Squares", "boxed", "full_scene", "own_lines", "write_captions", "write_llava", "write_own", "write_pictures",
    "write_prist", "write_train_refs",
]  # fmt: skip

SIDE = 64


def boxed(left: int, top: int, right: int, bottom: int, side: int = SIDE) -> np.ndarray:
    """(side, side) bool, true in a box."""
    mask = np.zeros((side, side), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def write_pictures(folder: Path, *names: str) -> Path:
    """Pictures of 64 x 64 pixels, each in a colour of its own."""
    for place, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), (40 + 30 * place, 90, 200 - 30 * place)).save(folder / name)
    return folder


class Squares:
    """Three images with a dog, grass and an ear of the dog, as a set of masks would give them."""

    def __init__(self, folder: Path) -> None:
        self.folder = write_pictures(folder, "0.png", "1.png", "2.png")

    def __len__(self) -> int:
        return 3

    def scene(self, item: int) -> Scene:
        """See RegionSet."""
        regions = (
            Region(("dog",), partial(boxed, 8, 8, 40, 40), "thing"),
            Region(("grass",), partial(boxed, 0, 40, 64, 64), "stuff"),
            Region(("ear",), partial(boxed, 8, 8, 16, 16), "part", whole="dog"),
        )
        return Scene(self.folder / f"{item}.png", regions, ("sofa", "stairs"))


def full_scene(*kinds: str) -> Scene:
    """One image with a region of every kind, or of those named."""
    draw = partial(boxed, 0, 0, 8, 8)
    regions = (
        Region(("Dog",), draw, "thing"),
        Region(("cup",), draw, "thing", count=1),
        Region(("person",), draw, "thing", count=3),
        Region(("sky",), draw, "stuff"),
        Region(("ear",), draw, "part", whole="dog"),
        Region(("left dog", "the dog on the left", "on the left"), draw, "expression"),
        Region(("what barks",), draw, "question", ignore=draw),
        Region(("Who would bark?",), draw, "question", explanation="dogs do that"),
    )
    chosen = tuple(region for region in regions if not kinds or region.kind in kinds)
    return Scene(Path("a.jpg"), chosen, ("sofa", "stairs"))


def write_train_refs(root: Path, name: str = "refcoco", partition: str = "unc", images: str | None = None) -> Path:
    """Train refs about two images, one of them with two things, and refs that cannot be used."""
    refs = [
        ref_json(1, 11, 1, "train", "left box", "the box on the left ", "?"),
        ref_json(2, 12, 1, "train", "right box"),
        ref_json(3, 13, 2, "train", "two boxes"),
        ref_json(4, 14, 2, "train", "the crowd"),
        ref_json(5, 15, 2, "train", "not drawn"),
        ref_json(6, 11, 1, "train", "..."),
        ref_json(7, 11, 1, "val", "left box"),
    ]
    instances: dict[str, list[dict[str, Any]]] = {
        "images": [{"id": n, "file_name": f"{n}/images/{n}.png", "height": SIDE, "width": SIDE} for n in (1, 2)],
        "annotations": [
            {"id": 11, "segmentation": [[4, 4, 24, 4, 24, 40, 4, 40]], "iscrowd": 0},
            {"id": 12, "segmentation": [[34, 4, 60, 4, 60, 40, 34, 40]], "iscrowd": 0},
            {"id": 13, "segmentation": [[0, 0, 9, 0, 9, 9, 0, 9], [20, 20, 50, 20, 50, 50, 20, 50]], "iscrowd": 0},
            {"id": 14, "segmentation": {"size": [SIDE, SIDE], "counts": [SIDE * SIDE]}, "iscrowd": 1},
            {"id": 15, "segmentation": [], "iscrowd": 0},
        ],
        "categories": [{"id": 18, "name": "box"}],
    }
    more = {} if images is None else {"images": images}
    return write_refcoco(root, name, partition, refs=refs, instances=instances, **more)


def talk(*texts: str) -> list[dict[str, str]]:
    """Turns as LLaVA and PRIST write them, a human first."""
    return [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(texts)]


def write_llava(root: Path, name: str = "llava_instruct_150k") -> Path:
    """Two conversations that can be used, and seven that cannot."""
    write_pictures(root / "coco" / "train2017", "1.jpg", "2.jpg")
    entries = [
        {"id": "1", "image": "1.jpg", "conversations": talk("<image>\nWhat is it?", "A dog.", "Old?", "No.")},
        {"id": "2", "image": "2.jpg", "conversations": talk("Describe it.\n<image>", "Blue all over.")},
        {"id": "3", "image": "3.jpg", "conversations": talk("<image>\nWhat is it?", "Nothing.")},
        {"id": "4", "conversations": talk("Who are you?", "A model.")},
        {"id": "5", "image": "1.jpg", "conversations": talk("<image>\nWhat is it?")},
        {"id": "6", "image": "1.jpg", "conversations": talk("What?", "A dog.")[::-1]},
        {"id": "7", "image": "1.jpg", "conversations": talk("<image>", "A dog.")},
        {"id": "8", "image": "1.jpg", "conversations": talk("Mark it.", "Sure, [SEG].")},
        {"id": "9", "image": "1.jpg", "conversations": "none"},
    ]
    path = root / "llava_dataset" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries), encoding="utf-8")
    return root


def write_captions(root: Path) -> Path:
    """Two photos with three captions, one without any, one whose file is not there."""
    write_pictures(root / "coco" / "train2017", "1.jpg", "2.jpg")
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg"} for n in (1, 2, 3, 4)],
        "annotations": [
            {"id": 1, "image_id": 1, "caption": "a dog on the  grass\n"},
            {"id": 2, "image_id": 1, "caption": "Some dog."},
            {"id": 3, "image_id": 2, "caption": "A blue wall"},
            {"id": 4, "image_id": 4, "caption": "A photo that is gone."},
            {"id": 5, "image_id": 3, "caption": " "},
        ],
    }
    path = root / "coco" / "annotations" / "captions_train2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return root


def write_prist(root: Path) -> Path:
    """A dialogue with its own mask, two with labelme's, and three that cannot be used."""
    turns = talk("What is it?", "A dog.", "Mark it.", "Sure, [SEG].")

    def record(image: str, focus: str, **more: Any) -> dict[str, Any]:
        return {"img_id": image, "dialogue": turns, "focus": focus, **more}

    images = write_pictures(root / "prist" / "images", "1.jpg", "2.jpg", "3.jpg")
    records = [
        record("1.jpg", "red dog", mask=encode(boxed(0, 0, 9, 9))),
        record("2.jpg", "blue dog"),
        record("2.jpg", "dog"),
        record("3.jpg", "dog"),
        record("9.jpg", "dog"),
        record("1.jpg", "dog", mask=encode(boxed(0, 0, 9, 9, side=32))),
    ]
    (root / "prist" / "train.json").write_text(json.dumps(records), encoding="utf-8")
    shapes = [
        {"label": label, "points": corners, "shape_type": "polygon"}
        for label, corners in (("blue dog", [[2, 2], [20, 2], [20, 20]]), ("dog", [[30, 30], [60, 30], [60, 60]]))
    ]
    labelled = {"imageHeight": SIDE, "imageWidth": SIDE, "imagePath": "2.jpg", "shapes": shapes}
    (images / "2.json").write_text(json.dumps(labelled), encoding="utf-8")
    return root


def own_lines(root: Path) -> list[dict[str, Any]]:
    """Five lines about two images: a conversation with two masks, one without, and three of the short form."""
    write_pictures(root / "photos", "1.png", "2.png")
    Image.fromarray(boxed(30, 30, 60, 60).astype(np.uint8) * 255).save(root / "mask.png")
    both = talk("What is there?", "A dog, [SEG], and a cat: [OBJ]cat[SEG].", "Thanks.", "You are welcome.")
    dog = {"phrase": "red dog", "mask": encode(boxed(2, 2, 20, 20))}
    cat = {"phrase": "cat", "mask": [[30, 2, 60, 2, 60, 20, 30, 20]]}
    return [
        {"image": "photos/1.png", "dialogue": both, "targets": [dog, cat]},
        {"image": "photos/2.png", "dialogue": talk("<image>\nWho are you?", "A model.")},
        {"image": "photos/2.png", "phrase": "left shoe", "mask": "mask.png"},
        {"image": "photos/2.png", "phrase": "shoe lace", "mask": {"size": [SIDE, SIDE], "counts": [0, 640, 3456]}},
        {"image": "photos/1.png", "phrase": "cat", "mask": cat["mask"]},
    ]


def write_own(root: Path, lines: list[Any] | None = None) -> Path:
    """A JSONL of those lines, or of the ones given; a text is written as it is."""
    path = root / "own.jsonl"
    rows = own_lines(root) if lines is None else lines
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path
