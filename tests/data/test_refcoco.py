"""Referring expressions: the official files are read as data alone, and masks as others read them."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from tests.data.official import INSTANCES, REFS, as_python2, write_refcoco

from miras.data.masks import area, decode
from miras.data.refcoco import PARTITIONS, Ref, load_refs, read_plain_pickle
from miras.errors import DataError


def by_coco(annotations: list[dict[str, Any]], height: int, width: int) -> list[np.ndarray]:
    """The masks as COCO's own reader makes them."""
    reader = COCO()
    reader.dataset = {"images": [{"id": 1, "height": height, "width": width}]}
    reader.imgs = {1: {"height": height, "width": width}}
    return [reader.annToMask({**one, "image_id": 1}).astype(bool) for one in annotations]


def test_refs_of_a_split_with_sentences_and_masks(tmp_path: Path) -> None:
    [dog] = load_refs(write_refcoco(tmp_path), "refcoco", "unc", "val")
    assert (dog.id, dog.split, dog.category, dog.size) == (1, "val", "dog", (6, 8))
    assert [(one.id, one.text) for one in dog.expressions] == [(10, "left dog"), (11, "Dog that sits ")]
    assert dog.image == "COCO_train2014_000000000007.jpg"
    mask = dog.mask()
    assert mask is not None
    expected = np.zeros((6, 8), dtype=bool)
    expected[1:5, 1:4] = True
    assert np.array_equal(decode(mask), expected)


def test_several_polygons_crowds_and_nothing_drawn(tmp_path: Path) -> None:
    two, crowd = load_refs(write_refcoco(tmp_path), "refcoco", "unc", "testA")
    assert not two.crowd and crowd.crowd
    union = np.zeros((6, 8), dtype=bool)
    union[:2, :2], union[1:3, 1:6] = True, True
    assert np.array_equal(decode(two.mask()), union)  # type: ignore[arg-type]
    columns = np.zeros((4, 4), dtype=bool)
    columns[:, 1:3] = True
    assert np.array_equal(decode(crowd.mask()), columns)  # type: ignore[arg-type]
    [none] = load_refs(tmp_path, "refcoco", "unc", "train")
    assert none.mask() is None


def test_masks_are_those_of_cocos_own_reader() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        outline = [[float(x) for x in rng.uniform(0, 40, 2 * rng.integers(3, 9))] for _ in range(rng.integers(1, 4))]
        [expected] = by_coco([{"segmentation": outline}], 40, 50)
        mask = Ref(1, "val", (), "dog", "a.jpg", (40, 50), outline=outline).mask()
        assert mask is not None and np.array_equal(decode(mask), expected)


@pytest.mark.parametrize("packed", [False, True], ids=["one", "listed"])
def test_run_lengths_come_packed_or_not(packed: bool) -> None:
    plain = {"size": [4, 4], "counts": [4, 8, 4]}
    ref = Ref(1, "val", (), "dog", "a.jpg", (4, 4), outline=[plain] if packed else plain)
    mask = ref.mask()
    assert mask is not None and area(mask) == 8
    for counts in (mask["counts"], mask["counts"].encode()):
        again = Ref(1, "val", (), "dog", "a.jpg", (4, 4), outline=[{"size": [4, 4], "counts": counts}]).mask()
        assert again == mask


@pytest.mark.parametrize(
    "outline",
    [
        [[1, 1, 4, 4]],
        [[1, 1, 4, 1, 4, 5, 1]],
        [["a"] * 6],
        [7],
        "polygon",
        {"size": [3, 4], "counts": [12]},
        {"size": [4, 4], "counts": [1]},
        {"size": [4, 4], "counts": [20, -4]},
        {"counts": [16]},
    ],
)
def test_broken_outlines_are_named(outline: Any) -> None:
    with pytest.raises(DataError, match="annotation 5: segmentation should be polygons"):
        Ref(1, "val", (), "dog", "a.jpg", (4, 4), outline=outline, where="i.json, annotation 5").mask()


