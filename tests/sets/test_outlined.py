"""COCO, PACO and PASCAL-Part: what becomes a region, and that its pixels are those that the photo shows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import coco as official
from tests.sets.official import GREEN, RED, YELLOW, box, outline, photo, write_coco
from tests.sets.tree import CAT, CROWD, DOGS, SIZE, write_tree

from miras.data.images import load_image
from miras.errors import DataError
from miras.sets.catalogue import open_set
from miras.sets.coco import open_coco
from miras.sets.paco import open_paco
from miras.sets.pascal_part import open_pascal_part
from miras.sets.scene import Region, RegionSet, Scene


def named(scene: Scene, name: str) -> Region:
    [one] = [region for region in scene.regions if region.names == (name,)]
    return one


def told(scene: Scene) -> list[tuple[str, str, str | None]]:
    return [(region.names[0], region.kind, region.whole) for region in scene.regions]


def of_color(image: Path, color: Sequence[int]) -> np.ndarray:
    """(H, W) bool: where the photo, as training sees it, has that colour."""
    return (np.abs(load_image(image).astype(int) - np.array(color)) < 40).all(axis=2)


def test_coco_unites_what_is_of_one_class(tree: Path) -> None:
    coco = open_coco(tree, "train")
    assert isinstance(coco, RegionSet)
    assert len(coco) == 4
    assert coco.counts() == {"images": 4, "outlines": 8}
    scene = coco.scene(0)
    assert scene.image == tree / "coco/train2017/000000000009.jpg"
    assert told(scene) == [("dog", "thing", None), ("cat", "thing", None)]
    assert scene.absent == ("chair", "tv")
    dog = named(scene, "dog")
    assert np.array_equal(dog.draw(), box(SIZE, *DOGS))
    assert dog.ignore is not None
    assert np.array_equal(dog.ignore(), box(SIZE, CROWD) & ~box(SIZE, *DOGS))
    cat = named(scene, "cat")
    assert cat.ignore is None
    assert np.array_equal(cat.draw(), of_color(scene.image, GREEN))


def test_masks_are_those_of_cocos_own_reader(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader = official.COCO(str(tree / "coco/annotations/instances_train2017.json"))
    coco = open_coco(tree, "train")
    compared = 0
    for item, image in enumerate(reader.dataset["images"]):
        if image["id"] == 25:
            continue  # its photo is turned
        for region in coco.scene(item).regions:
            [number] = reader.getCatIds(catNms=[region.names[0]])
            drawn = reader.loadAnns(reader.getAnnIds([image["id"]], [number], iscrowd=False))
            assert np.array_equal(region.draw(), np.any([reader.annToMask(one) for one in drawn], axis=0))
            compared += 1
    assert compared == 2


def test_crowds_alone_and_empty_outlines_are_neither_there_nor_absent(tree: Path) -> None:
    scene = open_coco(tree, "train").scene(2)
    assert scene.regions == ()
    assert scene.absent == ("tv",)


def test_an_image_without_outlines_says_what_is_absent(tree: Path) -> None:
    scene = open_coco(tree, "train").scene(3)
    assert (scene.regions, scene.absent) == ((), ("cat", "dog", "chair", "tv"))


def test_masks_are_turned_with_the_photo(tree: Path) -> None:
    scene = open_coco(tree, "train").scene(1)
    mask = named(scene, "dog").draw()
    assert mask.shape == load_image(scene.image).shape[:2] == SIZE[::-1]
    assert np.array_equal(mask, of_color(scene.image, RED))


# annotations as large as the upright photo alone can only come of one that was turned by a quarter
@pytest.mark.parametrize(
    ("turn", "frame"), [*((turn, "stored") for turn in range(1, 9)), *((turn, "upright") for turn in range(5, 9))]
)
def test_photos_turned_in_every_way(tmp_path: Path, turn: int, frame: str) -> None:
    corner = (4, 4, 20, 12)
    photo(tmp_path / "coco/val2017/a.jpg", SIZE, [(corner, RED)], turn)
    shown = of_color(tmp_path / "coco/val2017/a.jpg", RED)
    size, drawn = SIZE, corner
    if frame == "upright":
        size = SIZE[::-1]
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        drawn = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    image = {"id": 1, "file_name": "a.jpg", "height": size[0], "width": size[1]}
    thing = {"image_id": 1, "category_id": 3, "segmentation": outline(drawn)}
    write_coco(tmp_path / "coco/annotations/instances_val2017.json", [image], [thing], {3: "car"})
    [car] = open_coco(tmp_path, "val").scene(0).regions
    assert np.array_equal(car.draw(), shown)


def test_paco_knows_parts_what_is_absent_and_what_is_incomplete(tree: Path) -> None:
    scene = open_paco(tree, "train").scene(0)
    assert scene.image == tree / "coco/train2017/000000000009.jpg"
    assert told(scene) == [("bottle", "thing", None), ("cap", "part", "bottle")]
    assert np.array_equal(named(scene, "bottle").draw(), of_color(scene.image, RED) | box(SIZE, *DOGS))
    assert np.array_equal(named(scene, "cap").draw(), box(SIZE, (4, 4, 20, 8), (30, 10, 50, 14)))
    assert scene.absent == ("car", "wrench"), "no part, and nothing that is outlined in part"
    assert open_paco(tree, "train").scene(1) == Scene(tree / "coco/train2017/000000000025.jpg", (), ("wrench",))


def test_pascal_part_knows_parts_alone(tree: Path) -> None:
    scene = open_pascal_part(tree, "train").scene(0)
    assert told(scene) == [("pot", "part", "potted plant"), ("wing", "part", "bird")]
    assert np.array_equal(named(scene, "pot").draw(), of_color(scene.image, YELLOW))
    assert np.array_equal(named(scene, "wing").draw(), box(SIZE, CAT))
    assert scene.absent == ()


def _changed(root: Path, **more: Any) -> Path:
    """The tree with keys of COCO's first image and first annotation changed."""
    path = write_tree(root) / "coco/annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    content["images"] = content["images"][:1]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] == 9]
    for kind in ("images", "annotations", "categories"):
        for key, value in more.get(kind, {}).items():
            content[kind][0] = {k: v for k, v in {**content[kind][0], key: value}.items() if v is not None}
    path.write_text(json.dumps(content))
    return root


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"images": {"height": 40}}, r"train2017.json, image 9 is of 40x64 pixels, .*000009.jpg has 48x64"),
        ({"images": {"height": 64, "width": 48}}, "is of 64x48 pixels"),
        ({"images": {"height": None}}, r"image 9 should have file_name, height and width \(KeyError\('height'\)\)"),
        ({"images": {"file_name": "gone.jpg"}}, "no photo at .*gone.jpg, which .*image 9 is about"),
        ({"annotations": {"segmentation": [[1, 2, 3, 4]]}}, "annotation 1001: segmentation should be polygons"),
        ({"annotations": {"segmentation": {"size": [4, 4], "counts": [16]}}}, "run lengths of size"),
        ({"annotations": {"category_id": 4}}, "annotation 1001 is of category 4, which the file does not name"),
        ({"annotations": {"category_id": None}}, "annotation 1001 is of category None"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, more: dict[str, Any], complaint: str) -> None:
    coco = open_coco(_changed(tmp_path, **more), "train")
    with pytest.raises(DataError, match=complaint):
        coco.scene(0)


def test_categories_of_another_form_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has a category without id or name"):
        open_coco(_changed(tmp_path, categories={"name": None}), "train")


def test_a_photo_that_is_none(tmp_path: Path) -> None:
    write_tree(tmp_path)
    (tmp_path / "coco/train2017/000000000009.jpg").write_bytes(b"no photo")
    with pytest.raises(DataError, match="is no image that Pillow reads"):
        open_set("coco", tmp_path, "train").scene(0)  # type: ignore[union-attr]
