"""`miras data check`: what is there, what is missing, what is broken, and a page to look at."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sets.official import photo
from tests.sets.tree import SIZE, write_tree
from typer.testing import CliRunner

from miras.cli import app
from miras.data.masks import encode
from miras.errors import ConfigError
from miras.sets import catalogue, check
from miras.sets.catalogue import CATALOGUE
from miras.sets.check import Found, wanted
from miras.sets.entry import Entry, Need
from miras.sets.scene import Told
from miras.types import Dialogue, Target, Turn

ALL = ("coco", "cocostuff", "ade20k", "mapillary", "paco", "pascal_part")


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["data", "check", *map(str, words)])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue of the tree in little, with its own sizes published."""
    sizes = {"coco": "4 images, 8 outlines", "cocostuff": "2 images", "paco": "2 images, 5 outlines"}
    entries = {name: replace(CATALOGUE[name], counts={"train": sizes.get(name, "1 images")}) for name in ALL}
    for module in (catalogue, check):
        monkeypatch.setattr(module, "CATALOGUE", entries)


def test_whole_sets_end_with_0(tree: Path, small: None) -> None:
    result = run(tree, "--split", "train")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == list(ALL)
    assert all(row[1:3] == ["train", "whole,"] for row in rows)
    assert "4 images, 8 outlines" in result.stdout


def test_what_is_missing_is_named_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "coco/val2017").mkdir(parents=True)
    result = run(tmp_path, "--set", "coco", "--split", "val")
    assert result.exit_code == 1
    assert "coco val lacks coco/annotations/instances_val2017.json: outlines of the validation split" in result.stdout
    assert "https://cocodataset.org/#download (annotations CC BY 4.0" in result.stdout
    assert "lacks coco/val2017" not in result.stdout


def test_less_than_was_published_ends_with_1(tree: Path) -> None:
    result = run(tree, "--set", "coco", "--split", "train", "--samples", 0)
    assert result.exit_code == 1
    assert "too small" in result.stdout
    assert "coco train has 8 outlines, published are 860,001" in result.stdout


def test_broken_entries_are_told_and_the_rest_goes_on(tmp_path: Path, small: None) -> None:
    write_tree(tmp_path)
    path = tmp_path / "coco/annotations/instances_train2017.json"
    path.write_text(path.read_text().replace('"height": 48, "width": 64}', '"height": 47, "width": 64}', 1))
    (tmp_path / "vlpart/pascal_part/train.json").write_text('{"images": [')
    (tmp_path / "ade20k/images/training/ADE_train_00000001.jpg").unlink()
    result = run(tmp_path, "--split", "train", "--json")
    assert result.exit_code == 1
    found = {one["set"]: one for one in json.loads(result.stdout)}
    assert [name for name, one in found.items() if not one["whole"]] == ["coco", "ade20k", "pascal_part"]
    assert re.search(r"image 9 is of 47x64 pixels", found["coco"]["broken"][0])
    assert found["coco"]["samples"] == 3
    assert "no photo at" in found["ade20k"]["broken"][0]
    assert "should be COCO's JSON" in found["pascal_part"]["broken"][0]
    assert found["pascal_part"]["counts"] == {}
    assert found["paco"]["counts"] == {"images": 2, "outlines": 5}


def test_the_page_holds_photos_and_names_itself(tree: Path, tmp_path: Path, small: None) -> None:
    result = run(tree, "--split", "train", "--out", tmp_path / "page")
    assert result.exit_code == 0
    page = (tmp_path / "page/index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 11
    assert not re.search(r'(src|href)="(?!data:)', page), "nothing is fetched from elsewhere"
    for name in ("bottle: cap", "traffic sign (front)", "armchair", "Surely not there: chair, tv"):
        assert name in page
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["index.html"]


def test_the_same_seed_draws_the_same_samples(tree: Path) -> None:
    def drawn(seed: int) -> list[int]:
        pairs = wanted(["coco"], ["train"])
        [found] = check.check(tree, pairs, samples=2, seed=seed, tell=lambda words: None)
        return [one.item for one in found.pictures]

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(6)}) > 1


def test_ctrl_c_keeps_what_is_finished(tree: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(root: Path, split: str) -> Any:
        raise KeyboardInterrupt

    entries = dict(check.CATALOGUE)
    entries["ade20k"] = replace(entries["ade20k"], open=interrupted)
    for module in (catalogue, check):
        monkeypatch.setattr(module, "CATALOGUE", entries)
    result = run(tree, "--split", "train", "--json")
    assert result.exit_code == 130
    assert [one["set"] for one in json.loads(result.stdout)] == ["coco", "cocostuff"]


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    for words, complaint in (
        ([tmp_path, "--set", "imagenet"], "there is no set 'imagenet'"),
        ([tmp_path, "--split", "test9"], "has the splits train, val"),
        ([tmp_path / "none"], "no folder at"),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert complaint in result.output


def test_splits_that_one_set_has_not_are_passed_over() -> None:
    assert {split for _, split in wanted([], ["val"])} == {"val"}
    assert [(entry.name, split) for entry, split in wanted(["paco", "paco"], [])] == [
        ("paco", "train"),
        ("paco", "val"),
    ]
    with pytest.raises(ConfigError):
        wanted(["coco"], ["testA"])


class Talks:
    """A set of conversations: about a photo with a mask, about nothing, and a broken one."""

    def __init__(self, image: Path) -> None:
        self.image = image

    def __len__(self) -> int:
        return 2

    def told(self, item: int) -> Told:
        turns = (Turn("user", "What is <that>?"), Turn("assistant", "It is [OBJ]the sign[SEG]."))
        target = Target("the sign", encode(np.ones(SIZE, dtype=bool)))
        if item:
            return Told(None, (Dialogue((turns[0], Turn("assistant", "Nothing.")), ()),))
        return Told(self.image, (Dialogue(turns, (target,)),))


def test_conversations_are_checked_and_shown_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "a.jpg", SIZE, [])
    entry = Entry(
        "talks", "Talks", (Need("a.jpg", "the photo"),), "http://x", "none",
        open=lambda root, split: Talks(root / "a.jpg"), splits=("train",), counts={"train": "2 conversations"},
    )  # fmt: skip
    for module in (catalogue, check):
        monkeypatch.setattr(module, "CATALOGUE", {"talks": entry})
    result = run(tmp_path, "--out", tmp_path / "page")
    assert result.exit_code == 0, result.output
    assert "2 conversations" in result.stdout
    page = (tmp_path / "page/index.html").read_text()
    assert "What is &lt;that&gt;?" in page and "the sign</mark>" in page and page.count("data:image") == 1


def test_an_empty_set_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "coco/annotations/instances_val2017.json"
    path.parent.mkdir(parents=True)
    (tmp_path / "coco/val2017").mkdir()
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    [found] = check.check(tmp_path, wanted(["coco"], ["val"]), samples=3, seed=0, tell=lambda words: None)
    assert found.broken == ("coco val is empty",) and not found.whole


def test_progress_is_told(tree: Path) -> None:
    said: list[str] = []
    found: Iterator[Found] = check.check(tree, wanted(["paco"], ["train"]), samples=2, seed=0, tell=said.append)
    assert len(list(found)) == 1
    assert said == ["paco train: opening", "paco train: sample 1 of 2", "paco train: sample 2 of 2"]
