"""Referring expressions as scenes: sentences gathered by image, what cannot be used counted, nothing ever run."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sets.words import boxed, write_train_refs

from miras.data.refcoco import IMAGES
from miras.errors import DataError
from miras.sets.entry import Entry
from miras.sets.refer import REFCLEF, REFCOCO, REFCOCO_PLUS, REFCOCOG, ReferSet

ENTRIES = [REFCLEF, REFCOCO, REFCOCO_PLUS, REFCOCOG]


def test_all_sentences_of_all_refs_of_an_image(tmp_path: Path) -> None:
    found = ReferSet(write_train_refs(tmp_path), "refcoco", "train")
    assert len(found) == 2
    first, second = found.scene(0), found.scene(1)
    assert first.image.is_file()
    assert [region.names for region in first.regions] == [("left box", "the box on the left "), ("right box",)]
    assert {region.kind for region in first.regions + second.regions} == {"expression"}
    assert np.array_equal(first.regions[0].draw(), boxed(4, 4, 24, 40))
    assert second.regions[0].draw().sum() == 81 + 900
    assert found.left_out == {"of a crowd": 1, "without an outline": 1, "without words": 1}
    assert len(ReferSet(tmp_path / "refer_seg", "refcoco", "val")) == 1


def test_images_that_are_not_there_are_counted(tmp_path: Path) -> None:
    root = write_train_refs(tmp_path)
    (root / "refer_seg" / IMAGES["refcoco"] / "1/images/1.png").unlink()
    found = ReferSet(root, "refcoco", "train")
    assert (len(found), found.left_out["without an image file"]) == (1, 2)
    (root / "refer_seg" / IMAGES["refcoco"] / "2/images/2.png").unlink()
    with pytest.raises(DataError, match=r"refer_seg/refcoco holds nothing that can be used: .*3 without an image file"):
        ReferSet(root, "refcoco", "train")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_set_opens_from_its_own_folder(tmp_path: Path, entry: Entry) -> None:
    partition = "umd" if entry.name == "refcocog" else "unc"
    write_train_refs(tmp_path, entry.name, partition, IMAGES[entry.name])
    opened = entry.open(tmp_path, "train")
    assert len(opened) == 2
    assert all(list(tmp_path.glob(need.path.replace("(", "[(]").replace(")", "[)]"))) for need in entry.needs)


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    root = write_train_refs(tmp_path)
    made = tmp_path / "made"
    (root / "refer_seg/refcoco/refs(unc).p").write_bytes(pickle.dumps([{"split": "train", "sent": Evil(made)}]))
    with pytest.raises(DataError, match="which could run code"):
        REFCOCO.open(root, "train")
    assert not made.exists()


def test_a_broken_outline_is_named_when_it_is_drawn(tmp_path: Path) -> None:
    root = write_train_refs(tmp_path)
    path = root / "refer_seg/refcoco/instances.json"
    path.write_text(path.read_text().replace("[4, 4, 24, 4, 24, 40, 4, 40]", "[4, 4, 24]"))
    scene = ReferSet(root, "refcoco", "train").scene(0)
    with pytest.raises(DataError, match=r"instances\.json, annotation 11: segmentation should be polygons"):
        scene.regions[0].draw()