@pytest.mark.parametrize(
    ("split", "ids"), [("val", [1]), ("train", [4]), ("testA", [2, 3]), ("testB", [3]), ("test", [2, 3])]
)
def test_splits_are_taken_as_the_sets_own_reader_takes_them(tmp_path: Path, split: str, ids: list[int]) -> None:
    assert [ref.id for ref in load_refs(write_refcoco(tmp_path), "refcoco", "unc", split)] == ids
    assert [ref.id for ref in load_refs(tmp_path / "refer_seg", "refcoco", "unc", split)] == ids


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.p").write_bytes(pickle.dumps(REFS, protocol))
    assert read_plain_pickle(tmp_path / "a.p") == REFS


def test_8_bit_texts_of_python_2_become_texts(tmp_path: Path) -> None:
    (tmp_path / "a.p").write_bytes(as_python2([{"sent": "left dog", "raw": "caf\xe9"}]))
    assert read_plain_pickle(tmp_path / "a.p") == [{"sent": "left dog", "raw": "caf\xe9"}]
    (tmp_path / "b.p").write_bytes(b"\x80\x02U\x03dog.")
    assert read_plain_pickle(tmp_path / "b.p") == "dog"


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, protocol: int) -> None:
    made = tmp_path / "made"
    path = tmp_path / "a.p"
    path.write_bytes(pickle.dumps([{"ref_id": Evil(made)}], protocol))
    with pytest.raises(DataError, match="which could run code"):
        read_plain_pickle(path)
    assert not made.exists()
    pickle.loads(path.read_bytes())
    assert made.exists(), "the file would have run it"


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"c__builtin__\neval\n.",
        b"\x80\x02\x82\x01.",
        b"Pother\n.",
        b"",
        b"(lp0",
        b"no pickle",
        pickle.dumps({1, 2}, 2),
        pickle.dumps(np.zeros(2)),
    ],
    ids=["system", "eval", "extension", "persistent", "empty", "cut", "text", "set", "array"],
)
def test_other_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.p").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as plain data"):
        read_plain_pickle(tmp_path / "a.p")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder refcoco in .* refs\(unc\)\.p and instances\.json"):
        load_refs(tmp_path, "refcoco", "unc", "val")
    write_refcoco(tmp_path)
    with pytest.raises(DataError, match=r"no file at .*refs\(google\)\.p"):
        load_refs(tmp_path, "refcoco", "google", "val")
    with pytest.raises(DataError, match="no ref in the split 'minival'; it has testA, testAB, train, val"):
        load_refs(tmp_path, "refcoco", "unc", "minival")
    with pytest.raises(DataError, match="the sets are refcoco,"):
        load_refs(tmp_path, "vg", "unc", "val")
    (tmp_path / "refer_seg/refcoco/instances.json").unlink()
    with pytest.raises(DataError, match=r"no file at .*instances\.json"):
        load_refs(tmp_path, "refcoco", "unc", "val")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "should be COCO's JSON"),
        ("[]", "should be COCO's JSON"),
        (json.dumps({**INSTANCES, "annotations": [{"no": 1}]}), "should be COCO's JSON"),
        (json.dumps({**INSTANCES, "annotations": []}), "ref 0 should name ref_id"),
        (json.dumps({**INSTANCES, "categories": []}), "ref 0 should name ref_id"),
    ],
)
def test_instances_of_another_form(tmp_path: Path, content: str, complaint: str) -> None:
    write_refcoco(tmp_path)
    (tmp_path / "refer_seg/refcoco/instances.json").write_text(content)
    with pytest.raises(DataError, match=complaint):
        list(load_refs(tmp_path, "refcoco", "unc", "val"))


def test_refs_of_another_form(tmp_path: Path) -> None:
    write_refcoco(tmp_path)
    (tmp_path / "refer_seg/refcoco/refs(unc).p").write_bytes(pickle.dumps({"refs": []}))
    with pytest.raises(DataError, match="should hold a list of refs"):
        load_refs(tmp_path, "refcoco", "unc", "val")


def test_the_usual_partition_comes_first() -> None:
    assert {name: by[0] for name, by in PARTITIONS.items()} == {
        "refcoco": "unc",
        "refcoco+": "unc",
        "refcocog": "umd",
        "refclef": "unc",
    }
