"""Every format gives back what it was given; what a format cannot hold is refused and nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from miras.data.labelme import read_labelme
from miras.data.masks import decode
from miras.errors import DataError, DialogueError, ImageError
from miras.prist.convert import convert, open_records
from miras.prist.formats import parquet

Write = Callable[..., Path]
TO = {"prist": "b.json", "llava": "b.json", "parquet": "b.parquet", "coco": "b.json", "labelme": "masks"}


@pytest.mark.parametrize("to", TO)
def test_there_and_back_loses_nothing(
    to: Any, prist_file: Write, records: list[Any], images: Path, tmp_path: Path
) -> None:
    if to == "parquet":
        pytest.importorskip("pyarrow")
    source = prist_file(*records)
    assert convert(source, tmp_path / TO[to], to=to, images=images) == 3
    assert open_records(tmp_path / TO[to]) == records
    assert convert(tmp_path / TO[to], tmp_path / "back.json", to="prist") == 3
    assert (tmp_path / "back.json").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("to", ["prist", "llava", "parquet"])
def test_the_authors_file_there_and_back_is_the_same_bytes(to: Any, shared_prist: Path, tmp_path: Path) -> None:
    if to == "parquet":
        pytest.importorskip("pyarrow")
    assert convert(shared_prist, tmp_path / TO[to], to=to) == 508
    assert convert(tmp_path / TO[to], tmp_path / "back.json", to="prist") == 508
    assert (tmp_path / "back.json").read_bytes() == shared_prist.read_bytes()


def test_llava_rows_are_as_llava_reads_them(prist_file: Write, records: list[Any], tmp_path: Path) -> None:
    convert(prist_file(*records), tmp_path / "b.json", to="llava")
    row = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))[2]
    assert row["id"] == "a_2" and row["image"] == "a.png"
    assert row["conversations"][0] == {"from": "human", "value": "<image>\nWhat is there?"}
    assert row["conversations"][-1] == {"from": "gpt", "value": "Sure, [SEG]."}


def test_without_the_last_turn_it_is_plain_question_answering(
    prist_file: Write, records: list[Any], tmp_path: Path
) -> None:
    convert(prist_file(*records), tmp_path / "b.json", to="llava", drop_final=True)
    text = (tmp_path / "b.json").read_text(encoding="utf-8")
    assert "[SEG]" not in text and "focus" not in text and "mask" not in text
    assert [len(row["conversations"]) for row in json.loads(text)] == [4, 4, 4]
    records[0]["dialogue"] = records[0]["dialogue"][-2:]
    with pytest.raises(DialogueError, match=r"a\.png has one turn alone"):
        convert(prist_file(*records), tmp_path / "c.json", to="llava", drop_final=True)
    assert not (tmp_path / "c.json").exists()


def test_coco_is_read_by_its_own_tools(prist_file: Write, records: list[Any], tmp_path: Path) -> None:
    convert(prist_file(*records), tmp_path / "b.json", to="coco")
    coco = COCO(tmp_path / "b.json")
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["a.png", "b.png"]
    assert {category["name"] for category in coco.loadCats(coco.getCatIds())} == {"blue cup", "way", "red cup"}
    for annotation, record in zip(coco.loadAnns(coco.getAnnIds()), records, strict=True):
        mask = decode(record["mask"])
        assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)
        assert annotation["area"] == mask.sum() == annotation["bbox"][2] * annotation["bbox"][3]


def test_labelme_files_hold_a_shape_per_target(
    prist_file: Write, records: list[Any], images: Path, tmp_path: Path
) -> None:
    del records[1]["mask"]
    convert(prist_file(*records), tmp_path / "masks", to="labelme", images=images)
    drawn = read_labelme(tmp_path / "masks" / "a.json")
    assert drawn.labels == ("blue cup", "red cup")
    assert Path(drawn.image).samefile(images / "a.png")
    mask = drawn.mask("red cup")
    assert mask is not None and np.array_equal(mask, decode(records[2]["mask"]))
    assert read_labelme(tmp_path / "masks" / "b.json").shapes == ()
    bare = [{key: value for key, value in record.items() if key != "mask"} for record in (records[0], records[2])]
    convert(prist_file(*bare), tmp_path / "full.json", to="prist", masks=tmp_path / "masks")
    assert open_records(tmp_path / "full.json") == [records[0], records[2]]
    with pytest.raises(DataError, match=r"record 0: no shape in b\.json is labelled exactly 'straße'"):
        convert(prist_file(records[1]), tmp_path / "none.json", to="prist", masks=tmp_path / "masks")


def test_what_a_format_cannot_hold_is_refused(
    prist_file: Write, records: list[Any], images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"size of b\.png is told by no mask; give the folder of images"):
        convert(prist_file({**records[1], "mask": None}), out, to="labelme")
    with pytest.raises(DataError, match="has another mask for 'blue cup' on"):
        convert(prist_file(records[0], {**records[0], "mask": records[2]["mask"]}), out, to="labelme")
    with pytest.raises(DataError, match=r"a\.png and a\.jpg would share one labelme file"):
        convert(prist_file(records[0], {**records[1], "img_id": "a.jpg"}), out, to="labelme")
    del records[1]["mask"]
    with pytest.raises(DataError, match=r"need a mask in every record, 1 of 3 have none, the first is record 1"):
        convert(prist_file(*records), out, to="coco")
    pytest.importorskip("pyarrow")
    with pytest.raises(ImageError, match=r"no image at .*c\.png"):
        convert(prist_file(records[0], {**records[1], "img_id": "c.png"}), out, to="parquet", images=images)
    assert not out.exists()


def test_hugging_face_sees_images_and_gives_them_back(
    prist_file: Write, records: list[Any], images: Path, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    convert(prist_file(*records), tmp_path / "b.parquet", to="parquet", images=images)
    opened = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "b.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(opened.features["image"], datasets.Image)
    assert np.asarray(opened[1]["image"])[0, 0].tolist() == [160, 160, 160]
    assert opened[1]["dialogue"][-1] == {"from": "gpt", "value": "It is [SEG]."}
    assert parquet.unpack(tmp_path / "b.parquet", tmp_path / "unpacked") == 2
    for name in ("a.png", "b.png"):
        assert (tmp_path / "unpacked" / name).read_bytes() == (images / name).read_bytes()


def test_files_of_no_known_format_are_refused(tmp_path: Path, prist_file: Write) -> None:
    with pytest.raises(DataError, match=r"nothing at .*gone\.json"):
        open_records(tmp_path / "gone.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no labelme files in"):
        open_records(tmp_path / "empty")
    for content, message in (("{", "is not JSON"), ("{}", "should hold a list"), ('{"annotations": []}', "lacks 'im")):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(DataError, match=message):
            open_records(tmp_path / "x.json")
    with pytest.raises(DataError, match="row 0 lacks image or focus"):
        open_records(prist_file({"conversations": [{"from": "human", "value": "<image>\nHi"}]}))
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="not a parquet file of PRIST"):
        open_records(tmp_path / "x.parquet")
