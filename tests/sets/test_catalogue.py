"""The catalogue: every entry says what it needs, and opens when that is there."""

from pathlib import Path

import numpy as np
import pytest
from tests.sets.official import labels

from miras.errors import ConfigError, DataError
from miras.sets.catalogue import CATALOGUE, known_set, missing_needs, open_set
from miras.sets.check import published
from miras.sets.entry import Entry, Need


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_is_told_in_full(name: str, tmp_path: Path) -> None:
    entry = CATALOGUE[name]
    assert entry.name == name
    assert entry.where.startswith("http") and entry.licence and entry.title
    assert set(entry.counts) <= set(entry.splits)
    for split in entry.splits:
        assert missing_needs(entry, tmp_path, split), "nothing is there, so something must be missing"
        assert bool(published(entry, split)) == (split in entry.counts)


@pytest.mark.parametrize("name", ["coco", "cocostuff", "ade20k", "mapillary", "paco", "pascal_part"])
def test_sets_open_when_their_files_are_there(tree: Path, name: str) -> None:
    assert not missing_needs(CATALOGUE[name], tree, "train")
    assert len(open_set(name, str(tree), "train")) > 0
    with pytest.raises(DataError, match=rf"^{name} val needs .* in .*; get them from http"):
        open_set(name, tree, "val")


def test_unknown_sets_and_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no set 'coc'; choose one of coco, "):
        known_set("coc")
    with pytest.raises(ConfigError, match=r"coco has the splits train, val, got 'test'"):
        open_set("coco", tmp_path, "test")


def test_needs_may_leave_names_open(tmp_path: Path) -> None:
    need = Need("a/*.png", "labels", ("val",))
    entry = Entry("x", "X", (need,), "http://x", "none", open=lambda root, split: pytest.fail("opened"))
    assert missing_needs(entry, tmp_path, "train") == ()
    assert missing_needs(entry, tmp_path, "val") == (need,)
    labels(tmp_path / "a/b.png", values=np.zeros((2, 2)))
    assert missing_needs(entry, tmp_path, "val") == ()
