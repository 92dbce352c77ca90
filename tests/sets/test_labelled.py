"""COCO-Stuff, ADE20K and Mapillary: what becomes a region, what is ignored, what is surely not there."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.sets.official import GREEN, RED, box, labels, photo
from tests.sets.test_outlined import named, of_color, told
from tests.sets.tree import CAT, CROWD, DOGS, SIZE, write_tree

from miras.data.images import load_image
from miras.errors import DataError
from miras.sets.ade20k import open_ade20k
from miras.sets.cocostuff import open_cocostuff
from miras.sets.labelled import Classes, read_classes
from miras.sets.mapillary import open_mapillary
from miras.sets.scene import RegionSet


def test_cocostuff_asks_for_no_class_with_a_hyphen(tree: Path) -> None:
    stuff = open_cocostuff(tree, "train")
    assert isinstance(stuff, RegionSet)
    assert (len(stuff), stuff.counts()) == (2, {"images": 2})
    scene = stuff.scene(0)
    assert scene.image == tree / "coco/train2017/000000000009.jpg"
    assert told(scene) == [("cat", "thing", None), ("dog", "thing", None), ("sky", "stuff", None)]
    assert np.array_equal(named(scene, "dog").draw(), box(SIZE, *DOGS) & ~box(SIZE, CROWD))
    sky = np.indices(SIZE)[0] < 30
    assert np.array_equal(named(scene, "sky").draw(), sky & ~box(SIZE, *DOGS, CAT, CROWD))
    for region in scene.regions:
        assert region.ignore is not None
        assert np.array_equal(region.ignore(), box(SIZE, CROWD))
    assert "zebra" in scene.absent and not {"dog", "cat", "sky", "grass", "hat"} & set(scene.absent)


def test_a_palette_image_holds_numbers_and_is_turned_with_its_photo(tree: Path) -> None:
    scene = open_cocostuff(tree, "train").scene(1)
    dog = named(scene, "dog")
    assert np.array_equal(dog.draw(), of_color(scene.image, RED))
    assert dog.draw().shape == load_image(scene.image).shape[:2] == SIZE[::-1]
    assert dog.ignore is None
    assert np.array_equal(named(scene, "branch").draw(), ~dog.draw())


def test_ade20k_ignores_other_objects(tree: Path) -> None:
    scene = open_ade20k(tree, "train").scene(0)
    assert told(scene) == [("armchair", "thing", None), ("flag", "thing", None), ("wall", "stuff", None)]
    armchair = named(scene, "armchair")
    assert np.array_equal(armchair.draw(), of_color(scene.image, RED))
    assert np.array_equal(named(scene, "flag").draw(), of_color(scene.image, GREEN))
    assert armchair.ignore is not None
    assert np.array_equal(armchair.ignore(), box(SIZE, CROWD))
    assert "bottle" in scene.absent
    assert not {"chair", "swivel chair", "sofa"} & set(scene.absent), "an armchair may be called so"


def test_mapillary_ignores_void_and_ambiguous_labels(tree: Path) -> None:
    scene = open_mapillary(tree, "train").scene(0)
    assert scene.image == tree / "mapillary/training/images/abc-DEF_1.jpg"
    assert told(scene) == [
        ("car", "thing", None), ("traffic sign (front)", "thing", None), ("road", "stuff", None),
    ]  # fmt: skip
    car = named(scene, "car")
    assert np.array_equal(car.draw(), box(SIZE, *DOGS) & ~box(SIZE, CROWD))
    assert car.ignore is not None
    edges = box(SIZE, (0, 0, 64, 2), (0, 46, 64, 48))
    assert np.array_equal(car.ignore(), box(SIZE, CROWD) | edges)
    assert scene.absent == ("bird",), "a truck could be meant by what is labelled a car"


@given(st.integers(0, 2**32 - 1))
def test_what_is_absent_is_a_thing_that_is_not_there(seed: int) -> None:
    classes = Classes({0: "cat", 1: "dog", 2: "cat"}, {3: "sky"}, frozenset({9}), frozenset({7}))
    rng = np.random.default_rng(seed)
    there = rng.choice(["cat", "dog", "sky"], size=2).tolist()
    assert set(classes.absent(there)) == {"cat", "dog"} - set(there)
    assert all(classes.known(value) for value in (0, 1, 2, 3, 7, 9)) and not classes.known(4)


def test_what_may_be_meant_by_what_is_there_is_not_called_absent() -> None:
    names = {0: "coffee table", 1: "sofa", 2: "couch", 3: "zebra", 4: "pool table"}
    classes = Classes(names, {9: "table"}, frozenset(), alike=(frozenset({"sofa", "couch"}),))
    assert classes.absent([]) == tuple(names.values())
    assert classes.absent(["table"]) == ("sofa", "couch", "zebra"), "they share a word"
    assert classes.absent(["couch", "zebra"]) == ("coffee table", "pool table"), "it is said to be alike"


def test_shipped_classes_are_those_of_the_sets() -> None:
    ade, stuff = read_classes("ade20k"), read_classes("cocostuff")
    assert set(ade.things) | set(ade.stuff) == set(range(1, 151))
    assert (len(ade.things), len(ade.stuff), ade.ignored) == (100, 50, {0})
    assert (ade.stuff[1], ade.things[13], ade.things[150]) == ("wall", "person", "flag")
    assert (len(stuff.things), len(stuff.stuff), stuff.ignored) == (80, 63, {255})
    assert (stuff.things[0], stuff.things[89], stuff.stuff[181]) == ("person", "toothbrush", "wood")
    assert len(stuff.unasked) == 28 and not any("-" in name for name in stuff.stuff.values())
    names = set(ade.things.values()) | set(ade.stuff.values())
    assert all(group <= names for group in ade.alike)


def _one(root: Path, values: np.ndarray, **more: bool) -> Path:
    labels(root / "ade20k/annotations/training/a.png", values, **more)
    photo(root / "ade20k/images/training/a.jpg", SIZE, [])
    return root


def test_label_images_of_another_size_are_refused(tmp_path: Path) -> None:
    ade = open_ade20k(_one(tmp_path, np.ones((48, 60))), "train")
    with pytest.raises(DataError, match=r"training/a.png is of 48x60 pixels, .*a.jpg has 48x64"):
        ade.scene(0)


def test_values_that_are_no_class_are_refused(tmp_path: Path) -> None:
    ade = open_ade20k(_one(tmp_path, np.full(SIZE, 151)), "train")
    with pytest.raises(DataError, match=r"a.png has pixels of value 151"):
        ade.scene(0)


def test_an_image_of_colours_is_no_label_image(tmp_path: Path) -> None:
    ade = open_ade20k(_one(tmp_path, np.ones(SIZE)), "train")
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "ade20k/annotations/training/a.png")
    with pytest.raises(DataError, match=r"a.png is an image of mode RGB"):
        ade.scene(0)


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder of label images at .*annotations/training"):
        open_ade20k(tmp_path, "train")
    ade = open_ade20k(_one(tmp_path, np.ones(SIZE)), "train")
    (tmp_path / "ade20k/images/training/a.jpg").unlink()
    with pytest.raises(DataError, match=r"no photo at .*a.jpg"):
        ade.scene(0)
    (tmp_path / "ade20k/annotations/training/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"a.png is no image that Pillow reads"):
        ade.scene(0)
    with pytest.raises(IndexError, match="has 1 images"):
        ade.scene(1)
    (tmp_path / "ade20k/annotations/training/a.png").unlink()
    with pytest.raises(DataError, match=r"no .png in"):
        open_ade20k(tmp_path, "train")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"labels": [{"name": "a"}]}', '{"labels": [3]}'])
def test_names_of_mapillary_of_another_form(tmp_path: Path, content: str) -> None:
    write_tree(tmp_path)
    (tmp_path / "mapillary/config_v2.0.json").write_text(content)
    with pytest.raises(DataError, match="should hold labels"):
        open_mapillary(tmp_path, "train")


def test_names_alone_decide_where_nothing_else_is_said(tmp_path: Path) -> None:
    write_tree(tmp_path)
    path = tmp_path / "mapillary/config_v2.0.json"
    known = json.loads(path.read_text())["labels"]
    path.write_text(json.dumps({"labels": [{"readable": one["readable"]} for one in known]}))
    scene = open_mapillary(tmp_path, "train").scene(0)
    assert told(scene) == [("car", "stuff", None), ("road", "stuff", None), ("traffic sign (front)", "stuff", None)]
