"""The index of an annotation file: it says what the file says, is made once, and is made anew where it must be."""

import json
import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miras.errors import DataError
from miras.sets import index
from miras.sets.index import Index, open_index

SMALL: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "ä.jpg"}, {"id": 3, "file_name": "b.jpg"}, {"id": 5, "file_name": "c.jpg"}],
    "annotations": [
        {"id": 30, "image_id": 3, "caption": "日本 – a dog"},
        {"id": 10, "image_id": 7, "caption": 'says "{[,"'},
        {"id": 20, "image_id": 3, "caption": "a cat"},
    ],
    "categories": [{"id": 1, "name": "crème"}],
}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write(path: Path, content: Any, **how: Any) -> Path:
    path.write_text(json.dumps(content, **how), encoding="utf-8")
    return path


def kept() -> list[Path]:
    """The indexes in the cache."""
    folder = Path(os.environ["MIRAS_CACHE"]) / "indexes"
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize("how", [{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_images_come_in_file_order_with_their_annotations(tmp_path: Path, how: dict[str, Any]) -> None:
    found = open_index(write(tmp_path / "a.json", SMALL, **how))
    assert (len(found), found.annotated) == (3, 3)
    assert [found.image(item) for item in range(3)] == SMALL["images"]
    assert [[one["id"] for one in found.annotations(item)] for item in range(3)] == [[10], [30, 20], []]
    assert found.annotations(1)[0] == SMALL["annotations"][0]
    assert found.categories == SMALL["categories"]
    assert found.annotation(20)["caption"] == "a cat"
    assert [found.item(number) for number in (7, 3, 5)] == [0, 1, 2]


def test_unknown_ids_and_items_are_named(tmp_path: Path) -> None:
    found = open_index(write(tmp_path / "a.json", SMALL))
    for number in (15, 99, -1):
        with pytest.raises(DataError, match=f"a.json has no annotation with the id {number};"):
            found.annotation(number)
    with pytest.raises(DataError, match="no image with the id 4"):
        found.item(4)
    for item in (-1, 3):
        with pytest.raises(IndexError, match="has 3 images"):
            found.image(item)


values: Any = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.integers(0, 2**40), unique=True, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), values), max_size=10),
    st.randoms(use_true_random=False),
    st.sampled_from([None, 2]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_says_what_the_parsed_file_says(tmp_path: Path, ids: list[int], owned: Any, mix: Any, indent: Any) -> None:
    images = [{"id": number, "more": value} for number, (_, value) in zip(ids, owned * 6, strict=False)]
    annotations = [
        {"id": place, "image_id": images[owner % len(images)]["id"], "x": value}
        for place, (owner, value) in enumerate(owned)
        if images
    ]
    parts = [("images", images), ("annotations", annotations), ("info", {"a": [{}]}), ("licenses", [[]])]
    mix.shuffle(parts)
    found = open_index(write(tmp_path / f"{mix.random()}.json", dict(parts), indent=indent, ensure_ascii=False))
    assert [found.image(item) for item in range(len(found))] == images
    for item, image in enumerate(images):
        assert found.annotations(item) == [one for one in annotations if one["image_id"] == image["id"]]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "where '{' belongs, at byte 0"),
        ("[]", "where '{' belongs"),
        ("{", "should be COCO's JSON"),
        ('{"images": [', "should be COCO's JSON"),
        ('{"images": [{"id": 1}], "annotations": [{"id": 1, "image_id": 1}', "where ',' belongs, at byte 64"),
        ('{"images": [], "annotations": {}}', r"where '\[' belongs"),
        ('{"images": []}', "no annotations"),
        ('{"info": 1}', "no annotations and no images"),
        ('{"images": [{"file_name": "a.jpg"}], "annotations": []}', "a record without 'id'"),
        ('{"images": [{"id": "one"}], "annotations": []}', "should be COCO's JSON"),
        ('{"images": [7], "annotations": []}', "should be COCO's JSON"),
        ('{"images": [{"id": 1}, {"id": 1}], "annotations": []}', "two images with the id 1"),
        (
            '{"images": [{"id": 1}], "annotations": [{"id": 1, "image_id": 9}]}',
            "an annotation of image 9, which is not",
        ),
        ('{"images": [], "annotations": [{"id": 1, "image_id": 9}]}', "an annotation of image 9"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DataError, match=complaint) as raised:
        open_index(path)
    assert str(raised.value).startswith(f"{path} should be COCO's JSON")
    assert not kept(), "nothing is kept of a broken file"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file at .*a\.json"):
        open_index(tmp_path / "a.json")


def test_the_file_is_gone_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.json", SMALL)
    first = open_index(path)
    monkeypatch.setattr(index, "_read", lambda path: pytest.fail("it was read again"))
    again = open_index(str(path))
    assert again.image(2) == first.image(2)
    assert len(pickle.loads(pickle.dumps(again))) == 3


def _spoil(change: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [one] = kept()
    raw = one.read_bytes()
    if change == "cut":
        one.write_bytes(raw[:-8])
    elif change == "cut in its head":
        one.write_bytes(raw[:20])
    elif change == "empty":
        one.write_bytes(b"")
    elif change == "something else":
        one.write_bytes(b"x" * len(raw))
    elif change == "reader":
        monkeypatch.setattr(index, "_reader", lambda: "another")
    elif change == "time":
        os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", ["cut", "cut in its head", "empty", "something else", "reader", "time"])
def test_an_index_that_does_not_fit_is_made_anew(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.json", SMALL)
    open_index(path)
    _spoil(change, path, monkeypatch)
    asked: list[Path] = []
    read = index._read

    def counted(path: Path) -> Any:
        asked.append(path)
        return read(path)

    monkeypatch.setattr(index, "_read", counted)
    assert open_index(path).annotation(20)["caption"] == "a cat"
    assert asked == [path]
    assert len(kept()) == 1


def test_another_file_under_the_same_name_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", SMALL)
    old = open_index(path)
    write(path, {**SMALL, "annotations": []})
    assert open_index(path).annotated == 0
    with pytest.raises(DataError, match="was changed since it was indexed"):
        old.annotations(1)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIRAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be kept in .*set MIRAS_CACHE"):
        open_index(write(tmp_path / "a.json", SMALL))


def _captions(found: Index, pipe: Any) -> None:
    pipe.send([one["caption"] for item in range(3) for one in found.annotations(item)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_it(tmp_path: Path, method: str) -> None:
    found = open_index(write(tmp_path / "a.json", SMALL))
    start = multiprocessing.get_context(method)
    here, there = start.Pipe()
    worker = start.Process(target=_captions, args=(found, there))  # type: ignore[attr-defined]
    worker.start()
    assert here.poll(60)
    assert here.recv() == ['says "{[,"', "日本 – a dog", "a cat"]
    worker.join()
